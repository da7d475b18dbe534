"""How far a statement is that takes long, as far as the server tells."""

from dataclasses import dataclass
from typing import Final

from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql

_PROGRESS: Final = load_sql("dbopsd.migrate.versions.apply.sql", "statement_progress.sql").statement


@dataclass(frozen=True, slots=True)
class StatementProgress:
    """A phase of a statement. `done` and `total` are of the phase; `total` 0: it is not known."""

    command: str
    phase: str
    done: int
    total: int

    def __str__(self) -> str:
        text = f"{self.command}: {self.phase}"
        if self.total <= 0:
            return text
        # The server counts what has come since, too.
        return f"{text}, {min(100 * self.done // self.total, 100)} %"


async def statement_progress(session: Session, backend_pid: int) -> StatementProgress | None:
    """What the backend is at; None: nothing of which the server tells how far it is."""
    found = await session.fetch_all_as(StatementProgress, _PROGRESS, {"pid": backend_pid})
    return found[0] if found else None


def at_work(statement: str, seconds: float, progress: StatementProgress | None) -> str:
    """What a migration is at and for how long. `statement`: its first words, where it is known."""
    what = str(progress) if progress else statement
    return f"{what or 'at work'}, for {seconds:.0f} s"
