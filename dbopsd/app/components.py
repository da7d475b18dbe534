"""Components of both the API process and the workers."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from dbopsd.config import Config, DatabaseConfig
from dbopsd.db.database import Database
from dbopsd.errors import ConfigurationError
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.telemetry.setup import Telemetry

TELEMETRY_SHUTDOWN_S = 3.0


def make_databases(
    configured: Mapping[str, DatabaseConfig], telemetry: Telemetry, *, embedded_dsn: str
) -> dict[str, Database]:
    """The databases by name, not yet opened. `embedded_dsn`: where the embedded one is, if any."""
    return {
        name: Database(
            name,
            database.with_dsn(embedded_dsn) if database.embedded else database,
            tracer=telemetry.tracer,
            meter=telemetry.meter,
            embedded=database.embedded,
        )
        for name, database in sorted(configured.items())
    }


def control_store(config: Config, telemetry: Telemetry) -> AsyncControlStore:
    """The control store, opened when it is first asked."""
    url = config.server.control_url
    path = config.server.state_dir / "control" / "control.db"
    return AsyncControlStore(
        None if url is None else url.get_secret_value(), path, telemetry.tracer
    )


def scratch_directory(config: Config) -> Path:
    """Where operations keep files of their own while they run."""
    return config.server.state_dir / "scratch"


def check_state_dir(state_dir: Path) -> None:
    """Raise `ConfigurationError` unless the directory can be made or written.

    Tried in the nearest directory that is there, and undone: permissions say nothing to root, and
    to nobody on a file system that takes no files.
    """
    ancestor = state_dir
    try:
        while not ancestor.exists() and ancestor != ancestor.parent:
            ancestor = ancestor.parent
        if not ancestor.is_dir():
            raise ConfigurationError("server.state_dir", f"'{ancestor}' is not a directory")
        Path(tempfile.mkdtemp(prefix=".dbopsd-", dir=ancestor)).rmdir()
    except OSError as exc:
        raise ConfigurationError(
            "server.state_dir",
            f"'{ancestor}' cannot be written ({exc.strerror}): choose another state_dir",
        ) from exc
