"""Plan primary keys, UNIQUE constraints and indexes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.model.plan import Fate, PlannedColumn, PlannedObject, PlannedTable
from dbopsd.migrate.importer.model.source_profile import TableProfile
from dbopsd.migrate.importer.model.source_schema import (
    SQLITE_COLLATIONS,
    IndexedColumn,
    SourceIndex,
    SourceTable,
)
from dbopsd.migrate.importer.plan import ddl
from dbopsd.migrate.importer.plan.names import Namespace
from dbopsd.migrate.importer.translate.translator import (
    NotTranslatable,
    Translator,
    without_catalog,
)

_WITHOUT_ORDER: Final = ("json",)
# What SQLite calls the index of a constraint.
_AUTOMATIC: Final = "sqlite_autoindex_"
_TEXTS: Final = ("text", "character varying")
# PostgreSQL compares by the database's collation then, and takes other values for equal.
_LOST: Final = "the collation {} is the application's own: the database's default compares instead"
_FOLDED: Final = {
    "NOCASE": 'pg_catalog.lower({} COLLATE pg_catalog."C")',
    "RTRIM": "pg_catalog.rtrim({}, ' ')",
}


@dataclass(frozen=True)
class TableContext:
    """A table as it is, as it is planned, and what its expressions become."""

    source: SourceTable
    planned: PlannedTable
    profile: TableProfile
    translator: Translator
    schema: str
    """Where it is created."""

    @property
    def target(self) -> str:
        """Its quoted name in PostgreSQL, with its schema."""
        return quoted(self.schema, self.planned.target)

    def column(self, name: str) -> PlannedColumn | None:
        """The planned column of that name in the source; None: it is not carried."""
        return next((each for each in self.planned.columns if each.source == name), None)


def plan_keys(parts: TableContext, names: Namespace) -> Iterator[PlannedObject]:
    """The primary key, the UNIQUE constraints and the indexes of a table."""
    if parts.source.primary_key:
        yield from _primary_key(parts, names)
    for index in parts.source.indexes:
        yield _index(parts, index, names)


def unique_columns(parts: TableContext) -> set[frozenset[str]]:
    """The sets of source columns that are unique in PostgreSQL as they are."""
    found = {frozenset(parts.source.primary_key)}
    for index in parts.source.indexes:
        plain = all(each.name and not _is_folded(parts, each) for each in index.columns)
        if index.unique and not index.where and plain:
            found.add(frozenset(each.name for each in index.columns if each.name))
    return found


def _primary_key(parts: TableContext, names: Namespace) -> Iterator[PlannedObject]:
    source, planned = parts.source, parts.planned
    name, _ = names.take(f"{planned.target}_pkey")
    about = ("primary key", source.name)
    columns = [parts.column(column) for column in source.primary_key]
    problem = _not_to_be_had(columns)
    if problem:
        yield PlannedObject(*about, Fate.NOT_CARRIED, problem, table=source.name)
        return
    carried = [column for column in columns if column is not None]
    targets = [column.target for column in carried]
    without = [each.target for each in carried if not each.not_null]
    fallback = ddl.create_index(parts.target, name, list(map(quoted, targets)), unique=False)
    compared = [
        IndexedColumn(each, collation=collation)
        for each, collation in zip(source.primary_key, source.primary_key_collations, strict=True)
    ]
    reasons = [_LOST.format(each.collation) for each in compared if _is_lost(parts, each)]
    if without:
        reasons.append(
            f"a UNIQUE constraint: {', '.join(without)} may be NULL, as it is in some rows"
        )
    made = ddl.add_key(parts.target, name, "UNIQUE" if without else "PRIMARY KEY", targets)
    yield PlannedObject(
        *(*about, Fate.CHANGED if reasons else Fate.CARRIED, "; ".join(reasons)),
        ddl=made,
        table=source.name,
        target=name,
        fallback=fallback,
    )
    if any(_is_folded(parts, each) for each in compared):
        yield _index(parts, SourceIndex(_AUTOMATIC, tuple(compared), unique=True), names)


def _index(parts: TableContext, index: SourceIndex, names: Namespace) -> PlannedObject:
    source, planned = parts.source, parts.planned
    kind = "unique" if index.unique else "index"
    automatic = index.name.startswith(_AUTOMATIC)
    shown = f"{source.name} ({_shown(index.columns)})" if automatic else index.name
    problem = _not_to_be_had(
        parts.column(each.name) for each in index.columns if each.name is not None
    )
    if problem:
        return PlannedObject(kind, shown, Fate.NOT_CARRIED, problem, table=source.name)
    reasons: list[str] = []
    try:
        elements = [_element(parts, each, reasons) for each in index.columns]
        where = parts.translator.condition(index.where) if index.where else ""
    except NotTranslatable as why:
        return PlannedObject(kind, shown, Fate.NOT_CARRIED, str(why), table=source.name)
    wanted = f"{planned.target}_{'_'.join(_targets(parts, index))}_key"
    name, renamed = names.take(wanted if automatic else index.name)
    if renamed and not automatic:
        reasons.append(f"it is called '{name}': {renamed}")
    fate = Fate.CHANGED if reasons else Fate.CARRIED
    folded = any(_is_folded(parts, each) for each in index.columns)
    if index.constraint and not where and not folded:
        made = ddl.add_key(parts.target, name, "UNIQUE", _targets(parts, index))
    else:
        made = ddl.create_index(parts.target, name, elements, unique=index.unique, where=where)
    fallback = ddl.create_index(parts.target, name, elements, unique=False, where=where)
    return PlannedObject(
        kind,
        shown,
        fate,
        "; ".join(reasons),
        made,
        source.name,
        target=name,
        fallback=fallback if index.unique else "",
    )


def _element(parts: TableContext, indexed: IndexedColumn, reasons: list[str]) -> str:
    """An element of an index, with its order. Adds to `reasons` what is not as it was."""
    order = " DESC" if indexed.descending else ""
    if _is_lost(parts, indexed):
        reasons.append(_LOST.format(indexed.collation))
    if indexed.name is None:
        value = f"({parts.translator.value(indexed.expression or '', '')})"
    else:
        column = next(each for each in parts.planned.columns if each.source == indexed.name)
        value = quoted(column.target)
    if not _is_folded(parts, indexed):
        return value + order
    folded = _FOLDED[indexed.collation].format(value)
    reasons.append(f"over {without_catalog(folded)}, which is what {indexed.collation} compares")
    return folded + order


def _is_folded(parts: TableContext, indexed: IndexedColumn) -> bool:
    """Whether PostgreSQL compares a form of the value, as SQLite's collation has it."""
    return indexed.collation in _FOLDED and _holds_text(parts, indexed)


def _is_lost(parts: TableContext, indexed: IndexedColumn) -> bool:
    """Whether SQLite compares the value by a collation that only the application has."""
    return indexed.collation not in SQLITE_COLLATIONS and _holds_text(parts, indexed)


def _holds_text(parts: TableContext, indexed: IndexedColumn) -> bool:
    if indexed.name is None:
        return parts.translator.is_text(indexed.expression or "")
    column = parts.column(indexed.name)
    return column is not None and column.type.startswith(_TEXTS)


def _targets(parts: TableContext, index: SourceIndex) -> list[str]:
    columns = [parts.column(each.name) for each in index.columns if each.name is not None]
    return [column.target for column in columns if column is not None]


def _shown(columns: Iterable[IndexedColumn]) -> str:
    return ", ".join(each.name or each.expression or "" for each in columns)


def _not_to_be_had(columns: Iterable[PlannedColumn | None]) -> str:
    """Why there can be no index over the columns; empty: there can."""
    for column in columns:
        if column is None:
            return "a column of it is not carried"
        if column.type in _WITHOUT_ORDER:
            return f"PostgreSQL has no order for {column.type}, the type of '{column.target}'"
    return ""
