"""The session that migrations run on: what each of them finds, and what none leaves to the next."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from dbopsd.config.migrations import DatabaseMigrationsConfig
from dbopsd.db.connection import DRIVER_STYLES
from dbopsd.db.database import Database
from dbopsd.db.errors import ScriptFailed, StatementFailed
from dbopsd.db.identifiers import literal
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql
from dbopsd.migrate.versions.apply.attempts import LockLimits
from dbopsd.migrate.versions.apply.errors import LockLost
from dbopsd.migrate.versions.apply.large_texts import find_end, off_the_loop
from dbopsd.migrate.versions.ledger.advisory_lock import application_name
from dbopsd.migrate.versions.ledger.lock_key import NO_MIGRATION, LockKey
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.sql.lexer import READ_WITH, statements

_SQL: Final = "dbopsd.migrate.versions.apply.sql"
# A backend looks so often whether its client is still there, while a statement runs. Where it does
# not, what a killed daemon left runs to its end, and the lock of migrations is held until then.
_CLIENT_CHECK: Final = {"client_connection_check_interval": "200ms"}
_MAY_SET_MODES: Final = re.compile(r"\bSET\b[^;]{0,100}\btransaction", re.IGNORECASE)
_LONGEST_MODE: Final = 120
_SETS_MODES: Final = re.compile(
    r"SET\s+(?:LOCAL\s+|SESSION\s+)?transaction(?:_isolation|_deferrable)?\b", re.IGNORECASE
)
# Between two messages of one transaction there are milliseconds. An applier that falls silent, with
# its machine or its network, would have writers stand behind its locks for as long as TCP waits.
_SILENT_CLIENT: Final = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15s",
}
# Timeouts of a role that suit an application: a migration is limited by its own.
_LIMITS: Final = {
    "idle_in_transaction_session_timeout": "10s",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}


# division_by_zero, in `end_file.sql` alone: what it divides by is whether it has the lock.
_LOCK_NOT_HAD: Final = "22012"


def load(name: str) -> Statement:
    """The statement of a file of this package."""
    return load_sql(_SQL, f"{name}.sql").statement


@dataclass(frozen=True)
class WorkingSession:
    """A session with the settings that every file of a database begins with."""

    session: Session
    backend_pid: int
    settings: dict[str, str]
    """At rest. Its own statements pick no function or operator that others have made."""
    search_path: str
    """Of files."""
    config: DatabaseMigrationsConfig
    clock_ahead: timedelta
    """By how much the server's clock is ahead of this machine's."""
    styles: Mapping[str, str]
    """Of dates and intervals, for files, where the role's are not those that the driver reads."""

    @classmethod
    async def prepare(cls, session: Session, config: DatabaseMigrationsConfig) -> "WorkingSession":
        """Make `session` ready for its first file."""
        # A database without an encoding may have bytes that are text of none.
        encoding = "SQL_ASCII" if session.client_encoding == "SQL_ASCII" else "UTF8"
        names = [*_CLIENT_CHECK, *_SILENT_CLIENT, *_LIMITS, *DRIVER_STYLES]
        rows = await session.fetch_all(load("known_settings"), {"names": names})
        known: dict[str, str] = dict(rows)
        styles = {
            name: known[name]
            for name, style in DRIVER_STYLES.items()
            if known[name].partition(",")[0] != style
        }
        settings = {
            "client_encoding": encoding,
            "search_path": "pg_catalog",
            "lock_timeout": f"{config.lock_timeout_ms}ms",
            "statement_timeout": _milliseconds(config.statement_timeout_s),
            **{name: value for name, value in _LIMITS.items() if name in known},
            **{name: DRIVER_STYLES[name] for name in styles},
        }
        for refusable in (_CLIENT_CHECK, _SILENT_CLIENT):
            if await _can_set(session, refusable):
                settings |= refusable
        backend = await session.fetch_one(load("backend"))
        if backend is None:
            raise ValueError("SELECT without FROM returned no row")
        pid, clock, search_path = backend
        if config.search_path is not None:
            search_path = config.search_path
        ahead = clock - datetime.now(UTC)
        prepared = cls(session, pid, settings, search_path, config, ahead, styles)
        await prepared.set(settings)
        return prepared

    def now(self) -> datetime:
        """The time by the server's clock."""
        return datetime.now(UTC) + self.clock_ahead

    async def set(self, settings: dict[str, str]) -> None:
        """Change settings of the session."""
        await _set(self.session, settings)

    async def opening(
        self, script: Script, limits: LockLimits, lock_key: LockKey, mark: int = NO_MIGRATION
    ) -> tuple[Statement, ...]:
        """What to send with the BEGIN of the transaction that a file runs in.

        `mark`: that of its migration, by which others see that it runs.
        """
        settings = self.file_settings(script, limits)
        if await off_the_loop(script.text, lambda: sets_modes(script.text)):
            # After a SELECT it would be too late for them.
            await self.set(settings)
            return ()
        begin = load("begin_file")
        calls = _set_calls(tuple(settings.items()), local=True)
        marking = lock_key.marking(mark)
        text = begin.query_text.format(lock_key=lock_key.value, marking=marking, settings=calls)
        return (Statement(text, begin.summary),)

    async def end_file(self, lock_key: LockKey) -> None:
        """Undo what a file did to the session, in its transaction or outside one.

        Raises `ScriptFailed`, and `LockLost` where somebody else has the lock of migrations.
        """
        ending = await self.ending(lock_key)
        try:
            await self.session.execute_script(ending)
        except ScriptFailed as error:
            refuse_lost_lock(error)
            raise

    async def ending(self, lock_key: LockKey, last: Statement | None = None) -> Statement:
        """What `end_file` sends, and `last` after it. `refuse_lost_lock` knows its errors."""
        # `last` would have to be in the file's encoding, which may not have its characters.
        await self.reset_encoding()
        end = load("end_file")
        calls = _set_calls(tuple(self.settings.items()), local=False)
        text = end.query_text.format(lock_key=lock_key.value, settings=calls)
        if last is not None:
            text = f"{text};\n{last.query_text}"
        return Statement(text, end.summary)

    async def reset_encoding(self) -> None:
        """Undo what a file did to the encoding of the session. Raises `ScriptFailed`."""
        encoding = self.settings["client_encoding"]
        if self.session.client_encoding != encoding:
            # As a script, which needs no codec: a file may choose an encoding that Python lacks.
            back = load("client_encoding")
            text = back.query_text.format(encoding=literal(encoding))
            await self.session.execute_script(Statement(text, back.summary))

    @asynccontextmanager
    async def without_lock_timeout(self) -> AsyncIterator[None]:
        """No `lock_timeout`, for a statement that leaves something behind when it is cut off."""
        row = await self.session.fetch_one(load("lock_timeout"))
        await self.set({"lock_timeout": "0"})
        try:
            yield
        finally:
            if row is not None and self.session.usable:
                await self.set({"lock_timeout": row[0]})

    async def holds(self, lock_key: LockKey) -> bool:
        """Whether the session has the lock of migrations."""
        row = await self.session.fetch_one(load("lock_held"), lock_key.parameters)
        return row == (True,)

    def file_settings(self, script: Script, limits: LockLimits) -> dict[str, str]:
        """What a file finds, besides what the session has at rest."""
        statement_timeout_s = script.statement_timeout_s
        if statement_timeout_s is None:
            statement_timeout_s = self.config.statement_timeout_s
        return {
            **self.styles,
            "search_path": self.search_path,
            "lock_timeout": f"{limits.lock_timeout_ms}ms",
            "statement_timeout": _milliseconds(statement_timeout_s),
        }

    async def keep_settings(self, script: Script, limits: LockLimits, *, reset: bool) -> None:
        """Set again what a statement of a file must not change for those after it.

        `reset`: it took back all that the session had before the file.
        """
        if reset:
            await self.set({**self.settings, **self.file_settings(script, limits)})
        if not self.session.standard_strings:
            # What follows was read, and checked, with them.
            await self.set(READ_WITH)

    @asynccontextmanager
    async def looking_up(self) -> AsyncIterator[None]:
        """The search path of files, for who looks up their names."""
        await self.set({"search_path": self.search_path})
        try:
            yield
        finally:
            if self.session.usable:
                await self.set({"search_path": self.settings["search_path"]})


@asynccontextmanager
async def working_session(
    database: Database, settings: Mapping[str, str], operation: str
) -> AsyncIterator[WorkingSession]:
    """A connection of its own to run migrations on, which begins with `settings`.

    Raises what `dedicated_session` does.
    """
    async with database.dedicated_session(
        "write",
        application_name=application_name(operation),
        query_timeout_s=None,
        settings={**READ_WITH, **settings},
        replace_bad_text=True,
    ) as session:
        yield await WorkingSession.prepare(session, database.config.migrations)


async def _can_set(session: Session, settings: dict[str, str]) -> bool:
    try:
        await _set(session, settings)
    except StatementFailed:
        # The server's system cannot tell (it has no POLLRDHUP), or a role may not.
        return False
    return True


def sets_modes(text: str) -> bool:
    """Whether a statement of the file sets a mode of its transaction, such as its isolation."""
    if find_end(_MAY_SET_MODES, text, longest=_LONGEST_MODE) is None:
        return False
    return any(_SETS_MODES.match(each.text) for each in statements(text))


def refuse_lost_lock(error: ScriptFailed) -> None:
    """Raise `LockLost` where the end of a file failed for it."""
    if error.sqlstate == _LOCK_NOT_HAD:
        raise LockLost(error.database) from error


@lru_cache(maxsize=64)  # most files of a plan have the same
def _set_calls(settings: tuple[tuple[str, str], ...], *, local: bool) -> str:
    """Calls that change settings, of the transaction only if `local`."""
    scope = "true" if local else "false"
    return ", ".join(
        f"pg_catalog.set_config({literal(name)}, {literal(value)}, {scope})"
        for name, value in settings
    )


async def _set(session: Session, settings: dict[str, str]) -> None:
    values = {"names": list(settings), "values": list(settings.values())}
    await session.execute(load("settings"), values)


def _milliseconds(seconds: float | None) -> str:
    """As a setting has it; None is without limit."""
    return "0" if seconds is None else f"{max(round(seconds * 1000), 1)}ms"
