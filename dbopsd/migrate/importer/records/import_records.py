"""What the target database itself remembers of imports, in its schema `dbops`.

It is there, and not in the control store, because each of its rows is written in the transaction
that does what it tells of: a part is copied once, an import is published once.
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
"""The kind of what was published where the table was there and stayed."""


class RecordState(Enum):
    """How far an import has come."""

    STAGED = "STAGED"
    PUBLISHED = "PUBLISHED"
    REVERTED = "REVERTED"


@dataclass(frozen=True)
class MergeRecord:
    """How rows went in among others, and what is kept to take them out again."""

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
    """A table or view that an import brought, or the rows that it brought into a table."""

    name: str
    kind: str
    """TABLE or VIEW, or `ROWS`."""
    oid: int
    replaced: str = ""
    """The kind of what it took the place of, TABLE, VIEW, …, ROWS, which is kept; empty: none."""
    merged_rows: int = 0
    """Of ROWS: how many were added or changed."""
    deleted_rows: int = 0
    merge: MergeRecord | None = None
    """Of ROWS that took no others' place; None: an older version put them there."""


@dataclass(frozen=True)
class ImportRecord:
    """An import as the database remembers it."""

    import_id: str
    source: str
    target_schema: str
    staging_schema: str
    previous_schema: str
    state: RecordState
    plan: Plan
    published: tuple[PublishedRelation, ...] = field(default=())


_PUBLISHED: Final = TypeAdapter(tuple[PublishedRelation, ...])


def rehearsal_schema(import_id: str) -> str:
    """Where an import's plan is rehearsed; it is gone afterwards."""
    return f"dbops_try_{_short(import_id)}"


def staging_schema(import_id: str) -> str:
    """Where an import's tables are made."""
    return f"dbops_new_{_short(import_id)}"


def previous_schema(import_id: str) -> str:
    """Where the tables are kept that an import replaced."""
    return f"dbops_old_{_short(import_id)}"


def statement(name: str) -> Statement:
    """One of the statements in `sql/`."""
    return load_sql(SQL, f"{name}.sql").statement


async def create_tables(session: Session) -> None:
    """Have the records' own tables there. Needs CREATE on the database the first time."""
    if await session.fetch_one(statement("records_exist")) == (True,):
        return
    async with session.transaction():
        await session.execute(statement("lock_records"))
        await session.execute(statement("create_records"))


async def insert_record(session: Session, record: ImportRecord) -> None:
    """Remember a new import."""
    await session.execute(
        statement("insert_import"),
        (
            *(record.import_id, record.source, record.target_schema),
            *(record.staging_schema, record.previous_schema),
            _PLANS.dump_json(record.plan).decode(),
        ),
    )


async def find_record(session: Session, import_id: str) -> ImportRecord | None:
    """What is remembered of an import; None: nothing."""
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
    """What is remembered of an import. Raises `ImportNotFound`."""
    record = await find_record(session, import_id)
    if record is None:
        raise ImportNotFound(import_id, database)
    return record


async def lock_record(session: Session, import_id: str) -> None:
    """Have nobody else publish or revert an import until the transaction's end."""
    await session.fetch_all(statement("lock_import"), (import_id,))


async def delete_record(session: Session, import_id: str) -> None:
    """Remember nothing of an import any more, its rejects included."""
    if await session.fetch_one(statement("records_exist")) == (True,):
        await session.execute(statement("delete_import"), (import_id,))


async def set_published(
    session: Session, import_id: str, relations: tuple[PublishedRelation, ...]
) -> bool:
    """Mark it published; False: it was not waiting for that."""
    text = _PUBLISHED.dump_json(relations).decode()
    return await session.execute(statement("set_published"), (text, import_id)) == 1


async def begin_revert(session: Session, import_id: str) -> ImportRecord:
    """Mark it reverted, once it is certain that what is published is still what it brought.

    Raises `ImportNotPublished`.
    """
    await lock_record(session, import_id)
    record = await get_record(session, import_id, "")
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
    """What was recorded of a part of a table, as JSON has it; None: it is not copied yet."""
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
    """Record values that did not arrive: of each its key, column, reason, literal and bytes."""
    async with session.copy_in(statement("copy_rejects")) as stream:
        for each in rejects:
            await stream.write_row((import_id, table, *each))


async def measure_rejects(session: Session, import_id: str) -> tuple[int, int]:
    """How many values of an import did not arrive, and how many bytes the largest of them has."""
    row = await session.fetch_one(statement("measure_rejects"), (import_id,))
    return row if row is not None else (0, 0)


def stream_rejects(
    session: Session, import_id: str, batch_rows: int
) -> AsyncGenerator[tuple[Any, ...], None]:
    """The values that did not arrive, `batch_rows` of them in memory at once.

    Each with table, key, column, reason, literal and bytes. Close it if it is left early.
    """
    return session.stream(statement("rejects"), (import_id,), batch_rows=batch_rows)


async def find_object(session: Session, import_id: str, number: int) -> tuple[Fate, str] | None:
    """What became of an object of the plan, by its number; None: it is not made yet."""
    row = await session.fetch_one(statement("find_object"), (import_id, number))
    return None if row is None else (Fate(row[0]), row[1])


async def insert_object(
    session: Session, import_id: str, number: int, fate: Fate, reason: str
) -> None:
    """Record what became of an object."""
    await session.execute(statement("insert_object"), (import_id, number, fate.value, reason))


def _short(import_id: str) -> str:
    return import_id.replace("-", "_")[-_HASH_LENGTH:]


@dataclass(frozen=True)
class PublishedTable:
    """A target table, by the table of the source that its rows are from."""

    source: str
    kept: bool = False
    """Whether what stood there before is kept, or the rows of it that gave way."""
    merged_rows: int = 0
    """That were added or changed, where the table stayed."""
    deleted_rows: int = 0
    irreversible_reason: str = ""
    """Why the import cannot be reverted, for people; empty: it can."""


def published_tables(record: ImportRecord) -> list[PublishedTable]:
    """What the record of a published import says of each table."""
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
