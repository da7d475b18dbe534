"""Schemas and rows that nobody thought of: each arrives, or is told of; the judge decides."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support.import_daemon import QUARANTINE, ImportDaemon, import_daemon
from tests.support.installations import DEFAULT_VERSION
from tests.support.servers import PostgresServers
from tests.support.soak import Soak

TYPES = (
    *("", "INTEGER", "INT", "BIGINT", "SMALLINT", "tinyint", "UNSIGNED BIG INT", "INTEGER_OR_TEXT"),
    *("REAL", "DOUBLE PRECISION", "FLOAT", "FLOATING POINT", "NUMERIC", "DECIMAL(10,2)", "MONEY"),
    *("DECIMAL(4)", "TEXT", "VARCHAR(10)", "CHAR(3)", "STRING", "CLOB", "BLOB", "VARBINARY(9)"),
    *("BOOLEAN", "bool", "DATE", "DATETIME", "TIMESTAMP", "TIME", "JSON", "JSONB", "UUID", "GUID"),
    *("CHARINT", "POINT", "XML", "ENUM('a','b')"),
)
TEXTS = (
    *("", " ", "a", "A", "a ", "0", "1", "01", "-1.50", "1e3", "1e400", "t", "Yes", "off", "n/a"),
    *("2024-02-29", "2023-02-29", "2024-02-29 10:20:30.123456", "2024-02-29T10:20:30Z"),
    *("2024-02-29 10:20+05:30", "10:20", "24:00", "{}", '{"a":[1.0]}', '{"a":"\\u0000"}', "{"),
    *("a0eebc999c0b4ef8bb6d6bb9bd380a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "null", "NaN"),
    *("\\N", "\\.", "a\tb\nc\rd", "ä😀\ufeff", "a\0b", "'", '"', "%s"),
)
NUMBERS = (
    *(0, 1, -1, 2, 255, 256, 32767, 32768, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(1704067200, 1704067200123, 19000),
)
REALS = (
    *(0.0, -0.0, 1.0, 0.5, 0.1, 1.5, -2.25, 1e15, 1e16, 1e300, 5e-324, float("inf")),
    *(float("-inf"), 2460310.25, 1704067200.5, 123456789.123456789),
)
VALUES = st.one_of(
    st.none(),
    st.sampled_from(NUMBERS),
    st.sampled_from(REALS),
    st.sampled_from(TEXTS),
    st.sampled_from((b"", b"\0", b"abc", b"\xff\xfe", bytes(range(16)))),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.binary(max_size=12),
)
# Columns are of one kind as a rule, with a few that are not.
KINDS = (
    st.sampled_from(NUMBERS),
    st.sampled_from(REALS),
    st.one_of(st.sampled_from(NUMBERS), st.sampled_from(REALS)),
    st.sampled_from(TEXTS),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from((0, 1, None)),
    VALUES,
)
NAMES = ("a", "B", "select", "x y", "Größe", "ctid", "q'u\"ote")
KEYS = ("", "INTEGER PRIMARY KEY", "PRIMARY KEY", "UNIQUE", "UNIQUE COLLATE NOCASE", "NOT NULL")


@dataclass(frozen=True)
class GeneratedTable:
    """A table's DDL and rows; those that its constraints refuse are left out."""

    sql: str
    columns: int
    rows: tuple[tuple[Any, ...], ...]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@st.composite
def tables(draw: st.DrawFn, number: int) -> GeneratedTable:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    columns, values = [], []
    keyed = False
    for name in names:
        declared = draw(st.sampled_from(TYPES))
        key = draw(st.sampled_from(("", "", "", *KEYS)))
        if "PRIMARY KEY" in key and keyed:
            key = ""
        keyed |= "PRIMARY KEY" in key
        # In quotes it may be anything.
        declared = "" if key.startswith("INTEGER") or not declared else _quoted(declared)
        columns.append(f"{_quoted(name)} {declared} {key}".strip())
        of = draw(st.sampled_from(KINDS))
        rare = draw(st.booleans())
        values.append(st.one_of(of, of, of, VALUES) if rare else of)
    if number and draw(st.booleans()):
        columns[-1] += f" REFERENCES t{number - 1}"
    rows = draw(st.lists(st.tuples(*values), max_size=12))
    end = " WITHOUT ROWID" if keyed and draw(st.booleans()) else ""
    sql = f"CREATE TABLE t{number} ({', '.join(columns)}){end}"
    return GeneratedTable(sql, len(names), tuple(rows))


FILES = st.tuples(*(tables(number) for number in range(4)))


@pytest.fixture(scope="module")
def importer(servers: PostgresServers) -> Iterator[ImportDaemon]:
    server = servers.disposable(DEFAULT_VERSION)
    with import_daemon(server) as running:
        yield running
    servers.discard(server)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_whatever_a_file_holds_arrives_or_is_told_of(importer: ImportDaemon, soak: Soak) -> None:
    numbers = count()
    # Shrinking takes many imports: the long form has the time.
    phases = [Phase.generate, Phase.shrink] if soak.long else [Phase.generate]

    @seed(soak.seed)
    @settings(
        max_examples=soak.scale(4, 400),
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(FILES)
    def holds(made: tuple[GeneratedTable, ...]) -> None:
        name = f"f{next(numbers)}"
        source = importer.files / f"{name}.db"
        with closing(sqlite3.connect(source, isolation_level=None)) as connection:
            for number, table in enumerate(made):
                connection.execute(table.sql)
                marks = ", ".join("?" * table.columns)
                for row in table.rows:
                    with suppress(sqlite3.IntegrityError):  # an INTEGER PRIMARY KEY takes integers
                        connection.execute(f"INSERT OR IGNORE INTO t{number} VALUES ({marks})", row)
        done = importer.run(source, name)
        done.check()
        if not done.published:
            apart = importer.run(source, f"{name}_q", *QUARANTINE)
            apart.check()
            assert apart.published, apart.errors

    holds()
