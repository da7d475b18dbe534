"""`[metrics]` and `[databases.NAME.metrics]`."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import ByteSize, Field, model_validator

from dbopsd.config.values import Section


class HistoryConfig(Section):
    """`[metrics.history]`: the history of metrics, in the state directory."""

    enabled: bool = True
    """Whether a history is kept. Without one, alerts look back a few minutes only."""

    max_size: Annotated[ByteSize, Field(ge=10 * 2**20)] = ByteSize(200 * 10**6)
    """How much disk it may use, such as "200MB". The oldest part goes first."""


class MetricsConfig(Section):
    """`[metrics]`: how databases are sampled."""

    enabled: bool = True
    """Whether databases are sampled at all."""

    top_tables: Annotated[int, Field(ge=1, le=100_000)] = 200
    """How many tables have samples of their own, the busiest ones. The rest is summed up."""

    top_indexes: Annotated[int, Field(ge=1, le=100_000)] = 200
    """How many indexes have samples of their own, the busiest ones. The rest is summed up."""

    top_statements: Annotated[int, Field(ge=1, le=10_000)] = 100
    """How many statements have samples of their own, the costliest ones. The rest is summed up."""

    top_databases: Annotated[int, Field(ge=1, le=10_000)] = 200
    """How many databases of a server have samples of their own, that of the DSN first. The rest is
    summed up. At most 10 if the daemon samples more than 10 databases of one server."""

    otlp: bool = True
    """Whether samples are exported over OTLP too, if `telemetry.otlp_endpoint` is set: every
    `telemetry.metrics_interval_s`. Of several daemons on the same databases, let one do it."""

    collectors_dir: Path | None = None
    """A directory with collectors of your own, `*.sql`. They need `role`."""

    role: str | None = None
    """The role as which your own collectors log in. It must not be a superuser, nor able to become
    one or to run programs or read files on the server."""

    role_password_file: Path | None = None
    """A file that contains only the role's password. Unset: libpq's password file, or a server that
    asks for none. The password of the `dsn` is used only where that is the same role."""

    collectors_max_rows: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """How many rows a collector of your own may answer."""

    collectors_max_size: Annotated[ByteSize, Field(ge=64 * 2**10, le=16 * 2**20)] = ByteSize(2**20)
    """How many bytes a collector of your own may answer, such as "1MiB"."""

    history: HistoryConfig = Field(default_factory=HistoryConfig)
    """The history of metrics."""

    @model_validator(mode="after")
    def _has_a_role_for_collectors(self) -> Self:
        if self.collectors_dir is not None and not self.role:
            raise ValueError("collectors_dir needs a role as which your own collectors run")
        return self


class DatabaseMetricsConfig(Section):
    """`[databases.NAME.metrics]`: the metrics of one database."""

    interval_s: Annotated[float, Field(ge=1, le=3600)] = 10.0
    """How often the quick collectors run, in seconds. Slow ones run as much less often as they
    do by default."""

    disable: tuple[str, ...] = ()
    """Names of collectors that do not run."""
