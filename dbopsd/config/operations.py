"""`[operations]`, and the schedules of a database."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

from croniter import croniter
from pydantic import Field, field_validator, model_validator

from dbopsd.config.values import Seconds, Section

_HEARTBEATS: Final = 4


class OperationsConfig(Section):
    """`[operations]`: long-running operations and the workers that run them."""

    retention_s: Annotated[float, Field(ge=60, le=10 * 365 * 86400)] = 30 * 86400.0
    """How long an operation and its result are kept after its end, in seconds."""

    worker_concurrency: Annotated[int, Field(ge=1, le=1000)] = 4
    """How many operations a worker runs at once."""

    total_concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many operations all workers together run at once. Unset: no common limit."""

    heartbeat_s: Annotated[float, Field(ge=0.1, le=60)] = 2.0
    """The interval between heartbeats of a worker, or of the holder of a duty, in seconds."""

    takeover_after_s: Annotated[float, Field(ge=1, le=600)] = 15.0
    """How long a heartbeat may be missing before others take over, in seconds."""

    max_lost_workers: Annotated[int, Field(ge=1, le=1000)] = 2
    """The number of workers lost in one stage of an operation after which it fails. If other
    operations ran on the last of these workers, this one is first tried alone."""

    clean_up_timeout_s: Seconds = 60.0
    """How long the clean-up of a failed or cancelled operation may take, in seconds."""

    @model_validator(mode="after")
    def _hears_some_heartbeats(self) -> Self:
        # A late heartbeat or two are nothing special: a worker that is there must not be lost.
        if self.takeover_after_s < _HEARTBEATS * self.heartbeat_s:
            raise ValueError(
                f"takeover_after_s is {self.takeover_after_s:g}, below {_HEARTBEATS} times "
                f"heartbeat_s, which is {self.heartbeat_s:g}"
            )
        return self


class ScheduleConfig(Section):
    """`[databases.NAME.schedules.SCHEDULE]`: an operation that is started by cron."""

    kind: str
    """The kind of operation, such as `create-backup`."""

    cron: str
    """The times to start, as minute, hour, day of the month, month and day of the week."""

    time_zone: str = "UTC"
    """The IANA time zone of `cron`, such as `Europe/Berlin`."""

    request: dict[str, Any] = Field(default_factory=dict)
    """The fields of the request of the kind's method, in protobuf's JSON (`docs/operations.md`)."""

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if len(value.split()) != 5 or not croniter.is_valid(value):
            raise ValueError(
                f"is '{value}', which is not five fields of cron, such as '30 2 * * *': "
                "minute, hour, day of the month, month, day of the week"
            )
        # A date that never comes, such as 31 February, is found by looking for it.
        try:
            croniter(value, datetime.now(UTC)).get_next()
        except ValueError:
            raise ValueError(f"is '{value}', a time that never comes") from None
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"is '{value}', which is no IANA time zone") from None
        return value
