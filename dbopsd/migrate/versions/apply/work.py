"""What every migration of a plan is run with, and what is known of it while it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from dbopsd.db.errors import ConnectionLost, ScriptFailed
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.apply.attempts import LockAttempts, LockLimits, OnLockWait
from dbopsd.migrate.versions.apply.errors import LockLost, MigrationFailed, TransactionEnded
from dbopsd.migrate.versions.apply.server_words import ServerWords
from dbopsd.migrate.versions.apply.session_state import WorkingSession
from dbopsd.migrate.versions.apply.statement_progress import StatementProgress, at_work
from dbopsd.migrate.versions.apply.watcher import Watcher
from dbopsd.migrate.versions.ledger.ledger import Ledger
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.model.reports import Blocker
from dbopsd.migrate.versions.plan.errors import MigrationInterrupted
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.sql.excerpt import excerpt
from dbopsd.migrate.versions.sql.lexer import SqlStatement
from dbopsd.migrate.versions.sql.positions import place

T = TypeVar("T")

_SYNTAX_ERROR: Final = "42601"


@dataclass(frozen=True)
class Work:
    """The sessions and the ledger of a plan, and what its rows in the ledger have in common."""

    database: str
    working: WorkingSession
    watcher: Watcher
    ledger: Ledger
    operation: str
    who: str
    lock_wait_s: float | None = None
    """None: as configured."""
    reason: str = ""
    backup: str = ""
    spent_s: dict[tuple[str, str], float] = field(default_factory=dict)
    """What migrations that lost the lock of migrations had used of their time for locks, by set and
    key."""
    on_wait: OnLockWait | None = None
    """Told of waits for locks."""
    on_work: Callable[[str], None] | None = None
    """Told about once a second of what takes longer than that."""

    @property
    def session(self) -> Session:
        """The one that does the work."""
        return self.working.session

    async def refuse_lost_lock(self) -> None:
        """Raise `LockLost` where a file gave back the lock of migrations."""
        if not await self.working.holds(self.ledger.lock_key):
            raise LockLost(self.database)

    async def keep_lock(self) -> None:
        """Take the lock of migrations again if a file gave it back. Raises `LockLost`."""
        key = self.ledger.lock_key
        if await self.working.holds(key):
            return
        row = await self.session.fetch_one(self.ledger.statement("try_lock"), (key.value,))
        if row != (True,):
            raise LockLost(self.database)


@dataclass
class Tally:
    """How far a migration is."""

    result: Result | None = None
    """As the ledger has it; None: it has nothing of this run."""
    statements_done: int = 0
    lock_attempts: int = 0
    lock_wait_s: float = 0.0
    blockers: tuple[Blocker, ...] = field(default=())

    def add(self, attempts: LockAttempts) -> None:
        """Count attempts that have ended, well or not. Statements share their first one."""
        self.lock_attempts = max(self.lock_attempts, 1) + max(attempts.count - 1, 0)
        self.lock_wait_s += attempts.waited_s
        self.blockers = attempts.blockers


def attempts_at(
    work: Work, planned: PlannedRun, limits: LockLimits, statement: str = ""
) -> LockAttempts:
    """The attempts at a migration, or at one of its statements, whose text is given."""
    tell = work.on_work

    def on_work(seconds: float, progress: StatementProgress | None) -> None:
        if tell is not None:
            tell(at_work(excerpt(statement, planned.script), seconds, progress))

    return LockAttempts(
        work.watcher,
        work.working.backend_pid,
        limits,
        database=work.database,
        migration=planned.script.path,
        spent_s=work.spent_s.get((planned.file.set, planned.file.key), 0.0),
        on_wait=work.on_wait,
        on_work=on_work,
    )


def limits_of(work: Work, planned: PlannedRun) -> LockLimits:
    """How long a migration may wait for locks."""
    return LockLimits.of(work.working.config, planned.script, work.lock_wait_s)


def statement_failed(
    work: Work,
    planned: PlannedRun,
    statements: list[SqlStatement],
    done: int,
    error: ScriptFailed,
    offset: int = 0,
) -> MigrationFailed:
    """What to say of the statement after `done` statements.

    `offset`: where in the script the text began that was sent.
    """
    script = planned.script
    # A syntax error of the text is found before the first statement runs: none was counted.
    of_text = error.sqlstate == _SYNTAX_ERROR and error.position is not None
    counted = done < len(statements) and not of_text
    failed = statements[done] if counted else None
    line = column = 0
    if error.position is not None:
        at = offset + error.position - 1
        line, column = place(script, at)
        failed = failed or next((each for each in statements if each.start <= at < each.end), None)
    elif failed is not None:
        line, column = place(script, failed.start)
    words = ServerWords.of(error, script)
    problem = MigrationProblem(
        reason=MigrationFailed.reason,
        message=words.public,
        set=planned.file.set,
        version=planned.file.version,
        path=script.path,
        line=line,
        column=column,
    )
    return MigrationFailed(
        work.database,
        problem,
        done + 1 if counted else 0,
        len(statements),
        error.sqlstate,
        excerpt=excerpt(failed.text, script) if failed else "",
        detail=words.detail,
    )


def connection_lost(planned: PlannedRun, error: ConnectionLost) -> ConnectionLost:
    """`error`, which names the file that it came upon."""
    return replace(error, statement=planned.script.path)


def transaction_ended(work: Work, planned: PlannedRun) -> TransactionEnded:
    """The error of a migration that ended the transaction that it ran in, or began one."""
    file = planned.file
    return TransactionEnded(work.database, file.set, file.version or file.name, planned.script.path)


def interruption(
    work: Work, planned: PlannedRun, run: LedgerRun, *, changed: bool = False, doubt: str = ""
) -> MigrationInterrupted:
    """The error of a migration that was cut off where nobody can tell what is done."""
    file = planned.file
    return MigrationInterrupted(
        work.database,
        file.set,
        file.version or file.name,
        planned.script.path,
        run.statements_done,
        run.statements,
        changed,
        doubt,
    )


def script_of(planned: PlannedRun, text: str) -> Statement:
    """What is sent of a migration, with a summary for its span that is the same for all."""
    summary = "MIGRATION" if planned.direction is Direction.UP else "MIGRATION ROLLBACK"
    return Statement(text, summary)
