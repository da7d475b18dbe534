"""The duty to tell people of alerts, as every process knows it."""

from collections.abc import Sequence
from typing import Final

from dbopsd.config import Config
from dbopsd.operations.duty import Duty, DutyRun, Place

ALERTS_DUTY: Final = "alerts"


def alert_duties(config: Config) -> Sequence[Duty]:
    """The duty to tell people of alerts, if there is a channel to tell them by."""
    if not (config.metrics.enabled and config.alerts.enabled and config.alerts.channels):
        return ()
    return (Duty(ALERTS_DUTY, _elsewhere, place=Place.SERVER),)


async def _elsewhere(_run: DutyRun) -> None:
    """Stands for the work where the feature does not run: in workers, which hold no such duty."""
    raise NotImplementedError
