"""`[databases.NAME]` and the tables in it."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ByteSize, Field, SecretStr, model_validator

from dbopsd.config.alerts import DatabaseAlertsConfig
from dbopsd.config.backup import DatabaseBackupConfig, with_default_schedules
from dbopsd.config.metrics import DatabaseMetricsConfig
from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSets
from dbopsd.config.operations import ScheduleConfig
from dbopsd.config.values import ByResourceId, Seconds, Section


class PoolConfig(Section):
    """`[databases.NAME.pool]`: the shared connection pool."""

    min_size: Annotated[int, Field(ge=0, le=1000)] = 2
    """The number of connections that are kept open."""

    max_size: Annotated[int, Field(ge=1, le=1000)] = 20
    """The maximum number of connections."""

    timeout_s: Seconds = 30.0
    """How long a caller waits for a connection, in seconds."""

    query_timeout_s: Seconds = 30.0
    """How long a statement may run, in seconds. The server and dbopsd both enforce it."""

    connect_timeout_s: Annotated[int, Field(ge=2, le=300)] = 5
    """How long connecting to one host may take, in whole seconds; libpq's minimum is 2."""

    max_idle_s: Seconds = 600.0
    """How long a connection above `min_size` may be idle before it is closed, in seconds."""

    max_lifetime_s: Seconds = 3600.0
    """The lifetime of a connection, in seconds, reduced by up to 5 % at random."""

    leak_after_s: Seconds = 60.0
    """How long a caller may hold a connection before it counts as leaked, in seconds."""

    @model_validator(mode="after")
    def _sizes_in_order(self) -> Self:
        if self.min_size > self.max_size:
            raise ValueError(f"min_size {self.min_size} is above max_size {self.max_size}")
        return self


class ThresholdConfig(Section):
    """`[databases.NAME.health.thresholds.CHECK]`: overrides the check's thresholds."""

    warning: Annotated[float, Field(ge=0)] | None = None
    """The value from which the check is DEGRADED, in its unit. Unset: the default."""

    critical: Annotated[float, Field(ge=0)] | None = None
    """The value from which the check is UNHEALTHY, in its unit. Unset: the default."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warning is not None and self.critical is not None and self.warning > self.critical:
            raise ValueError(f"warning {self.warning:g} is above critical {self.critical:g}")
        return self


class DatabaseHealthConfig(Section):
    """`[databases.NAME.health]`: health checks."""

    interval_s: Annotated[float, Field(ge=0.1, le=3600)] = 1.0
    """The interval between two probes of the database, in seconds."""

    storage_limit: Annotated[ByteSize, Field(gt=0)] | None = None
    """The size limit of the database, such as "200GB", if dbopsd cannot see the server's disk."""

    expect_standbys: Annotated[int, Field(ge=0, le=100)] | None = None
    """How many standbys must stream from the primary, including those that `dsn` does not name.

    In any case, each host of `dsn` must answer and follow the primary.
    """

    thresholds: dict[str, ThresholdConfig] = Field(default_factory=dict)
    """Thresholds that override the defaults, by check: `connections = { warning = 0.6, critical =
    0.8 }`."""


class DatabaseConfig(Section):
    """`[databases.NAME]`: a database."""

    dsn: SecretStr | None = None
    """libpq's connection string, `key=value …` or `postgresql://…`. Secret.

    Several hosts, comma-separated, name a cluster: writes go to the primary, reads are spread over
    the standbys. Unset: this is the embedded PostgreSQL, which `dbopsd serve` runs in its state
    directory; one database at most.
    """

    password_file: Path | None = None
    """A file that contains only the password. It is read at each connection, so it can change."""

    import_roots: tuple[Path, ...] = ()
    """Directories on the workers' machine from which SQLite files can be imported.

    Unset: any directory, if the daemon listens on loopback only; otherwise none.
    """

    import_memory_limit: Annotated[ByteSize, Field(ge=256 * 2**20)] = ByteSize(4 * 2**30)
    """How much memory each process of an import may use, such as "4GB"."""

    import_cpu_limit_s: Seconds = 300.0
    """How long a process of an import may run without progress, in seconds of processor time.

    Each MB of the file adds one second. SQL in a mapping or in the file may otherwise never end.
    """

    pg_bin: Path | None = None
    """The directory of PostgreSQL's programs on the workers' machine, such as
    `/usr/lib/postgresql/17/bin`. Unset: the usual places, and the embedded ones.
    """

    pool: PoolConfig = Field(default_factory=PoolConfig)
    """The shared connection pool."""

    health: DatabaseHealthConfig = Field(default_factory=DatabaseHealthConfig)
    """Health checks."""

    metrics: DatabaseMetricsConfig = Field(default_factory=DatabaseMetricsConfig)
    """Metrics."""

    alerts: DatabaseAlertsConfig = Field(default_factory=DatabaseAlertsConfig)
    """Alerts."""

    backup: DatabaseBackupConfig | None = None
    """Backups. Unset: none."""

    migrations_dir: MigrationSets = ()
    """The folder of versioned migrations: a path, or a list of `{ set = "NAME", dir = "PATH" }`.
    A path alone is the set `default`: keep that name when it becomes a list."""

    migrations: DatabaseMigrationsConfig = Field(default_factory=DatabaseMigrationsConfig)
    """Versioned migrations."""

    schedules: ByResourceId[ScheduleConfig] = Field(default_factory=dict)
    """Scheduled operations, by name."""

    @property
    def embedded(self) -> bool:
        """Whether this is the PostgreSQL that `dbopsd serve` runs."""
        return self.dsn is None

    def with_dsn(self, dsn: str) -> Self:
        """This configuration for the database at `dsn`."""
        return self.model_copy(update={"dsn": SecretStr(dsn)})

    @model_validator(mode="after")
    def _backups_before_rollbacks_can_be_taken(self) -> Self:
        if self.migrations.backup_before != "none" and self.backup is None:
            raise ValueError("migrations.backup_before needs a store: set backup.store")
        return self

    @model_validator(mode="before")
    @classmethod
    def _backups_have_schedules(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("backup") is None:
            return values
        schedules = values.get("schedules", {})
        if not isinstance(schedules, dict):
            return values  # for the field to say what is wrong with it
        return {**values, "schedules": with_default_schedules(schedules)}

    @model_validator(mode="after")
    def _backups_before_rollbacks_have_a_store(self) -> Self:
        if self.migrations.backup_before != "none" and self.backup is None:
            raise ValueError("migrations.backup_before needs [databases.NAME.backup]")
        return self

    @model_validator(mode="after")
    def _password_has_a_login(self) -> Self:
        if self.embedded and self.password_file is not None:
            raise ValueError(
                "has a password_file and no dsn: add the dsn, or remove password_file to have "
                "the embedded PostgreSQL"
            )
        return self
