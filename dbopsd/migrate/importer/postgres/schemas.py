"""Tables in a schema of their own, which nobody else sees or uses."""

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.postgres.sql import statement


async def set_search_path(session: Session, schema: str) -> None:
    """Have names without a schema be found in `schema`, until the transaction's end."""
    set_path = Statement("SET LOCAL search_path = {schema}", "SET search_path")
    await session.execute(set_path.with_identifiers(schema=schema))


async def create_schema(session: Session, schema: str) -> None:
    """Make a schema if it is not there."""
    # Not IF NOT EXISTS alone: that needs CREATE on the database though the schema is there.
    there = Statement(
        "SELECT to_regnamespace(quote_ident(%s)) IS NOT NULL", "SELECT to_regnamespace"
    )
    if await session.fetch_one(there, (schema,)) == (True,):
        return
    create = Statement("CREATE SCHEMA IF NOT EXISTS {schema}", "CREATE SCHEMA")
    await session.execute(create.with_identifiers(schema=schema))


async def drop_schema(session: Session, schema: str) -> None:
    """Remove a schema with all that is in it."""
    drop = Statement("DROP SCHEMA IF EXISTS {schema} CASCADE", "DROP SCHEMA")
    await session.execute(drop.with_identifiers(schema=schema))


async def drop_empty_schema(session: Session, schema: str) -> None:
    """Remove a schema that has nothing in it."""
    drop = Statement("DROP SCHEMA {schema}", "DROP SCHEMA")
    await session.execute(drop.with_identifiers(schema=schema))


async def fetch_page_count(session: Session, schema: str, table: PlannedTable) -> int:
    """How many pages a table has."""
    row = await session.fetch_one(statement("pages"), (quoted(schema, table.target),))
    return int(row[0]) if row and row[0] is not None else 0


async def vacuum(session: Session, schema: str, table: PlannedTable) -> None:
    """Leave a table as if it had long been there: frozen, with statistics."""
    text = Statement("VACUUM (FREEZE, ANALYZE) {table}", "VACUUM")
    await session.execute(text.with_identifiers(table=(schema, table.target)))


async def set_sequence(session: Session, schema: str, table: PlannedTable) -> None:
    """Have the table's identity go on after the largest number that was ever used."""
    if table.identity and table.last_number >= 1:
        parameters = (quoted(schema, table.target), table.identity, table.last_number)
        await session.execute(statement("set_sequence"), parameters)
