"""Creates what the staged tables have besides rows, and collects their statistics."""

from typing import Final

from dbopsd.db.session import Session
from dbopsd.migrate.importer.build import create_objects
from dbopsd.migrate.importer.model.plan import PlannedObject
from dbopsd.migrate.importer.postgres import schemas
from dbopsd.migrate.importer.processes.concurrent_work import gather_or_cancel
from dbopsd.migrate.importer.processes.resources import import_session
from dbopsd.migrate.importer.records.import_records import ImportRecord
from dbopsd.operations.kind import Run

# Of one table, and side by side with those of other tables.
_OF_A_TABLE: Final = ("primary key", "unique", "index")


async def build_objects(run: Run, record: ImportRecord, processes: int) -> list[PlannedObject]:
    """Create the keys, indexes, constraints and views. Returns all objects with their fates."""
    numbered = [(number, each) for number, each in enumerate(record.plan.objects) if each.ddl]
    made: dict[int, PlannedObject] = {}

    def tell() -> None:
        run.progress("keys and indexes", len(made), len(numbered), "{object}")

    async def make(session: Session, number: int, planned: PlannedObject) -> None:
        made[number] = await create_objects.create_object(
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

    await gather_or_cancel(work() for _ in range(min(processes, len(waiting))))
    async with import_session(run.database) as session:
        # One after the other: a foreign key locks two tables.
        for number, each in numbered:
            if number not in made:
                await make(session, number, each)
    return [made.get(number, each) for number, each in enumerate(record.plan.objects)]


async def analyse_tables(run: Run, record: ImportRecord, processes: int) -> None:
    """Advance the sequences, freeze the rows and collect statistics."""
    waiting = sorted(record.plan.tables, key=lambda table: table.rows)
    total = len(waiting)

    async def work() -> None:
        async with import_session(run.database) as session:
            while waiting:
                table = waiting.pop()
                await schemas.set_sequence(session, record.staging_schema, table)
                await schemas.vacuum(session, record.staging_schema, table)
                run.progress("statistics", total - len(waiting), total, "{table}")

    run.progress("statistics", 0, total, "{table}")
    await gather_or_cancel(work() for _ in range(min(processes, total)))
