"""Who holds a lock that a migration waits for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dbopsd.db.errors import one_line
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.migrate.versions.model.reports import Blocker

AUTOVACUUM: Final = "autovacuum"
"""The state of a blocker that is a worker of autovacuum."""

_SQL: Final = "dbopsd.migrate.versions.apply.sql"
_CANCEL_WAIT: Final = load_sql(_SQL, "cancel_wait.sql").statement
_LOCK_WAITS: Final = load_sql(_SQL, "lock_waits.sql").statement
_WAITS: Final = load_sql(_SQL, "waits.sql").statement
_MOST_QUERY_CHARS: Final = 200
_MOST_NAMED: Final = 2


@dataclass(frozen=True)
class LockWait:
    """A wait of a backend for a lock; `started`, by the server's clock, tells it from the next."""

    started: datetime
    waited_s: float
    stalls_writers: bool
    """Whether it has or wants a lock that stops the writers of a table that others know."""
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    started: datetime
    waited_s: float
    stalls_writers: bool
    pid: int | None
    application: str
    role: str
    state: str
    age_s: float | None
    query: str
    relation: str
    mode: str

    def blocker(self, pid: int) -> Blocker:
        return Blocker(
            pid=pid,
            application=self.application,
            user=self.role,
            state="prepared transaction" if pid == 0 else self.state,
            age_s=self.age_s,
            query=one_line(self.query)[:_MOST_QUERY_CHARS],
            relation=self.relation,
            mode=self.mode,
        )


async def lock_wait(session: Session, backend_pid: int) -> LockWait | None:
    """The lock that the backend waits for, and the sessions in its way; None: it waits for none."""
    # Asked often, while it hardly ever does: the whole table of locks is read only if so.
    if await session.fetch_one(_WAITS, {"pid": backend_pid}) != (True,):
        return None
    rows = await session.fetch_all_as(_Row, _LOCK_WAITS, {"pid": backend_pid})
    if not rows:
        return None
    first = rows[0]
    return LockWait(
        first.started,
        first.waited_s,
        first.stalls_writers,
        tuple(row.blocker(row.pid) for row in rows if row.pid is not None),
    )


async def cancel_wait(session: Session, backend_pid: int, started: datetime) -> bool:
    """Cancel the statement of the backend if it still waits as it has since `started`.

    Whether it was sent: the lock may come in the microseconds before it arrives.
    """
    parameters = {"pid": backend_pid, "started": started}
    return bool(await session.fetch_all(_CANCEL_WAIT, parameters))


def in_the_way(blockers: tuple[Blocker, ...]) -> str:
    """Who they are, in one line: `in the way: pid 4711 (application 'billing', …)`."""
    named = [described(blocker) for blocker in blockers[:_MOST_NAMED]]
    if len(blockers) > _MOST_NAMED:
        named.append(f"{len(blockers) - _MOST_NAMED} more")
    return f"in the way: {', '.join(named)}"


def waited_for(blockers: tuple[Blocker, ...]) -> str:
    """The first of them in a few words, for progress: `process 4711 (billing, idle)`."""
    if not blockers:
        return "a lock"
    first = blockers[0]
    known = ", ".join(filter(None, (first.application, first.state)))
    more = f" and {len(blockers) - 1} more" if len(blockers) > 1 else ""
    return f"process {first.pid}{f' ({known})' if known else ''}{more}"


def described(blocker: Blocker) -> str:
    """Who it is, since when, and what it has.

    Without its statement: the text goes into the ledger, and to callers who may not see that.
    """
    facts = [f"application '{blocker.application}'"] if blocker.application else []
    if blocker.user:
        facts.append(f"user '{blocker.user}'")
    if blocker.state not in ("", AUTOVACUUM) and blocker.pid:
        facts.append(blocker.state)
    if blocker.age_s is not None:
        facts.append(f"begun {blocker.age_s:.1f} s ago")
    if blocker.relation:
        facts.append(f"{blocker.mode} on {blocker.relation}")
    return f"{_name(blocker)} ({', '.join(facts)})" if facts else _name(blocker)


def way_out(blockers: tuple[Blocker, ...], database: str) -> str:
    """What to do about the first of them, as part of a sentence."""
    if not blockers:
        return "apply again later"
    first = blockers[0]
    if first.state == AUTOVACUUM:
        return "let it finish, and apply again"
    if first.pid == 0:
        return "end it with COMMIT PREPARED or ROLLBACK PREPARED, see pg_prepared_xacts"
    return f"let it finish, or end it: `dbops sessions terminate {database} {first.pid}`"


def _name(blocker: Blocker) -> str:
    if blocker.state == AUTOVACUUM:
        return f"autovacuum, pid {blocker.pid}"
    return f"pid {blocker.pid}" if blocker.pid else "a prepared transaction"
