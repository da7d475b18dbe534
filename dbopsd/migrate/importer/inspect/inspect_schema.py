"""Reads a file's schema, from SQLite's PRAGMAs and from the CREATE statements."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from dbopsd.migrate.importer.inspect.create_statement import (
    ForeignKeyClause,
    TableClauses,
    read_index,
    read_module,
    read_table,
)
from dbopsd.migrate.importer.inspect.foreign_keys import DeclaredKey, resolve
from dbopsd.migrate.importer.inspect.sql_tokens import UnreadableSql
from dbopsd.migrate.importer.model.source_schema import (
    SQLITE_COLLATIONS,
    IndexedColumn,
    SourceColumn,
    SourceIndex,
    SourceSchema,
    SourceTable,
    SourceTrigger,
    SourceView,
    VirtualTable,
    affinity_of,
    folded,
)

_OBJECTS: Final = """
    SELECT type, name, tbl_name, sql FROM main.sqlite_schema
    WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid
"""
_KINDS: Final = "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'"
_COLUMNS: Final = """
    SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?, 'main')
"""
_INDEXES: Final = """
    SELECT name, "unique", origin FROM pragma_index_list(?, 'main') ORDER BY seq DESC
"""
_INDEXED: Final = """
    SELECT name, "desc", coll FROM pragma_index_xinfo(?, 'main') WHERE key ORDER BY seqno
"""
# The last one declared has the number 0.
_FOREIGN_KEYS: Final = """
    SELECT id, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?, 'main')
    ORDER BY id DESC, seq
"""
_SEQUENCE: Final = """
    SELECT max(seq) FROM main.sqlite_sequence WHERE name = ? AND typeof(seq) = 'integer'
"""
_VIRTUAL_GENERATED, _STORED_GENERATED = 2, 3
_FTS3: Final = ("content", "segments", "segdir", "docsize", "stat")
_RTREE: Final = ("node", "rowid", "parent")
# SQLite tells the shadow tables of those modules only that it has.
_SHADOWS: Final = {
    "fts3": _FTS3,
    "fts4": _FTS3,
    "fts5": ("data", "idx", "content", "docsize", "config"),
    "rtree": _RTREE,
    "rtree_i32": _RTREE,
    "geopoly": _RTREE,
    "spellfix1": ("vocab",),
}


def inspect_schema(connection: sqlite3.Connection) -> SourceSchema:
    """The schema of the connection's main database.

    Whatever cannot be understood in full is in `unreadable`: an object that SQLite cannot work
    with, a table whose name or column has no proper text (it is not among the tables then), a
    table or index whose statement is not understood (it is, without what the statement has).
    Raises `sqlite3.DatabaseError` where SQLite cannot read the schema at all.
    """
    with _any_text(connection):
        return _Inspection(connection).read()


@dataclass(frozen=True)
class _Object:
    kind: str
    name: str
    table: str
    sql: str


@dataclass(frozen=True)
class _TableKind:
    type: str
    without_rowid: bool
    strict: bool


class _Inspection:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()
        self._cursor.row_factory = None
        self._unreadable: dict[str, str] = {}
        self._objects: list[_Object] = []
        self._kinds: dict[str, _TableKind] = {}
        self._keys: dict[str, list[DeclaredKey]] = {}

    def read(self) -> SourceSchema:
        self._objects = [
            _Object(kind, name, table, sql or "") for kind, name, table, sql in self._all(_OBJECTS)
        ]
        self._kinds = {
            name: _TableKind(kind, bool(without_rowid), bool(strict))
            for name, kind, without_rowid, strict in self._all(_KINDS)
        }
        virtual = [self._virtual(each) for each in self._tables("virtual")]
        shadows = {name for table in virtual for name in table.shadow_tables}
        ordinary = [each for each in self._tables("table", "shadow") if each.name not in shadows]
        tables = [table for each in ordinary if (table := self._table(each)) is not None]
        views = tuple(self._view(each) for each in self._of_kind("view"))
        no_tables = [each.name for each in virtual] + [each.name for each in views]
        return SourceSchema(
            tables=resolve(tables, no_tables, self._keys),
            views=views,
            triggers=tuple(
                SourceTrigger(_text(each.name), _text(each.table), self._sql(each))
                for each in self._of_kind("trigger")
            ),
            virtual_tables=tuple(virtual),
            encoding=self._pragma("encoding"),
            user_version=self._pragma("user_version"),
            application_id=self._pragma("application_id"),
            unreadable=self._unreadable,
        )

    def _all(self, query: str, *parameters: str) -> list[Any]:
        return self._cursor.execute(query, parameters).fetchall()

    def _pragma(self, name: str) -> Any:
        return self._all(f"PRAGMA main.{name}")[0][0]

    def _of_kind(self, kind: str) -> list[_Object]:
        return [each for each in self._objects if each.kind == kind]

    def _tables(self, *types: str) -> list[_Object]:
        found = (each for each in self._of_kind("table") if each.name in self._kinds)
        return [each for each in found if self._kinds[each.name].type in types]

    def _problem(self, name: str, problem: str) -> None:
        self._unreadable.setdefault(_text(name), problem)

    def _sql(self, each: _Object) -> str:
        if not _is_text(each.sql):
            self._problem(each.name, "its SQL holds bytes that are no UTF-8")
        return _text(each.sql)

    def _table(self, each: _Object) -> SourceTable | None:
        try:
            rows = self._all(_COLUMNS, each.name)
        except (sqlite3.Error, UnicodeEncodeError) as error:
            self._problem(each.name, f"SQLite cannot read it: {error}")
            return None
        if not all(_is_text(row[0]) and _is_text(row[1]) for row in rows):
            self._problem(each.name, "a column's name or type holds bytes that are no UTF-8")
            return None
        kind = self._kinds[each.name]
        clauses = self._clauses(each, [row[0] for row in rows])
        columns = tuple(
            _column(row, clauses, index, strict=kind.strict) for index, row in enumerate(rows)
        )
        key = tuple(row[0] for row in sorted(rows, key=lambda row: row[4]) if row[4])
        key_index, indexes = self._indexes(each.name, clauses)
        self._keys[each.name] = self._foreign_keys(each.name, clauses.foreign_keys)
        of_rowid = len(key) == 1 and key_index is None and not kind.without_rowid
        return SourceTable(
            name=each.name,
            columns=columns,
            primary_key=key,
            primary_key_name=clauses.primary_key_name,
            primary_key_collations=(
                tuple(column.collation for column in key_index.columns)
                if key_index is not None
                else ("BINARY",) * len(key)
            ),
            rowid_alias=key[0] if of_rowid else None,
            without_rowid=kind.without_rowid,
            strict=kind.strict,
            autoincrement=clauses.autoincrement,
            sequence=self._sequence(each.name) if clauses.autoincrement else None,
            indexes=indexes,
            checks=tuple(clauses.checks),
            conflicts=tuple(clauses.conflicts),
            sql=_text(each.sql),
        )

    def _clauses(self, each: _Object, names: list[str]) -> TableClauses:
        """What the statement has; without anything where it is not understood."""
        try:
            clauses = read_table(self._sql(each))
        except UnreadableSql as error:
            self._problem(each.name, error.message)
            return TableClauses()
        if [folded(column.name) for column in clauses.columns] != [folded(name) for name in names]:
            self._problem(each.name, "its SQL is not understood: SQLite finds other columns in it")
            return TableClauses()
        return clauses

    def _sequence(self, table: str) -> int | None:
        found = self._all(_SEQUENCE, table)[0][0]
        return None if found is None else int(found)

    def _indexes(
        self, table: str, clauses: TableClauses
    ) -> tuple[SourceIndex | None, tuple[SourceIndex, ...]]:
        """The index of the primary key, if it has one, and the other indexes."""
        statements = {each.name: each for each in self._of_kind("index")}
        names: dict[tuple[str, ...], str] = {}
        for constraint in clauses.uniques:
            if constraint.name is not None:
                names.setdefault(tuple(map(folded, constraint.columns)), constraint.name)
        key: SourceIndex | None = None
        indexes: list[SourceIndex] = []
        for name, unique, origin in self._all(_INDEXES, table):
            columns = tuple(
                IndexedColumn(column, None, bool(descending), _collation(collation))
                for column, descending, collation in self._all(_INDEXED, name)
            )
            if origin == "pk":
                key = SourceIndex(name, columns, unique=True, constraint=True)
            elif origin == "u":
                of_columns = tuple(folded(column.name or "") for column in columns)
                given = names.get(of_columns, name)
                indexes.append(SourceIndex(given, columns, unique=True, constraint=True))
            elif name in statements:
                index = self._created(statements[name], columns, unique=bool(unique))
                if index is not None:
                    indexes.append(index)
        return key, tuple(indexes)

    def _created(
        self, each: _Object, columns: tuple[IndexedColumn, ...], *, unique: bool
    ) -> SourceIndex | None:
        try:
            clauses = read_index(self._sql(each))
        except UnreadableSql as error:
            self._problem(each.name, error.message)
            return None
        if len(clauses.columns) != len(columns):
            self._problem(each.name, "its SQL is not understood: SQLite finds other columns in it")
            return None
        with_expressions = tuple(
            IndexedColumn(None, written, column.descending, column.collation)
            if column.name is None
            else column
            for column, written in zip(columns, clauses.columns, strict=True)
        )
        return SourceIndex(_text(each.name), with_expressions, unique, clauses.where)

    def _foreign_keys(self, table: str, clauses: list[ForeignKeyClause]) -> list[DeclaredKey]:
        found: dict[int, DeclaredKey] = {}
        for number, target, column, target_column, update, delete in self._all(
            _FOREIGN_KEYS, table
        ):
            key = found.setdefault(number, DeclaredKey(_text(target), update, delete))
            key.columns.append(column)
            if target_column is not None:
                key.target_columns.append(_text(target_column))
        keys = list(found.values())
        if len(clauses) != len(keys):
            self._problem(table, "its SQL is not understood: SQLite finds other foreign keys in it")
            return keys
        for key, clause in zip(keys, clauses, strict=True):
            key.name, key.deferred = clause.name, clause.deferred
        return keys

    def _view(self, each: _Object) -> SourceView:
        names: tuple[str, ...] = ()
        try:
            names = tuple(_text(row[0]) for row in self._all(_COLUMNS, each.name))
        except (sqlite3.Error, UnicodeEncodeError) as error:
            self._problem(each.name, f"SQLite cannot read it: {error}")
        return SourceView(_text(each.name), self._sql(each), names)

    def _virtual(self, each: _Object) -> VirtualTable:
        sql = self._sql(each)
        module = ""
        try:
            module = read_module(sql)
            self._all(_COLUMNS, each.name)
        except (UnreadableSql, sqlite3.Error, UnicodeEncodeError) as error:
            self._problem(each.name, f"SQLite cannot read it: {error}")
        shadows = tuple(map(_text, self._shadows(each.name, module)))
        return VirtualTable(_text(each.name), module, sql, shadows)

    def _shadows(self, name: str, module: str) -> Iterator[str]:
        known = {folded(f"{name}_{suffix}") for suffix in _SHADOWS.get(module.lower(), ())}
        for each in self._tables("table", "shadow"):
            shadow = self._kinds[each.name].type == "shadow"
            told = shadow and folded(each.name).startswith(folded(f"{name}_"))
            if told or folded(each.name) in known:
                yield each.name


def _column(row: Any, clauses: TableClauses, index: int, *, strict: bool) -> SourceColumn:
    name, declared, not_null, default, _key, hidden = row
    clause = clauses.columns[index] if clauses.columns else None
    generated = hidden in {_VIRTUAL_GENERATED, _STORED_GENERATED}
    return SourceColumn(
        name=name,
        declared_type=declared,
        affinity=affinity_of(declared, strict=strict),
        not_null=bool(not_null),
        default=None if default is None else _text(default),
        generated=(clause.generated if clause else None) or "" if generated else None,
        stored=hidden == _STORED_GENERATED,
        collation=_collation(clause.collation if clause else "BINARY"),
    )


def _collation(name: str) -> str:
    """SQLite's own in capitals; an application's as it is written."""
    return name.upper() if name.upper() in SQLITE_COLLATIONS else name


@contextmanager
def _any_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Have text that is no UTF-8 come as surrogates, and not as an error of the whole query."""
    before = connection.text_factory
    connection.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = before


def _is_text(text: str) -> bool:
    return text == _text(text)


def _text(text: str) -> str:
    """With U+FFFD for each byte that is no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
