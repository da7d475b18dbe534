"""The schemas of an import, and queries about their tables."""

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.postgres.sql import statement


async def create_schema(session: Session, schema: str) -> None:
    """Create a schema if it is missing."""
    # Not IF NOT EXISTS alone: that needs CREATE on the database though the schema is there.
    there = Statement(
        "SELECT to_regnamespace(quote_ident(%s)) IS NOT NULL", "SELECT to_regnamespace"
    )
    if await session.fetch_one(there, (schema,)) == (True,):
        return
    create = Statement("CREATE SCHEMA IF NOT EXISTS {schema}", "CREATE SCHEMA")
    await session.execute(create.with_identifiers(schema=schema))


async def drop_schema(session: Session, schema: str) -> None:
    """Drop a schema with everything in it."""
    drop = Statement("DROP SCHEMA IF EXISTS {schema} CASCADE", "DROP SCHEMA")
    await session.execute(drop.with_identifiers(schema=schema))


async def drop_empty_schema(session: Session, schema: str) -> None:
    """Drop an empty schema."""
    drop = Statement("DROP SCHEMA {schema}", "DROP SCHEMA")
    await session.execute(drop.with_identifiers(schema=schema))


async def fetch_page_count(session: Session, schema: str, table: PlannedTable) -> int:
    """How many pages a table has."""
    row = await session.fetch_one(statement("pages"), (quoted(schema, table.target),))
    return int(row[0]) if row and row[0] is not None else 0


async def vacuum(session: Session, schema: str, table: PlannedTable) -> None:
    """Freeze the rows of a table and collect its statistics."""
    text = Statement("VACUUM (FREEZE, ANALYZE) {table}", "VACUUM")
    await session.execute(text.with_identifiers(table=(schema, table.target)))
