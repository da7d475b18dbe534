"""What a SQLite file holds, read with plain `sqlite3` from a copy of it."""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.support.judging import ddl
from tests.support.judging.overrides import Overrides
from tests.support.judging.values import Text, Value, number_text

_MOST_RESULTS: Final = 2000
"""Columns of a query, to SQLite."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    declared: str
    not_null: bool
    default: str | None
    generated: bool
    collation: str


@dataclass(frozen=True)
class Index:
    """An index, of a UNIQUE constraint or created as one."""

    name: str
    unique: bool
    constraint: bool
    columns: tuple[str | None, ...]
    """None: an expression, or the rowid."""
    descending: tuple[bool, ...]
    collations: tuple[str, ...]
    condition: str


@dataclass(frozen=True)
class Reference:
    """A foreign key; `pairs` are its columns with those that they point to."""

    to: str
    pairs: tuple[tuple[str, str | None], ...]
    on_update: str
    on_delete: str


@dataclass
class Table:
    """An ordinary table with all its rows."""

    name: str
    sql: str
    columns: list[Column]
    key: list[str]
    """Its primary key columns, in the key's order."""
    rowid_alias: str | None
    indexes: list[Index] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    orphans: set[int] = field(default_factory=set)
    """The places in `references` of those that do not hold for some row."""
    sequence: int | None = None
    rows: list[tuple[Value, ...]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    """What a report calls each row; empty: nothing names it."""
    largest_rowid: int | None = None

    def column(self, name: str) -> Column | None:
        return next((each for each in self.columns if each.name.lower() == name.lower()), None)


@dataclass
class Source:
    """A whole file."""

    tables: dict[str, Table]
    views: list[str]
    triggers: list[str]
    virtual: list[str]
    shadows: list[str]
    connection: sqlite3.Connection
    """To a copy, to ask more; its texts are `Text`."""

    def find(self, name: str) -> Table | None:
        """The table of that name in any case."""
        return next(
            (each for each in self.tables.values() if each.name.lower() == name.lower()), None
        )


@contextmanager
def opened(path: Path, overrides: Overrides) -> Iterator[Source]:
    """Everything that the file holds; the file itself is never opened."""
    with TemporaryDirectory() as directory:
        copy = Path(directory) / "copy.db"
        for suffix in ("", "-wal", "-journal"):
            if Path(f"{path}{suffix}").exists():
                shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
        with closing(_connect(copy)) as schema:
            found = _schema(schema)
        with closing(_connect(copy)) as connection:
            connection.text_factory = Text
            for table in found["tables"].values():
                _read(connection, table, overrides)
            yield Source(**found, connection=connection)


def _connect(copy: Path) -> sqlite3.Connection:
    """With the collation that the hostile files' applications have."""
    connection = sqlite3.connect(copy, isolation_level=None)
    connection.create_collation("unicase", lambda a, b: (a > b) - (a < b))
    return connection


def quoted(name: str) -> str:
    """A name as SQL has it, in both databases."""
    return '"' + name.replace('"', '""') + '"'


def _schema(connection: sqlite3.Connection) -> dict[str, Any]:
    listed = [
        (name, kind)
        for schema, name, kind, *_ in connection.execute("PRAGMA main.table_list")
        if schema == "main" and not name.lower().startswith("sqlite_")
    ]
    kinds: dict[str, list[str]] = {"table": [], "view": [], "virtual": [], "shadow": []}
    for name, kind in listed:
        kinds[kind].append(name)
    written = {
        (kind, name): sql
        for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema")
    }
    return {
        "tables": {
            name: _table(connection, name, written[("table", name)], written)
            for name in kinds["table"]
        },
        # A view that is broken is not in the list.
        "views": [name for kind, name in written if kind == "view"],
        "triggers": [name for kind, name in written if kind == "trigger"],
        "virtual": [
            name
            for (kind, name), sql in written.items()
            if kind == "table" and sql and sql.upper().lstrip().startswith("CREATE VIRTUAL")
        ],
        "shadows": kinds["shadow"],
    }


def _table(
    connection: sqlite3.Connection, name: str, sql: str, written: Mapping[tuple[str, str], str]
) -> Table:
    described = connection.execute(f"PRAGMA main.table_xinfo({quoted(name)})").fetchall()
    collations = _collations(connection, name, [row[1] for row in described if row[6] != 1])
    columns = [
        Column(
            name=column,
            declared=declared.removesuffix(" GENERATED ALWAYS").removesuffix("GENERATED ALWAYS"),
            not_null=bool(not_null),
            default=default,
            generated=hidden in (2, 3),
            collation=collations.get(column, "BINARY"),
        )
        for _, column, declared, not_null, default, _, hidden in described
        if hidden != 1
    ]
    key = [row[1] for row in sorted(described, key=lambda row: int(row[5])) if row[5]]
    indexes = list(_indexes(connection, name, written))
    table = Table(
        name=name,
        sql=sql,
        columns=columns,
        key=key,
        rowid_alias=_rowid_alias(connection, name, columns, key),
        indexes=indexes,
        references=_references(connection, name),
        checks=ddl.checks(sql),
    )
    try:
        table.orphans = {
            len(table.references) - 1 - number
            for *_, number in connection.execute(f"PRAGMA main.foreign_key_check({quoted(name)})")
        }
    except sqlite3.Error:
        # A key that SQLite itself cannot check: the judge knows it by its parent.
        table.orphans = set(range(len(table.references)))
    if "AUTOINCREMENT" in {token.word for token in ddl.tokens(sql)}:
        for (sequence,) in connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = ?", (name,)
        ):
            if isinstance(sequence, int):
                table.sequence = max(sequence, table.sequence or 0)
    return table


def _rowid_alias(
    connection: sqlite3.Connection, name: str, columns: list[Column], key: list[str]
) -> str | None:
    if len(key) != 1:
        return None
    column = next(each for each in columns if each.name == key[0])
    if column.declared.upper() != "INTEGER":
        return None
    # INTEGER PRIMARY KEY DESC and WITHOUT ROWID have an index of their key, the rowid has none.
    listed = connection.execute(f"PRAGMA main.index_list({quoted(name)})").fetchall()
    return None if any(origin == "pk" for _, _, _, origin, _ in listed) else column.name


def _collations(connection: sqlite3.Connection, name: str, columns: list[str]) -> dict[str, str]:
    """Of each column: SQLite tells them of indexes only, so that one is made and unmade."""
    found = {}
    for column in columns:
        connection.execute("BEGIN")
        try:
            connection.execute(
                f"CREATE INDEX main.dbops_probe ON {quoted(name)} ({quoted(column)})"
            )
            for _, _, of, _, collation, _ in connection.execute(
                "PRAGMA main.index_xinfo(dbops_probe)"
            ):
                if of == column:
                    found[column] = _folded(collation)
        except sqlite3.Error:
            pass
        finally:
            connection.execute("ROLLBACK")
    return found


def _indexes(
    connection: sqlite3.Connection, table: str, written: Mapping[tuple[str, str], str]
) -> Iterator[Index]:
    for _, name, unique, origin, _ in connection.execute(
        f"PRAGMA main.index_list({quoted(table)})"
    ).fetchall():
        if origin == "pk":
            continue
        elements = [
            row for row in connection.execute(f"PRAGMA main.index_xinfo({quoted(name)})") if row[5]
        ]
        yield Index(
            name=name,
            unique=bool(unique),
            constraint=origin == "u",
            columns=tuple(row[2] for row in elements),
            descending=tuple(bool(row[3]) for row in elements),
            collations=tuple(_folded(row[4]) for row in elements),
            condition=ddl.condition(written[("index", name)] or ""),
        )


def _folded(collation: str) -> str:
    """SQLite's own collations in capitals, in which they are documented."""
    upper = collation.upper()
    return upper if upper in ("BINARY", "NOCASE", "RTRIM") else collation


def _references(connection: sqlite3.Connection, table: str) -> list[Reference]:
    """In the order of the DDL, which is the reverse of the list's."""
    grouped: dict[int, list[Any]] = {}
    for row in connection.execute(f"PRAGMA main.foreign_key_list({quoted(table)})"):
        grouped.setdefault(row[0], []).append(row)
    made = []
    for number in sorted(grouped, reverse=True):
        rows = sorted(grouped[number], key=lambda row: int(row[1]))
        to, update, delete = rows[0][2], rows[0][5], rows[0][6]
        columns = [row[4] for row in rows]
        if columns == [None] * len(columns):
            parent = connection.execute(f"PRAGMA main.table_xinfo({quoted(to)})").fetchall()
            key = [row[1] for row in sorted(parent, key=lambda row: int(row[5])) if row[5]]
            columns = key if len(key) == len(rows) else columns
        pairs = tuple((row[3], column) for row, column in zip(rows, columns, strict=True))
        made.append(Reference(to, pairs, update, delete))
    return made


def _read(connection: sqlite3.Connection, table: Table, overrides: Overrides) -> None:
    chosen = overrides.table(table.name)
    reads = [
        chosen.column(column.name).expression or quoted(column.name) for column in table.columns
    ]
    names = {column.name.lower() for column in table.columns}
    rowid = next((name for name in ("rowid", "_rowid_", "oid") if name not in names), None)
    rowid = rowid or (quoted(table.rowid_alias) if table.rowid_alias else None)
    heads = [rowid or "NULL", *(quoted(column) for column in table.key)]
    if len(heads) + len(reads) > _MOST_RESULTS:
        heads = []
    where = f" WHERE {chosen.where}" if chosen.where else ""

    def rows() -> list[tuple[Value, ...]]:
        wanted = ", ".join([*heads, *reads])
        return connection.execute(f"SELECT {wanted} FROM {quoted(table.name)}{where}").fetchall()

    try:
        found = rows()
    except sqlite3.OperationalError:  # WITHOUT ROWID
        rowid, heads[0] = None, "NULL"
        found = rows()
    table.labels = [_label(table.key, row[: len(heads)]) for row in found]
    if rowid and heads and found:
        table.largest_rowid = max(row[0] for row in found)  # type: ignore[type-var,assignment]
    maps = [chosen.column(column.name).value_map for column in table.columns]
    table.rows = [row[len(heads) :] for row in found]
    if any(maps):
        table.rows = [
            tuple(_mapped(value, of) for value, of in zip(row, maps, strict=True))
            for row in table.rows
        ]


def _mapped(value: Value, value_map: Mapping[str, str | None]) -> Value:
    if value is None or not value_map:
        return value
    if isinstance(value, Text):
        shown = value.decode(errors="replace")
    elif isinstance(value, bytes):
        return value
    else:
        shown = number_text(value)
    if shown not in value_map:
        return value
    stands = value_map[shown]
    return None if stands is None else Text(stands.encode())


def _label(key: list[str], head: tuple[Value, ...]) -> str:
    if not head:
        return ""
    rowid, *values = head
    if key and None not in values:
        return ", ".join(
            f"{column}={literal(value)}" for column, value in zip(key, values, strict=True)
        )
    return "" if rowid is None else f"rowid={rowid!r}"


def literal(value: Value) -> str:
    """SQLite's literal of a value."""
    if value is None:
        return "NULL"
    if isinstance(value, Text):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            return f"CAST(x'{value.hex()}' AS TEXT)"
        return "'" + text.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return repr(value).replace("inf", "9e999")
