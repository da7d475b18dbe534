"""The records of imports in the target database, in its schema `dbops`.

They are not in the control store, because each record is written in the transaction that it
describes. So a part is copied once, and an import is published once.
"""

import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from pydantic import TypeAdapter

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql
from dbopsd.migrate.importer.model.plan import Fate, Plan
from dbopsd.migrate.importer.model.target_errors import ImportNotFound, ImportNotPublished

SQL: Final = "dbopsd.migrate.importer.records.sql"

_PLANS: Final = TypeAdapter(Plan)
_HASH_LENGTH: Final = 20
ROWS: Final = "ROWS"
"""The kind of a published relation whose table existed before and stayed."""


class RecordState(Enum):
    """How far an import has come."""

    STAGED = "STAGED"
    PUBLISHED = "PUBLISHED"
    REVERTED = "REVERTED"


@dataclass(frozen=True)
class MergeRecord:
    """How rows were merged into a table, and what is kept to revert that."""

    whole: bool
    """Whether rows that the file has not were deleted: then the table has the file's rows only."""
    key: tuple[str, ...] = ()
    """The columns that identify a row; empty: all its values do, and several rows may be equal."""
    before: str = ""
    """The table of the previous schema with changed and deleted rows as they were before; empty:
    there were none."""
    after: str = ""
    """The table of the previous schema with added and changed rows as they were written; empty:
    there were none."""
    irreversible_reason: str = ""
    """Why it cannot be reverted, for people; empty: it can."""


@dataclass(frozen=True)
class PublishedRelation:
    """A table or view that an import published, or a table that it put rows into."""

    name: str
    kind: str
    """TABLE or VIEW, or `ROWS`."""
    oid: int
    replaced: str = ""
    """The kind of what it replaced and what is kept: TABLE, VIEW, …, ROWS; empty: nothing."""
    merged_rows: int = 0
    """For ROWS: how many rows were added or changed."""
    deleted_rows: int = 0
    merge: MergeRecord | None = None
    """For ROWS that replaced no others; None: an older version merged them."""


@dataclass(frozen=True)
class ImportRecord:
    """The record of an import."""

    import_id: str
    source: str
    target_schema: str
    staging_schema: str
    previous_schema: str
    state: RecordState
    plan: Plan
    published: tuple[PublishedRelation, ...] = field(default=())


@dataclass(frozen=True)
class PublishedTable:
    """A target table, by the table of the source that its rows are from."""

    source: str
    kept: bool = False
    """Whether the replaced table, or rows of it, are kept."""
    merged_rows: int = 0
    """The rows that were added or changed in a table that stayed."""
    deleted_rows: int = 0
    irreversible_reason: str = ""
    """Why the import cannot be reverted, for people; empty: it can."""


_PUBLISHED: Final = TypeAdapter(tuple[PublishedRelation, ...])


def staging_schema(import_id: str) -> str:
    """The schema in which an import's plan is rehearsed, and its tables are created."""
    return f"dbops_new_{_short(import_id)}"


def previous_schema(import_id: str) -> str:
    """The schema that keeps what an import replaced."""
    return f"dbops_old_{_short(import_id)}"


def statement(name: str) -> Statement:
    """One of the statements in `sql/`."""
    return load_sql(SQL, f"{name}.sql").statement


async def create_tables(session: Session) -> None:
    """Create the tables of the records if they are missing. Needs CREATE on the database then."""
    if await session.fetch_one(statement("records_exist")) == (True,):
        return
    async with session.transaction():
        await session.execute(statement("lock_records"))
        await session.execute(statement("create_records"))


async def insert_record(session: Session, record: ImportRecord) -> None:
    """Record a new import."""
    await session.execute(
        statement("insert_import"),
        (
            *(record.import_id, record.source, record.target_schema),
            *(record.staging_schema, record.previous_schema),
            _PLANS.dump_json(record.plan).decode(),
        ),
    )


async def find_record(session: Session, import_id: str) -> ImportRecord | None:
    """The record of an import; None: there is none."""
    if await session.fetch_one(statement("records_exist")) != (True,):
        return None
    row = await session.fetch_one(statement("find_import"), (import_id,))
    if row is None:
        return None
    found_id, source, target, staging, previous, state, plan, published = row
    return ImportRecord(
        *(found_id, source, target, staging, previous),
        state=RecordState(state),
        plan=_PLANS.validate_json(plan),
        published=_PUBLISHED.validate_json(published),
    )


async def get_record(session: Session, import_id: str, database: str) -> ImportRecord:
    """The record of an import. Raises `ImportNotFound`."""
    record = await find_record(session, import_id)
    if record is None:
        raise ImportNotFound(import_id, database)
    return record


async def lock_record(session: Session, import_id: str) -> ImportRecord:
    """The record of an import. Others cannot publish or revert it until the transaction ends."""
    await session.fetch_all(statement("lock_import"), (import_id,))
    return await get_record(session, import_id, "")


async def delete_record(session: Session, import_id: str) -> None:
    """Delete the record of an import, with its parts, objects and rejects."""
    if await session.fetch_one(statement("records_exist")) == (True,):
        await session.execute(statement("delete_import"), (import_id,))


async def set_published(
    session: Session, import_id: str, relations: tuple[PublishedRelation, ...]
) -> bool:
    """Mark an import published. Returns False if it was not STAGED."""
    text = _PUBLISHED.dump_json(relations).decode()
    return await session.execute(statement("set_published"), (text, import_id)) == 1


async def begin_revert(session: Session, import_id: str) -> ImportRecord:
    """Mark an import reverted, if what it published is still there.

    Raises `ImportNotPublished`.
    """
    record = await lock_record(session, import_id)
    if not await session.execute(statement("set_reverted"), (import_id,)):
        problem = f"is {record.state.value}, and only a PUBLISHED one can be reverted"
        raise ImportNotPublished(import_id, problem)
    for relation in record.published:
        if await relation_oid(session, record.target_schema, relation.name) != relation.oid:
            name = quoted(record.target_schema, relation.name)
            problem = (
                f"cannot be reverted: {name} is not what it brought any more; revert what came "
                "after it first"
            )
            raise ImportNotPublished(import_id, problem)
    return record


async def relation_oid(session: Session, schema: str, name: str) -> int:
    """The oid of a table or view; 0: there is none."""
    rows = await fetch_relations(session, schema, [name])
    return rows[0][0] if rows else 0


async def fetch_relations(
    session: Session, schema: str, names: Sequence[str]
) -> list[tuple[int, str, str]]:
    """The oid, name and `pg_class.relkind` of those of the names that are relations."""
    rows = await session.fetch_all(statement("relations"), (schema, list(names)))
    return [(int(oid), name, relkind) for oid, name, relkind in rows]


async def find_part(session: Session, import_id: str, table: str, part: int) -> object | None:
    """The record of a copied part of a table, decoded JSON; None: it is not copied yet."""
    row = await session.fetch_one(statement("find_part"), (import_id, table, part))
    return None if row is None else json.loads(row[0])


async def insert_part(
    session: Session, import_id: str, table: str, part: int, copied: object
) -> None:
    """Record that a part is copied."""
    parameters = (import_id, table, part, json.dumps(copied))
    await session.execute(statement("insert_part"), parameters)


async def insert_rejects(
    session: Session,
    import_id: str,
    table: str,
    rejects: Iterable[tuple[str, str, str, str, bytes | None]],
) -> None:
    """Record rejected values, each with key, column, reason, literal and bytes."""
    async with session.copy_in(statement("copy_rejects")) as stream:
        for each in rejects:
            await stream.write_row((import_id, table, *each))


async def measure_rejects(session: Session, import_id: str) -> tuple[int, int]:
    """The number of an import's rejected values, and the size in bytes of the largest."""
    row = await session.fetch_one(statement("measure_rejects"), (import_id,))
    return row if row is not None else (0, 0)


def stream_rejects(
    session: Session, import_id: str, batch_rows: int
) -> AsyncGenerator[tuple[Any, ...], None]:
    """The rejected values, `batch_rows` of them in memory at once.

    Each has table, key, column, reason, literal and bytes. Close the generator to leave it early.
    """
    return session.stream(statement("rejects"), (import_id,), batch_rows=batch_rows)


async def find_object(session: Session, import_id: str, number: int) -> tuple[Fate, str] | None:
    """The recorded fate of an object of the plan, by its number; None: it is not created yet."""
    row = await session.fetch_one(statement("find_object"), (import_id, number))
    return None if row is None else (Fate(row[0]), row[1])


async def insert_object(
    session: Session, import_id: str, number: int, fate: Fate, reason: str
) -> None:
    """Record the fate of an object."""
    await session.execute(statement("insert_object"), (import_id, number, fate.value, reason))


def published_tables(record: ImportRecord) -> list[PublishedTable]:
    """Each table of a published import, from its record."""
    published = {relation.name: relation for relation in record.published}
    return [
        PublishedTable(
            table.source,
            kept=_is_kept(published[table.target]),
            merged_rows=published[table.target].merged_rows,
            deleted_rows=published[table.target].deleted_rows,
            irreversible_reason=_irreversible_reason(published[table.target]),
        )
        for table in record.plan.tables
    ]


def _is_kept(relation: PublishedRelation) -> bool:
    merge = relation.merge
    return bool(relation.replaced or (merge and (merge.before or merge.after)))


def _irreversible_reason(relation: PublishedRelation) -> str:
    return relation.merge.irreversible_reason if relation.merge else ""


def _short(import_id: str) -> str:
    return import_id.replace("-", "_")[-_HASH_LENGTH:]
