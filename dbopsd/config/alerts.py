"""`[alerts]`, its rules and its channels."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from dbopsd.config.values import ByResourceId, Section

SeverityName = Literal["info", "warning", "critical"]


class RuleConfig(Section):
    """`[alerts.rules.RULE]`: changes a rule; what is unset stays as it is."""

    enabled: bool = True
    """Whether the rule is evaluated."""

    threshold: float | None = None
    """From where on it fires. For a rule of a health check, set the check's thresholds instead."""

    resolve: float | None = None
    """Below what a firing alert is resolved. Unset: a tenth below `threshold`."""

    for_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """For how long its condition must hold before it fires, in seconds."""

    severity: SeverityName | None = None
    """How severe it is: `info`, `warning` or `critical`."""


class ChannelConfig(Section):
    """`[alerts.channels.CHANNEL]`: where alerts are sent."""

    url: SecretStr | None = None
    """The receiver, a URL of Apprise such as `jsons://hooks.example.com/alerts`. Secret.

    `docs/metrics.md` has the schemes that are allowed.
    """

    url_file: Path | None = None
    """A file that contains only the URL, in place of `url`."""

    min_severity: SeverityName = "warning"
    """The least severity that is sent."""

    databases: tuple[str, ...] = ()
    """The databases whose alerts are sent. Empty: all."""

    after_s: Annotated[float, Field(ge=0, le=604_800)] = 0.0
    """Send only what has fired for so long, in seconds: a channel for what nobody has looked at."""

    repeat_after_s: Annotated[float, Field(ge=60, le=604_800)] = 14_400.0
    """After how long an alert that still fires is sent again, in seconds."""

    resolved: bool = True
    """Whether a message says that an alert is over."""

    timeout_s: Annotated[float, Field(ge=1, le=120)] = 20.0
    """How long sending one message may take, in seconds."""

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("needs url or url_file, and not both")
        return self


class AlertsConfig(Section):
    """`[alerts]`: what is judged, and who hears of it."""

    enabled: bool = True
    """Whether rules are evaluated."""

    interval_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    """How often rules are evaluated, in seconds."""

    rules_file: Path | None = None
    """A file with rules of your own, in the format of the default ones. A rule with the name of
    a default one takes its place."""

    rules: dict[str, RuleConfig] = Field(default_factory=dict)
    """Changes of rules, by name."""

    group_wait_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    """How long a new alert waits for others of its database, to be sent in one message, in
    seconds."""

    channels: ByResourceId[ChannelConfig] = Field(default_factory=dict)
    """Where alerts are sent, by name. Without any, they are only listed."""


class DatabaseAlertsConfig(Section):
    """`[databases.NAME.alerts]`: the alerts of one database."""

    rules: dict[str, RuleConfig] = Field(default_factory=dict)
    """Changes of rules for this database, over those in `[alerts.rules]`."""
