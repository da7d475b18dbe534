"""Create keys, indexes and other objects on the staged tables, and analyse them."""

from dataclasses import replace
from typing import Final

from dbopsd.db.errors import StatementFailed
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import Fate, PlannedObject
from dbopsd.migrate.importer.postgres import schemas
from dbopsd.migrate.importer.postgres.sequences import advance_sequences
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import ImportRecord
from dbopsd.operations.gather_or_cancel import gather_or_cancel
from dbopsd.operations.kind import Run

# These are created per table, concurrently with those of other tables.
_PER_TABLE: Final = ("primary key", "unique", "index")
# The classes of SQLSTATE that are about the statement or the rows (data, integrity, syntax, what is
# not supported, a limit of a page or of a definition), and not about the server's state.
_SAYS_NO: Final = ("0A", "22", "23", "42", "54")
_NOT_ALLOWED: Final = "42501"


async def build_objects(run: Run, record: ImportRecord, processes: int) -> list[PlannedObject]:
    """Create the keys, indexes, constraints and views. Returns all objects with their fates."""
    numbered = [(number, each) for number, each in enumerate(record.plan.objects) if each.ddl]
    made: dict[int, PlannedObject] = {}

    def report_progress() -> None:
        run.progress("keys and indexes", len(made), len(numbered), "{object}")

    async def create(session: Session, number: int, planned: PlannedObject) -> None:
        made[number] = await create_object(session, record.import_id, number, planned)
        report_progress()

    by_table: dict[str, list[tuple[int, PlannedObject]]] = {}
    for number, each in numbered:
        if each.kind in _PER_TABLE:
            by_table.setdefault(each.table, []).append((number, each))
    report_progress()
    waiting = list(by_table.values())

    async def work() -> None:
        async with import_session(run.database) as session:
            while waiting:
                for number, each in waiting.pop():
                    await create(session, number, each)

    await gather_or_cancel(work() for _ in range(min(processes, len(waiting))))
    async with import_session(run.database) as session:
        # One after the other: a foreign key locks two tables.
        for number, each in numbered:
            if number not in made:
                await create(session, number, each)
    return [made.get(number, each) for number, each in enumerate(record.plan.objects)]


async def analyse_tables(run: Run, record: ImportRecord, processes: int) -> None:
    """Advance the sequences, freeze the rows and collect statistics."""
    waiting = sorted(record.plan.tables, key=lambda table: table.rows)
    total = len(waiting)

    async def work() -> None:
        async with import_session(run.database) as session:
            while waiting:
                table = waiting.pop()
                await advance_sequences(session, record.staging_schema, table)
                await schemas.vacuum(session, record.staging_schema, table)
                run.progress("statistics", total - len(waiting), total, "{table}")

    run.progress("statistics", 0, total, "{table}")
    await gather_or_cancel(work() for _ in range(min(processes, total)))


async def create_object(
    session: Session, import_id: str, number: int, planned: PlannedObject
) -> PlannedObject:
    """Create an object of the plan, once, and record its fate. Returns it with the fate."""
    recorded = await import_records.find_object(session, import_id, number)
    if recorded is not None:
        return replace(planned, fate=recorded[0], reason=recorded[1])
    async with session.transaction():
        made = await try_create_object(session, planned)
        await import_records.insert_object(session, import_id, number, made.fate, made.reason)
    return made


async def try_create_object(session: Session, planned: PlannedObject) -> PlannedObject:
    """Create an object in the open transaction. Returns it with the fate that it got."""
    problem = await find_problem(session, planned.ddl, planned.kind)
    if problem:
        return await _instead(session, planned, problem)
    if planned.validate:
        problem = await find_problem(session, planned.validate, planned.kind)
        if problem:
            row = await session.fetch_one(
                Statement(planned.violations, f"SELECT violations of a {planned.kind}")
            )
            count = row[0] if row else 0
            reason = f"NOT VALID: it does not hold for {count:,} rows, and holds for new ones"
            return replace(planned, fate=Fate.CHANGED, reason=reason)
    return planned


async def _instead(session: Session, planned: PlannedObject, problem: str) -> PlannedObject:
    if planned.fallback and not await find_problem(session, planned.fallback, planned.kind):
        reason = f"an index that is not unique: {problem}"
        return replace(planned, fate=Fate.CHANGED, reason=reason)
    return replace(planned, fate=Fate.NOT_CARRIED, reason=f"PostgreSQL refuses it: {problem}")


async def find_problem(session: Session, text: str, kind: str) -> str:
    """Run a statement in a savepoint. Returns why PostgreSQL refuses it; empty: it does not."""
    try:
        async with session.transaction():
            await session.execute(Statement(text, f"CREATE {kind}"))
    except StatementFailed as failure:
        if failure.sqlstate[:2] not in _SAYS_NO or failure.sqlstate == _NOT_ALLOWED:
            raise
        return failure.cause
    return ""
