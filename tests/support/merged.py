"""Rows that are staged by hand and merged into tables that others have rows in, and taken out."""

from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import Plan, PlannedTable
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest, Mode, Target
from dbopsd.migrate.importer.publish import publication
from dbopsd.migrate.importer.records import import_records
from tests.support.staged import column, person, stage


def asked(mode: Mode, *, delete_missing: bool = False) -> ImportRequest:
    """Into tables that are there."""
    return ImportRequest(
        "/srv/new.db", target=Target.EXISTING, mode=mode, delete_missing=delete_missing
    )


UPSERT, MIRROR = asked(Mode.UPSERT), asked(Mode.UPSERT, delete_missing=True)
APPEND = asked(Mode.APPEND)


def merged_table(name: str, *columns: str, key: tuple[str, ...] = ("id",)) -> PlannedTable:
    """Columns `id integer` and others, of text."""
    others = (column(each, "text") for each in columns)
    return PlannedTable(name, name, (column("id", "integer"), *others), key=key)


def do(dsn: str, script: str) -> None:
    """As somebody else."""
    with person(dsn) as connection:
        connection.execute(script)


def everything(dsn: str) -> dict[str, list[str]]:
    """Each row of each table, as its text."""
    with person(dsn) as connection:
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r'"
        ).fetchall()
        return {
            name: [
                row[0] for row in connection.execute(f"SELECT t::text FROM {name} AS t ORDER BY 1")
            ]
            for (name,) in names
        }


async def merge(
    session: Session,
    dsn: str,
    request: ImportRequest,
    rows: str,
    *tables: PlannedTable,
    who: str = "new",
) -> None:
    """Have `rows`, the statements that make them, staged and merged by an import."""
    record = await stage(session, dsn, who, plan=Plan(tables), rows=rows)
    await publication.publish(session, record, request)


async def take_back(session: Session, who: str = "new") -> list[RevertedTable]:
    """Revert an import."""
    return await publication.revert(session, await import_records.get_record(session, who, "main"))


P, U, KEYS = merged_table("p", "v"), merged_table("u", "email"), merged_table("u")
PARTITIONED = """
CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
INSERT INTO p VALUES (1, 'a');
"""
UNIQUE = "CREATE TABLE u (id int PRIMARY KEY, email text UNIQUE);"
