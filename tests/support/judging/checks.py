"""The judge of CHECKs and defaults: what they let through here and there, by trying."""

import re
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self

import psycopg
from psycopg.types.json import Jsonb

from tests.support.judging import ddl, target
from tests.support.judging.objects import Judged, Pair
from tests.support.judging.source import Column, quoted
from tests.support.judging.values import (
    Bad,
    Oracle,
    PgType,
    Text,
    Value,
    arrived,
    expected,
    moment_of,
)

_TEXTS: Final = (
    *("", " ", "a", "A", "abc", "ABC", "x", "xY", "/f", "a@b", "12-3", "0", "1", "5", "50", "é"),
    *("{}", "[]", '{"a":1}', "2019-12-31", "2024-01-01", "2024-01-01 10:00:00", "yes", "NO"),
    *("x  ", "%", "a_b", "true", "10:00"),
)
_PROBES: Final[tuple[Value, ...]] = (
    *(None, -7, -1, 0, 1, 2, 3, 4, 5, 6, 9, 10, 100, 2**40, -0.5, 0.5, 1.0, 1.25, 1.255, 1e10),
    *(Text(text.encode()) for text in _TEXTS),
    *(b"", b"\1\2", b"abc"),
)
_BASES: Final = 3
_ACTUAL: Final = 12
_BATCH: Final = 200
_NUMBERS: Final = (int, float)
# A value of another class arrives as one of these, and is judged by then: a text 'yes' is `true`.
_CLASSES: Final[dict[str, type | tuple[type, ...]]] = {
    "boolean": int,
    **dict.fromkeys(("smallint", "integer", "bigint"), int),
    **dict.fromkeys(("double precision", "numeric"), _NUMBERS),
    "bytea": bytes,
}
_VOLATILE: Final = re.compile(r"current_|now|random|changes|last_insert|unixepoch", re.IGNORECASE)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def judge_checks(judged: Judged, pair: Pair, oracle: Oracle) -> Iterator[str]:
    """Each CHECK lets through what it did, or the report says that it is not there."""
    name, found = pair.table.name, pair.there.of_kind("c")
    told = judged.report.about("check", table=name)
    lost = [each for each in told if each.fate == "NOT_CARRIED" and each.reason]
    if len(found) + len(lost) != len(pair.table.checks):
        yield (
            f"table {name}: {len(pair.table.checks)} CHECKs became {len(found)}, and the report"
            f" tells of {len(lost)} that are lost"
        )
        return
    if any(not each.validated for each in found) and not any(each.excused for each in told):
        yield f"table {name}: a CHECK is NOT VALID, and nothing tells of it"
    if found:
        yield from _judge_meaning(judged, pair, oracle)


def _judge_meaning(judged: Judged, pair: Pair, oracle: Oracle) -> Iterator[str]:
    checks = pair.table.checks
    columns = [each for each in pair.table.columns if each.name in pair.names]
    sqlite = judged.source.connection
    with _Probe(sqlite, pair, columns, oracle) as probe:
        rows = probe.rows()
        here = {text: probe.let_through(text, len(rows)) for text in checks}
        good = [at for at, made in enumerate(rows) if made is not None]
        there = _let_through(judged.connection, pair, columns, [rows[at] for at in good])
        raw = probe.raw
    verdicts = {text: tuple(here[text][at] for at in good) for text in checks}
    remaining = Counter(verdicts[text] for text in checks)
    for constraint, verdict in there.items():
        if remaining[verdict] > 0:
            remaining[verdict] -= 1
            continue
        wrong, text = min(
            ([at for at, let in zip(good, verdict, strict=True) if here[text][at] != let], text)
            for text in checks
            if remaining[verdicts[text]] > 0
        )
        example = dict(zip((each.name for each in columns), raw[wrong[0]], strict=True))
        shown = {name: value for name, value in example.items() if ddl.mentions(text, name)}
        yield (
            f"table {pair.table.name}: CHECK {constraint.expression} is none of the file's;"
            f" nearest is ({text}), another for {len(wrong)} of {len(good)} rows, as {shown}"
        )


class _Probe:
    """A table of SQLite's with the columns of the pair's, and rows to try on CHECKs."""

    def __init__(
        self, sqlite: sqlite3.Connection, pair: Pair, columns: list[Column], oracle: Oracle
    ) -> None:
        self._sqlite = sqlite
        self._pair = pair
        self._columns = columns
        self._oracle = oracle
        self._name = f"temp.{quoted(pair.table.name)}"
        self.raw: list[tuple[Value, ...]] = []

    def __enter__(self) -> Self:
        made = ", ".join(
            f"{quoted(each.name)} {_declared(each)}"
            + ("" if each.collation == "BINARY" else f" COLLATE {each.collation}")
            for each in self._columns
        )
        self._sqlite.execute(f"CREATE TEMP TABLE {quoted(self._pair.table.name)} ({made})")
        marks = ", ".join("?" * len(self._columns))
        self._sqlite.executemany(f"INSERT INTO {self._name} VALUES ({marks})", self._tried())
        return self

    def __exit__(self, *_: object) -> None:
        self._sqlite.execute(f"DROP TABLE {self._name}")

    def rows(self) -> list[list[str | None] | None]:
        """Each row as PostgreSQL's literals; None: it cannot arrive, or only as another."""
        self.raw = self._sqlite.execute(f"SELECT * FROM {self._name} ORDER BY rowid").fetchall()
        types = [self._pair.column(each.name) for each in self._columns]
        made = []
        for row in self.raw:
            literals = [
                self._literal(value, column.type) if column else Bad(frozenset())
                for value, column in zip(row, types, strict=True)
            ]
            made.append(None if any(isinstance(each, Bad) for each in literals) else literals)
        return made  # type: ignore[return-value]

    def let_through(self, check: str, rows: int) -> list[bool]:
        """Which rows a CHECK lets through; one that is an error there is refused."""
        verdict = f"SELECT coalesce((SELECT ({check}) IS NOT FALSE FROM {self._name}"
        answers = []
        for number in range(1, rows + 1):
            try:
                found = self._sqlite.execute(f"{verdict} WHERE rowid = ?), 1)", (number,))
                answers.append(bool(found.fetchone()[0]))
            except sqlite3.Error:
                answers.append(False)
        return answers

    def _tried(self) -> Iterator[tuple[Value, ...]]:
        places = {
            name: place for place, name in enumerate(c.name for c in self._pair.table.columns)
        }
        actual = [
            tuple(row[places[each.name]] for each in self._columns)
            for row in self._pair.table.rows[:200]
        ]
        bases = [*actual[:_BASES], (None,) * len(self._columns)]
        yield from actual[:_ACTUAL]
        for at, column in enumerate(self._columns):
            if not any(ddl.mentions(check, column.name) for check in self._pair.table.checks):
                continue
            values = [*_PROBES, *list(dict.fromkeys(row[at] for row in actual))[:_ACTUAL]]
            for base in bases:
                for value in values:
                    yield (*base[:at], value, *base[at + 1 :])

    def _literal(self, value: Value, of: PgType) -> str | Bad | None:
        if value is not None:
            if not isinstance(value, _CLASSES.get(of.name, Text)):
                return Bad(frozenset())
            if of.name == "bytea" and isinstance(value, Text):
                return Bad(frozenset())
            if of.name.startswith("timestamp") and isinstance(value, Text):
                moment = moment_of(value)
                if moment is None or moment.date_only:
                    return Bad(frozenset())
        made = expected(value, of, self._oracle)
        return made if isinstance(made, Bad) or made is None else literal(made, of)


def _declared(column: Column) -> str:
    # In quotes: whatever it is, it is a type's name then.
    return quoted(column.declared) if column.declared else ""


def literal(made: Any, of: PgType) -> str:
    """What PostgreSQL reads as a value that `expected` has made."""
    match of.name:
        case "boolean":
            return "true" if made else "false"
        case "double precision":
            return repr(struct.unpack("d", made)[0])
        case "bytea":
            return f"\\x{made.hex()}"
        case "date" | "timestamp without time zone" | "timestamp with time zone":
            return (_EPOCH + timedelta(microseconds=made)).isoformat()
        case "time without time zone":
            return (_EPOCH + timedelta(microseconds=made)).time().isoformat()
    if isinstance(made, Decimal):
        return format(made, "f")
    return made.decode() if isinstance(made, bytes) else str(made)


def _let_through(
    connection: target.Connection,
    pair: Pair,
    columns: Sequence[Column],
    rows: Sequence[list[str | None] | None],
) -> dict[target.PgConstraint, tuple[bool, ...]]:
    """Which rows each CHECK of the table lets through; one that is an error there is refused."""
    there = [column for each in columns if (column := pair.column(each.name))]
    answers: dict[target.PgConstraint, tuple[bool, ...]] = {}
    for constraint in pair.there.of_kind("c"):
        found: list[bool] = []
        for start in range(0, len(rows), _BATCH):
            found += _evaluated(connection, constraint, there, rows[start : start + _BATCH])
        answers[constraint] = tuple(found)
    return answers


def _evaluated(
    connection: target.Connection,
    constraint: target.PgConstraint,
    columns: list[target.PgColumn],
    rows: Sequence[list[str | None] | None],
) -> list[bool]:
    casts = ", ".join(
        f"CAST(probe_->>{at} AS {column.type.shown}) AS {quoted(column.name)}"
        for at, column in enumerate(columns)
    )
    query = (
        f"SELECT coalesce(({constraint.expression}), true) FROM (SELECT {casts}, place_ FROM"
        " jsonb_array_elements($1::jsonb) WITH ORDINALITY AS probes(probe_, place_)) AS probed"
        " ORDER BY place_"
    )
    try:
        with psycopg.RawCursor(connection) as cursor:
            cursor.execute(query.encode(), (Jsonb(rows),))
            return [bool(let) for (let,) in cursor.fetchall()]
    except psycopg.DataError:
        if len(rows) <= 1:
            return [False] * len(rows)
    half = len(rows) // 2
    return [
        *_evaluated(connection, constraint, columns, rows[:half]),
        *_evaluated(connection, constraint, columns, rows[half:]),
    ]


def judge_defaults(judged: Judged, pair: Pair, oracle: Oracle) -> Iterator[str]:
    """Each default that is a constant is the same constant, or told of."""
    for column in pair.table.columns:
        there = pair.column(column.name)
        if column.default is None or there is None or there.generated:
            continue
        if there.expression is None or _VOLATILE.search(column.default):
            continue
        full = f"{pair.table.name}.{column.name}"
        if any(each.excused for each in judged.report.about("default", name=full)):
            continue
        wanted = expected(_made_here(judged.source.connection, column), there.type, oracle)
        try:
            shown = target.query(
                judged.connection,
                f"SELECT CAST(({there.expression}) AS {there.type.shown})::text",
            )[0][0]
        except psycopg.DataError as error:
            yield f"table {pair.table.name}: the default of {column.name} is an error: {error}"
            continue
        if isinstance(wanted, Bad) or wanted != arrived(shown, there.type):
            yield f"table {pair.table.name}: the default {column.default} is {shown!r} there"


def _made_here(connection: sqlite3.Connection, column: Column) -> Value:
    made = f"CREATE TEMP TABLE made (c {_declared(column)} DEFAULT"
    try:
        connection.execute(f"{made} {column.default})")
    except sqlite3.OperationalError:
        # SQLite tells of an expression without its parentheses.
        connection.execute(f"{made} ({column.default}))")
    try:
        connection.execute("INSERT INTO made DEFAULT VALUES")
        (value,) = connection.execute("SELECT c FROM made").fetchone()
    finally:
        connection.execute("DROP TABLE temp.made")
    return value  # type: ignore[no-any-return]
