"""What PostgreSQL really has, asked of `pg_catalog` with plain psycopg."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.support.judging.source import quoted
from tests.support.judging.values import Oracle, PgType

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class PgColumn:
    """A column; `expression` is its default, or what generates it."""

    name: str
    number: int
    type: PgType
    not_null: bool
    generated: bool
    identity: bool
    expression: str | None


@dataclass(frozen=True)
class PgIndex:
    """An index; an element is a column's name, or None for an expression."""

    name: str
    unique: bool
    primary: bool
    usable: bool
    columns: tuple[str | None, ...]
    descending: tuple[bool, ...]
    definition: str
    condition: str | None


@dataclass(frozen=True)
class PgConstraint:
    """A CHECK or a foreign key."""

    name: str
    kind: str
    expression: str | None
    validated: bool
    deferred: bool
    columns: tuple[str, ...]
    to: str
    to_columns: tuple[str, ...]
    on_update: str
    on_delete: str


@dataclass
class PgTable:
    """A table."""

    schema: str
    name: str
    columns: list[PgColumn]
    indexes: list[PgIndex] = field(default_factory=list)
    constraints: list[PgConstraint] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def of_kind(self, kind: str) -> list[PgConstraint]:
        return [each for each in self.constraints if each.kind == kind]


def connect(dsn: str) -> Connection:
    """A connection on which values are shown in full and in one way."""
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute("SET timezone = 'UTC'")
    connection.execute("SET datestyle = 'ISO, YMD'")
    connection.execute("SET extra_float_digits = 1")
    connection.execute("SET bytea_output = 'hex'")
    # So that expressions are shown with every name in full.
    connection.execute("SET search_path = pg_catalog")
    return connection


def relations(connection: Connection, schema: str) -> dict[str, str]:
    """What is in a schema: its kind (`r`, `v`, `i`, `S`, …) by its name."""
    rows = connection.execute(
        "SELECT relname, relkind FROM pg_class WHERE relnamespace = to_regnamespace(%s)",
        (quoted(schema),),
    )
    return {name: kind if isinstance(kind, str) else kind.decode() for name, kind in rows}


def schemas(connection: Connection) -> set[str]:
    """All schemas but the system's."""
    rows = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND"
        " nspname <> 'information_schema'"
    )
    return {name for (name,) in rows}


def read_table(connection: Connection, schema: str, name: str) -> PgTable | None:
    """A table with all that belongs to it."""
    found = connection.execute(
        "SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relname = %s"
        " AND relkind IN ('r', 'p')",
        (quoted(schema), name),
    ).fetchone()
    if found is None:
        return None
    table = PgTable(schema, name, _columns(connection, found[0]))
    table.indexes = _indexes(connection, found[0])
    table.constraints = list(_constraints(connection, found[0]))
    return table


def _columns(connection: Connection, oid: int) -> list[PgColumn]:
    rows = connection.execute(
        "SELECT attname, attnum, format_type(atttypid, atttypmod), attnotnull,"
        " attgenerated::text <> '', attidentity::text <> '', pg_get_expr(adbin, adrelid)"
        " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (oid,),
    )
    return [PgColumn(row[0], row[1], PgType(row[2]), *row[3:]) for row in rows]


def _indexes(connection: Connection, oid: int) -> list[PgIndex]:
    rows = connection.execute(
        "SELECT relname, indisunique, indisprimary, indisvalid AND indisready AND indislive,"
        " ARRAY(SELECT attname::text FROM unnest(indkey::int2[]) WITH ORDINALITY AS k(n, place)"
        " LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = nullif(n, 0)"
        " ORDER BY place),"
        " ARRAY(SELECT (option & 1) = 1 FROM unnest(indoption::int2[]) AS option),"
        " pg_get_indexdef(indexrelid), pg_get_expr(indpred, indrelid)"
        " FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = %s",
        (oid,),
    )
    return [PgIndex(*row[:4], tuple(row[4]), tuple(row[5]), *row[6:]) for row in rows]


def _constraints(connection: Connection, oid: int) -> Iterator[PgConstraint]:
    names = (
        "ARRAY(SELECT attname::text FROM unnest({0}) WITH ORDINALITY AS k(n, place)"
        " JOIN pg_attribute ON attrelid = {1} AND attnum = n ORDER BY place)"
    )
    query = (
        "SELECT conname, contype::text, pg_get_expr(conbin, conrelid), convalidated,"
        f" condeferred, {names.format('conkey', 'conrelid')},"
        " coalesce((SELECT relname::text FROM pg_class WHERE oid = confrelid), ''),"
        f" {names.format('confkey', 'confrelid')}, confupdtype::text, confdeltype::text"
        " FROM pg_constraint WHERE conrelid = %s AND contype IN ('c', 'f') ORDER BY oid"
    )
    for row in connection.execute(query, (oid,)):  # type: ignore[arg-type]
        yield PgConstraint(*row[:5], tuple(row[5]), row[6], tuple(row[7]), *row[8:])


def read_rows(connection: Connection, table: PgTable) -> Iterator[tuple[str | None, ...]]:
    """All rows, each value as PostgreSQL shows it as text."""
    shown = ", ".join(f"{quoted(column.name)}::text" for column in table.columns)
    yield from query(connection, f"SELECT {shown} FROM {table.full_name}")


def query(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query that was put together from names of the catalogue."""
    return connection.execute(sql.encode()).fetchall()


def next_number(connection: Connection, table: PgTable, column: str) -> int | None:
    """What the column's sequence gives next; None where it has none, or none is left."""
    found = connection.execute(
        "SELECT pg_get_serial_sequence(%s, %s)", (table.full_name, column)
    ).fetchone()
    if found is None or found[0] is None:
        return None
    last, called = query(connection, f"SELECT last_value, is_called FROM {found[0]}")[0]
    return int(last) + bool(called)


def oracle_of(connection: Connection) -> Oracle:
    """The server's own word on JSON."""
    answers: dict[tuple[str, str], bool] = {}

    def valid(text: str, name: str) -> bool:
        if (text, name) not in answers:
            try:
                with connection.transaction():
                    connection.execute(f"SELECT CAST(%s AS {name})".encode(), (text,))
                answers[text, name] = True
            except psycopg.Error:
                answers[text, name] = False
        return answers[text, name]

    return valid
