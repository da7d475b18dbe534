"""Create the staged tables in a separate schema, empty and without keys."""

from collections.abc import Iterable

from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.plan import ddl
from dbopsd.migrate.importer.postgres.schemas import create_schema, drop_schema
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import ImportRecord


async def create_staging(session: Session, record: ImportRecord) -> None:
    """Create the import's schema with its empty tables, and record the import.

    What an interrupted attempt left is dropped first.
    """
    await import_records.create_tables(session)
    async with session.transaction():
        await drop_schema(session, record.staging_schema)
        await import_records.delete_record(session, record.import_id)
        await create_schema(session, record.staging_schema)
        for table in creation_order(record.plan.tables):
            create = ddl.create_table(record.staging_schema, table)
            await session.execute(Statement(create, "CREATE TABLE"))
        await import_records.insert_record(session, record)


def creation_order(tables: Iterable[PlannedTable]) -> list[PlannedTable]:
    """The tables in the order in which to create them.

    PostgreSQL calls the sequence of an identity `t_id_seq`, unless a table has that name already.
    """
    return sorted(tables, key=lambda table: not table.target.endswith("_seq"))
