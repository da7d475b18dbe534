"""Keys, indexes, constraints, views, sequences and statistics of the staged tables."""

from contextlib import AbstractAsyncContextManager
from typing import Final

from dbopsd.db.database import Database
from dbopsd.db.session import Session
from dbopsd.migrate.importer.planning.plan import PlannedObject
from dbopsd.migrate.importer.target import making, staging
from dbopsd.migrate.importer.target.records import ImportRecord
from dbopsd.migrate.importer.together import together
from dbopsd.operations.kind import Run

_APPLICATION: Final = "dbopsd import"
# Of one table, and side by side with those of other tables.
_OF_A_TABLE: Final = ("primary key", "unique", "index")

# An import takes the time that it takes, and is ended by cancelling the operation.
SETTINGS: Final = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "maintenance_work_mem": "256MB",
    "client_min_messages": "error",
}


def import_session(database: Database) -> AbstractAsyncContextManager[Session]:
    """A session for statements that may take long. Raises a `ConnectFailed`."""
    return database.dedicated_session(
        "write", application_name=_APPLICATION, query_timeout_s=None, settings=SETTINGS
    )


async def make_objects(run: Run, record: ImportRecord, processes: int) -> list[PlannedObject]:
    """Make what the plan has besides tables; the plan's objects, with what became of them."""
    numbered = [(number, each) for number, each in enumerate(record.plan.objects) if each.ddl]
    made: dict[int, PlannedObject] = {}

    def tell() -> None:
        run.progress("keys and indexes", len(made), len(numbered), "{object}")

    async def make(session: Session, number: int, planned: PlannedObject) -> None:
        made[number] = await making.make(
            session, record.staging_schema, record.import_id, number, planned
        )
        tell()

    by_table: dict[str, list[tuple[int, PlannedObject]]] = {}
    for number, each in numbered:
        if each.kind in _OF_A_TABLE:
            by_table.setdefault(each.table, []).append((number, each))
    tell()
    waiting = list(by_table.values())

    async def work() -> None:
        async with import_session(run.database) as session:
            while waiting:
                for number, each in waiting.pop():
                    await make(session, number, each)

    await together(work() for _ in range(min(processes, len(waiting))))
    async with import_session(run.database) as session:
        # One after the other: a foreign key locks two tables.
        for number, each in numbered:
            if number not in made:
                await make(session, number, each)
    return [made.get(number, each) for number, each in enumerate(record.plan.objects)]


async def settle(run: Run, record: ImportRecord, processes: int) -> None:
    """Sequences past the largest number, rows frozen, statistics there."""
    waiting = sorted(record.plan.tables, key=lambda table: table.rows)
    total = len(waiting)

    async def work() -> None:
        async with import_session(run.database) as session:
            while waiting:
                table = waiting.pop()
                await staging.set_sequence(session, record.staging_schema, table)
                await staging.vacuum(session, record.staging_schema, table)
                run.progress("statistics", total - len(waiting), total, "{table}")

    run.progress("statistics", 0, total, "{table}")
    await together(work() for _ in range(min(processes, total)))
