"""PostgreSQL's own programs: where they are, and how they log in.

A program gets its connection by a service file, which only we and it can read: nothing of it is in
an argument that everybody on the machine sees (https://www.postgresql.org/docs/current/libpq-pgservice.html).
"""

import asyncio
import contextlib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from psycopg.conninfo import conninfo_to_dict

from dbopsd.db.server.errors import EmbeddedServerUnavailable, InstallationUnusable
from dbopsd.db.server.installation import Installation, embedded_installation, installation_at
from dbopsd.errors import DbopsError, StatusCode

_SERVICE: Final = "dbopsd"
# Where the packages of Debian, of PGDG for Red Hat, and of Homebrew and Alpine put them.
_PLACES: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
)


@dataclass(eq=False)
class ToolsTooOld(DbopsError):
    """No installation of PostgreSQL's programs here fits the server."""

    reason: ClassVar[str] = "TOOLS_TOO_OLD"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    wanted: str
    found: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' needs PostgreSQL's programs of {self.wanted}, and here is "
            f"{self.found or 'none'}: install them on the worker's machine, or name them in "
            f"databases.{self.database}.pg_bin"
        )


async def installations(pg_bin: Path | None) -> list[Installation]:
    """Every installation on this machine, that of `pg_bin` first.

    Raises `InstallationUnusable` for `pg_bin` alone.
    """
    found: list[Installation] = []
    if pg_bin is not None:
        found.append(await installation_at(pg_bin))
    for place in await asyncio.to_thread(_places):
        try:
            found.append(await installation_at(place))
        except InstallationUnusable:
            continue  # a client's package without a server, say
    with contextlib.suppress(EmbeddedServerUnavailable):
        found.append(await embedded_installation())
    return found


async def same_major(
    database: str, pg_bin: Path | None, major: int, tools: Collection[str]
) -> Installation:
    """The first installation of just this major version that has `tools`.

    Raises `ToolsTooOld`, and `InstallationUnusable` for `pg_bin`.
    """
    found = await installations(pg_bin)
    for each in found:
        if each.major == major and _has(each, tools):
            return each
    raise ToolsTooOld(database, f"version {major}", _names(found))


def at_least(
    database: str, found: Sequence[Installation], major: int, tools: Iterable[str]
) -> Installation:
    """The oldest installation that is no older than `major` and has `tools`.

    A client may be newer than its server, and not older. Raises `ToolsTooOld`.
    """
    fitting = [each for each in found if each.major >= major and _has(each, tools)]
    if not fitting:
        raise ToolsTooOld(database, f"version {major} or newer", _names(found))
    return min(fitting, key=lambda each: each.major)


@dataclass(frozen=True, slots=True)
class ToolLogin:
    """How a program logs in: what its environment has, and what its `--dbname` is."""

    environment: dict[str, str]
    dbname: str


def write_login(directory: Path, conninfo: str) -> ToolLogin:
    """Write the service file of `conninfo` in `directory`, which is private to us. Blocks.

    Raises ValueError for a value that a service file cannot hold.
    """
    lines = [f"[{_SERVICE}]"]
    for name, value in conninfo_to_dict(conninfo).items():
        text = str(value)
        if "\n" in text or text != text.strip():
            raise ValueError(f"parameter '{name}' of the dsn has a line break or blanks around it")
        lines.append(f"{name}={text}")
    path = directory / "pg_service.conf"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return ToolLogin({"PGSERVICEFILE": str(path)}, f"service={_SERVICE}")


def _places() -> list[Path]:
    found = [
        path
        for pattern in _PLACES
        for path in Path("/").glob(pattern.removeprefix("/"))
        if (path / "postgres").exists()
    ]
    return sorted(found, reverse=True)


def _has(installation: Installation, tools: Iterable[str]) -> bool:
    return all(os.access(installation.bin_dir / tool, os.X_OK) for tool in tools)


def _names(found: Sequence[Installation]) -> str:
    return ", ".join(sorted({each.version for each in found}))
