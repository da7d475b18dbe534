"""What there is of alerts, for those who answer callers."""

from collections.abc import Mapping
from dataclasses import dataclass

from dbopsd.metrics.alerts.board import AlertBoard
from dbopsd.metrics.alerts.channels import Channel
from dbopsd.metrics.alerts.silences import Silences


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts, the silences and the channels. `judged` is whether any rule is evaluated."""

    board: AlertBoard
    silences: Silences
    channels: Mapping[str, Channel]
    judged: bool
