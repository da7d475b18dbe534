"""The staged tables: empty, without keys, in a schema that nobody else uses."""

from collections.abc import Iterable

from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.plan import ddl
from dbopsd.migrate.importer.postgres.schemas import create_schema, drop_schema, set_search_path
from dbopsd.migrate.importer.records import import_records
from dbopsd.migrate.importer.records.import_records import ImportRecord


async def create_staging(session: Session, record: ImportRecord) -> None:
    """Make the import's schema with its tables, empty and without keys, and remember it.

    Whatever an attempt that was cut off here has left goes first.
    """
    await import_records.create_tables(session)
    async with session.transaction():
        await drop_schema(session, record.staging_schema)
        await import_records.delete_record(session, record.import_id)
        await create_schema(session, record.staging_schema)
        await set_search_path(session, record.staging_schema)
        for table in creation_order(record.plan.tables):
            await session.execute(Statement(ddl.create_table(table), "CREATE TABLE"))
        await import_records.insert_record(session, record)


def creation_order(tables: Iterable[PlannedTable]) -> list[PlannedTable]:
    """Tables in an order to make them in.

    PostgreSQL calls the sequence of an identity `t_id_seq`, unless a table is called so already.
    """
    return sorted(tables, key=lambda table: not table.target.endswith("_seq"))
