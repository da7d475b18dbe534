"""`[databases.NAME]` and the tables in it."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import ByteSize, Field, SecretStr, field_validator, model_validator

from dbopsd.config.operations import ScheduleConfig
from dbopsd.config.values import RESOURCE_ID, Seconds, Section


class PoolConfig(Section):
    """`[databases.NAME.pool]`: the shared connections."""

    min_size: Annotated[int, Field(ge=0, le=1000)] = 2
    """How many connections are kept open."""

    max_size: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many connections there are at most."""

    timeout_s: Seconds = 30.0
    """How long a caller waits for a connection, in seconds."""

    query_timeout_s: Seconds = 30.0
    """How long one statement may run, in seconds: `statement_timeout`, and a guard of our own."""

    connect_timeout_s: Annotated[int, Field(ge=2, le=300)] = 5
    """How long connecting to one host may take, in whole seconds, at least libpq's 2."""

    max_idle_s: Seconds = 600.0
    """After how long without use a connection above `min_size` is closed, in seconds."""

    max_lifetime_s: Seconds = 3600.0
    """After how long a connection is replaced, less up to 5 % at random, in seconds."""

    leak_after_s: Seconds = 60.0
    """After how long a connection held by one caller counts as leaked, in seconds."""

    @model_validator(mode="after")
    def _sizes_in_order(self) -> Self:
        if self.min_size > self.max_size:
            raise ValueError(f"min_size {self.min_size} is above max_size {self.max_size}")
        return self


class ThresholdConfig(Section):
    """`[databases.NAME.health.thresholds.CHECK]`: over the check's own thresholds."""

    warning: Annotated[float, Field(ge=0)] | None = None
    """From this value on the check is DEGRADED, in the check's unit. Unset: its default."""

    critical: Annotated[float, Field(ge=0)] | None = None
    """From this value on the check is UNHEALTHY, in the check's unit. Unset: its default."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warning is not None and self.critical is not None and self.warning > self.critical:
            raise ValueError(f"warning {self.warning:g} is above critical {self.critical:g}")
        return self


class DatabaseHealthConfig(Section):
    """`[databases.NAME.health]`: the prober."""

    interval_s: Annotated[float, Field(ge=0.1, le=3600)] = 1.0
    """How often the database is asked whether it answers, in seconds."""

    storage_limit: Annotated[ByteSize, Field(gt=0)] | None = None
    """How large the database may grow, such as "200GB", where the disk cannot be seen from here."""

    expect_standbys: Annotated[int, Field(ge=0, le=100)] | None = None
    """How many standbys must stream from the primary, those that `dsn` does not name included.

    Whatever it is, each host of `dsn` must answer and follow the primary.
    """

    thresholds: dict[str, ThresholdConfig] = Field(default_factory=dict)
    """Thresholds over the defaults, by check: `connections = { warning = 0.6, critical = 0.8 }`."""


class DatabaseConfig(Section):
    """`[databases.NAME]`: a database to look after."""

    dsn: SecretStr | None = None
    """libpq's connection string, `key=value …` or `postgresql://…`. Secret.

    Several hosts, comma-separated, name a cluster: writes go to the one that takes them, reads
    are spread over the standbys. Unset: this is the embedded PostgreSQL, which `dbopsd serve` runs
    in its state directory; one database at most.
    """

    password_file: Path | None = None
    """A file with the password alone, read at each connection, so that it can be changed."""

    import_roots: tuple[Path, ...] = ()
    """Directories on the workers' machine that SQLite files may be imported from.

    Unset: anywhere, for the workers of a daemon that listens on loopback only; nowhere otherwise.
    """

    import_memory_limit: Annotated[ByteSize, Field(ge=256 * 2**20)] = ByteSize(4 * 2**30)
    """How much memory each process of an import may have, such as "4GB"."""

    import_cpu_limit_s: Seconds = 300.0
    """How long a process of an import may compute without progress, in seconds of processor time.

    One second more for each MB of the file. SQL of a mapping or of the file may never end.
    """

    pool: PoolConfig = Field(default_factory=PoolConfig)
    """The shared connections."""

    health: DatabaseHealthConfig = Field(default_factory=DatabaseHealthConfig)
    """The prober."""

    schedules: dict[str, ScheduleConfig] = Field(default_factory=dict)
    """Operations that the clock starts, by their names."""

    @property
    def embedded(self) -> bool:
        """Whether this is the PostgreSQL that `dbopsd serve` runs."""
        return self.dsn is None

    def with_dsn(self, dsn: str) -> Self:
        """This configuration for the database at `dsn`."""
        return self.model_copy(update={"dsn": SecretStr(dsn)})

    @model_validator(mode="after")
    def _password_has_a_login(self) -> Self:
        if self.embedded and self.password_file is not None:
            raise ValueError(
                "has a password_file and no dsn: add the dsn, or remove password_file to have "
                "the embedded PostgreSQL"
            )
        return self

    @field_validator("schedules")
    @classmethod
    def _resource_ids(cls, value: dict[str, ScheduleConfig]) -> dict[str, ScheduleConfig]:
        for name in value:
            if not RESOURCE_ID.fullmatch(name):
                raise ValueError(
                    f"has the name '{name}', which is not 1 to 63 of a-z, 0-9 and '-', "
                    "starting with a letter"
                )
        return value
