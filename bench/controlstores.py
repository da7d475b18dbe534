"""The control stores that operations are measured on."""

from dataclasses import dataclass

from bench.workbench import Workbench
from tests.support.controlurl import as_url
from tests.support.servers import PostgresServer

CONTROL = "control"
"""The PostgreSQL database of the control store."""

_OTHER = "other"


@dataclass(frozen=True, slots=True)
class ControlStore:
    """A store by its name for people, a daemon's settings for it, and a database of its sort.

    `beside_url`: of a database on the same disk or server, for whoever is measured beside us.
    """

    name: str
    settings: dict[str, str]
    beside_url: str

    @property
    def in_postgres(self) -> bool:
        """Whether it is in the server, and not in a file."""
        return bool(self.settings)


def control_stores(bench: Workbench, postgres: PostgresServer) -> list[ControlStore]:
    """SQLite as it comes, and one in `postgres`, which must be a durable one."""
    for database in (CONTROL, _OTHER):
        postgres.execute(f"CREATE DATABASE {database}")
    control, other = (as_url(postgres.dsn(dbname=name)) for name in (CONTROL, _OTHER))
    beside = bench.directory("beside") / "beside.sqlite"
    return [
        ControlStore("SQLite", {}, f"sqlite:///{beside}"),
        ControlStore("PostgreSQL", {"SERVER__CONTROL_URL": control}, other),
    ]
