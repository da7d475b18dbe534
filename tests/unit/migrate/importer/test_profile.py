"""What is found in columns is what is there, however the looking is shared out."""

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dbopsd.migrate.importer.conversion.instants import DAY_US, read_number
from dbopsd.migrate.importer.model.source_profile import ColumnProfile, TextShapes
from dbopsd.migrate.importer.model.source_schema import Affinity, SourceColumn, SourceTable
from dbopsd.migrate.importer.profile.profile_table import (
    merge_profiles,
    profile_table,
    rowid_ranges,
)
from dbopsd.migrate.importer.profile.row_queries import rowid_of
from dbopsd.migrate.importer.profile.text_shapes import (
    count_shapes,
    decimal_digits,
    patterns_of,
    shape_of,
)

Value = int | float | str | bytes | None


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def affinity_of(declared: str) -> Affinity:
    """https://sqlite.org/datatype3.html#determination_of_column_affinity."""
    upper = declared.upper()
    if "INT" in upper:
        return Affinity.INTEGER
    if any(part in upper for part in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if not upper or "BLOB" in upper:
        return Affinity.BLOB
    if any(part in upper for part in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    return Affinity.NUMERIC


def table_of(connection: sqlite3.Connection, *declared: str, more: str = "") -> SourceTable:
    """A table `t` with a column for each declared type, `c0` and so on."""
    columns = tuple(
        SourceColumn(f"c{number}", each, affinity_of(each)) for number, each in enumerate(declared)
    )
    connection.execute("DROP TABLE IF EXISTS t")
    listed = ", ".join(f"{column.name} {column.declared_type}" for column in columns)
    connection.execute(f"CREATE TABLE t({listed}) {more}")
    return SourceTable("t", columns)


def column(
    connection: sqlite3.Connection, declared: str, values: Sequence[Value], *, deep: bool = False
) -> ColumnProfile:
    """The profile of a column with those values."""
    table = table_of(connection, declared)
    connection.executemany("INSERT INTO t VALUES (?)", ((value,) for value in values))
    return profile_table(connection, table, deep=deep).columns["c0"]


def counts(found: ColumnProfile) -> tuple[int, int, int, int, int]:
    return found.nulls, found.integers, found.reals, found.texts, found.blobs


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("2024-01-31", "date"),
        ("2024-01-31 10:00", "naive_timestamp"),
        ("2024-01-31T10:00:00.123456789", "naive_timestamp"),
        ("2024-01-31T10:00Z", "zoned_timestamp"),
        ("2024-01-31 10:00:00 +02:00", "zoned_timestamp"),
        ("2024-01-31 10:00:00.5-0530", "zoned_timestamp"),
        ("2024-01-31 10:00:00+02", "zoned_timestamp"),
        ("10:00", "time"),
        ("10:00:00.5", "time"),
        ("t", "boolean"),
        ("FALSE", "boolean"),
        ("0", "boolean"),
        ("0123456789abcdefABCDEF0123456789", "uuid"),
        ("{01234567-89ab-cdef-ABCD-EF0123456789}", "uuid"),
        ('{"a": [1]}', "json"),
        ("[]", "json"),
        ("{bad", "other"),
        ("[" * 100_000, "other"),
        ("-12.50", "number"),
        ("1e5", "number"),
        (".5", "number"),
        ("2", "number"),
        ("2024-1-31", "other"),
        ("2024-01-31 10", "other"),
        ("2024-01-31Z", "other"),
        ("2024-01-31 10:00:00\n", "other"),
        ("\u0662024-01-31", "other"),
        (" 1", "other"),
        ("", "other"),
        ("null", "other"),
    ],
)
def test_each_text_has_one_shape(text: str, shape: str) -> None:
    assert shape_of(text.encode()) == shape


def test_examples_are_of_others_only_and_are_cut() -> None:
    shapes = count_shapes([b"x" * 1000, b"\xff\xfe", b"2024-01-01", b"\xff\xfe", "ü".encode() * 90])
    assert shapes == TextShapes(date=1, other=4, examples=("x" * 80, "\ufffd\ufffd", "ü" * 80))


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("12.50", (2, 1)),
        ("-0.001", (0, 3)),
        ("1e5", (6, 0)),
        ("1e-5", (0, 5)),
        ("100", (3, 0)),
        ("000.000", (0, 0)),
        ("1" * 40 + "." + "2" * 40, (40, 40)),
        ("+.5", (0, 1)),
        ("lots", None),
        ("1e", None),
        ("0x10", None),
        ("inf", None),
    ],
)
def test_digits_of_decimal_literals(text: str, digits: tuple[int, int] | None) -> None:
    assert decimal_digits(text.encode()) == digits


def test_storage_classes_are_counted_where_a_sample_saw_none_of_them(
    connection: sqlite3.Connection,
) -> None:
    table = table_of(connection, "INTEGER", "TEXT", "", "REAL")
    # More than a sample looks at, and in places that it does not come by.
    connection.executemany(
        "INSERT INTO t VALUES (?, ?, ?, ?)",
        ((number, str(number), number, number + 0.5) for number in range(50_000)),
    )
    for number, value in enumerate(("lots", b"\0\1", 2.5, None)):
        connection.execute(
            "UPDATE t SET c0 = ?, c1 = ?, c2 = ?, c3 = ? WHERE rowid = ?",
            (value, value, value, value, 1000 + number),
        )
    found = profile_table(connection, table)
    assert (found.rows, found.min_rowid, found.max_rowid) == (50_000, 1, 50_000)
    assert counts(found.columns["c0"]) == (1, 49_996, 1, 1, 1)
    assert counts(found.columns["c1"]) == (1, 0, 0, 49_998, 1)
    assert counts(found.columns["c2"]) == (1, 49_996, 1, 1, 1)
    assert counts(found.columns["c3"]) == (1, 0, 49_997, 1, 1)
    assert found.columns["c1"].max_text_bytes == 5
    assert found.columns["c1"].max_blob_bytes == 2


def test_extremes_of_what_decides_about_types_and_units(connection: sqlite3.Connection) -> None:
    found = column(connection, "SMALLINT", [7, -40_000, None, 3])
    assert (found.min_integer, found.max_integer) == (-40_000, 7)
    found = column(connection, "DATETIME", [1_700_000_000, 1_700_000_000.5, "2024-01-01"])
    assert (found.min_integer, found.max_integer) == (1_700_000_000, 1_700_000_000)
    assert (found.min_real, found.max_real) == (1_700_000_000.5, 1_700_000_000.5)
    found = column(connection, "", [2**53, -(2**53) - 1, 2**63 - 1, -(2**63), 1.5])
    assert (found.min_integer, found.max_integer) == (-(2**63), 2**63 - 1)
    assert found.inexact_integers == 3
    found = column(connection, "BIGINT", [1, 2])
    assert found.min_integer is None, "nothing depends on it"
    assert column(connection, "BIGINT", [1, 2], deep=True).max_integer == 2


def test_texts_of_a_date_column_are_told_apart_to_the_last_one(
    connection: sqlite3.Connection,
) -> None:
    values = [f"2024-01-{day % 28 + 1:02} 10:00:00" for day in range(30_000)]
    values[17_001] = "2024-01-01T00:00:00Z"
    values[17_002] = "2024-01-01"
    values[17_003] = "2024-01-01 00:00"
    values[17_004] = "yesterday"
    values[17_005] = "2024-01-01T00:00:00.000"
    values[17_006] = "2024-01-01\0 10:00:00"
    found = column(connection, "TIMESTAMP", values)
    assert found.shapes == TextShapes(
        date=1, naive_timestamp=29_996, zoned_timestamp=1, other=2, midnights=2,
        examples=("yesterday", "2024-01-01\0 10:00:00"),
    )  # fmt: skip
    assert found.max_text_bytes == 23
    assert counts(found) == (0, 0, 0, 30_000, 0)


def test_a_date_column_knows_which_timestamps_are_midnights(connection: sqlite3.Connection) -> None:
    found = column(connection, "DATE", ["2024-01-01 00:00:00"] * 3000 + ["2024-01-01 00:00:01"])
    assert found.shapes is not None
    assert (found.shapes.naive_timestamp, found.shapes.midnights) == (3001, 3000)
    found = column(connection, "DATE", [19_001 * 86_400, 86_400_001])
    assert found.off_midnight == {"s": 1, "ms": 2, "us": 2, "julian": 0}
    found = column(connection, "DATE", [2_460_310.5, 2_460_311.5, 2_460_311.75])
    assert found.off_midnight["julian"] == 1
    assert column(connection, "DATE", ["2024-01-01"]).off_midnight == {}


def test_a_column_of_times_counts_those_of_our_days_in_each_unit(
    connection: sqlite3.Connection,
) -> None:
    seconds = [473_385_600, 1_704_067_200, 4_102_444_799.5]
    others = [0, 473_385_599, 4_102_444_800, -1_704_067_200, None, "x1704067200", b"1"]
    milliseconds = [1_704_067_200_123, 473_385_600_000.5]
    found = column(connection, "DATETIME", [*seconds, *others, *milliseconds])
    assert (found.likely_seconds, found.likely_milliseconds) == (3, 2)
    assert column(connection, "INTEGER", seconds).likely_seconds == 0


@pytest.mark.parametrize("unit", ["s", "ms", "us", "julian"])
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_a_number_is_off_midnight_where_its_conversion_says_so(
    unit: str, data: st.DataObject
) -> None:
    day = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "julian": 1}[unit]
    days = st.integers(-720_000, 5_400_000)
    apart = st.sampled_from([0, 0.75, 1, 0.25, 1e-3, 1e-6, 4e-7, 6e-7, 1e-9, -1e-7, -1, -1e-6])
    near = st.builds(lambda whole, rest: whole * day + rest, days, apart)
    value = data.draw(near | near.map(float) | st.integers(-(2**63), 2**63 - 1) | st.floats())
    assume(value == value)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        found = column(connection, "DATE", [value])
        (kept,) = connection.execute("SELECT c0 FROM t").fetchone()
    micros = read_number(kept, unit)
    assert found.off_midnight[unit] == (micros is not None and micros % DAY_US != 0)


@pytest.mark.parametrize(
    ("values", "scale", "whole"),
    [
        ([1, 2.5, 3.25], 2, 1),
        ([0.1, 0.2, 0.30000000000000004], 17, 0),
        ([123456789.12], 2, 9),
        ([1e15 + 0.5], 1, 16),
        ([0.1 + 0.7], 16, 0),
        ([1e22], 0, 23),
        ([1e-7], 7, 0),
        ([5e-324], 324, 0),
        ([1.5, math.inf, -math.inf], 1, 1),
        ([-123456, 0.125], 3, 6),
        ([2**63 - 1], 0, 19),
        (["lots", 0.5], 1, 0),
        ([None], 0, 0),
        ([90071992547409.93], 2, 14),
        ([9007199254740.993, 0.5], 3, 13),
        ([4.35, 2.675, 1.005, 0.285], 3, 1),
    ],
)
def test_digits_of_numbers(
    connection: sqlite3.Connection, values: list[Value], scale: int, whole: int
) -> None:
    found = column(connection, "DECIMAL(10,2)", values)
    assert (found.max_scale, found.max_precision) == (scale, whole)
    assert found.infinities == sum(value in (math.inf, -math.inf) for value in values)
    assert column(connection, "DECIMAL", values).max_scale is None, "nothing depends on it"


def test_digits_of_numbers_that_are_text(connection: sqlite3.Connection) -> None:
    values = ["123456789012345678901234567890.123", "lots", "-1e-4"]
    found = column(connection, "NUMERIC TEXT(40, 3)", values)
    assert (found.max_scale, found.max_precision) == (4, 30)


@given(st.lists(st.floats(allow_nan=False) | st.integers(-(10**9), 10**9).map(lambda n: n / 100)))
@settings(deadline=None, max_examples=300)
def test_digits_are_those_of_the_shortest_decimal(numbers: list[float]) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        table = table_of(connection, "DECIMAL(9,2)")
        connection.executemany("INSERT INTO t VALUES (?)", ((number,) for number in numbers))
        found = profile_table(connection, table).columns["c0"]
        kept = [value for (value,) in connection.execute("SELECT c0 FROM t")]
    written = [f"{Decimal(repr(value)):f}" for value in kept if abs(value) != math.inf]
    halves = [text.lstrip("-").partition(".") for text in written]
    assert found.max_scale == max((len(half[2].rstrip("0")) for half in halves), default=0)
    assert found.max_precision == max((len(half[0].lstrip("0")) for half in halves), default=0)


def test_uuid_blobs(connection: sqlite3.Connection) -> None:
    found = column(connection, "UUID", [bytes(16), bytes(15), "0" * 32, None])
    assert (found.uuid_blobs, found.blobs, found.max_blob_bytes) == (1, 2, 16)


def test_text_that_is_no_text_is_counted_all_the_same(connection: sqlite3.Connection) -> None:
    table = table_of(connection, "DATETIME", "TEXT")
    connection.execute(
        "INSERT INTO t VALUES (CAST(x'ff32' AS TEXT), 'a' || char(0) || 'b'),"
        " (CAST(x'ed a0 80' AS TEXT), CAST(x'ff' AS TEXT))".replace(" a0 80", "a080")
    )
    found = profile_table(connection, table, deep=True).columns
    assert counts(found["c0"]) == counts(found["c1"]) == (0, 0, 0, 2, 0)
    assert found["c1"].max_text_bytes == 3
    assert found["c1"].shapes is not None
    assert found["c1"].shapes.examples == ("a\0b", "\ufffd")
    assert connection.text_factory is str, "as its owner had it"


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_a_file_in_utf16_is_told_in_utf8(connection: sqlite3.Connection, encoding: str) -> None:
    connection.execute(f"PRAGMA encoding='{encoding}'")
    table = table_of(connection, "TEXT", "DATE")
    connection.execute("INSERT INTO t VALUES ('漢字', '2024-01-01'), ('x', 'üb')")
    found = profile_table(connection, table, deep=True).columns
    assert found["c1"].shapes == TextShapes(date=1, other=1, examples=("üb",))
    # At least as long as the longest is in UTF-8, and no more than three times as long.
    assert 6 <= found["c0"].max_text_bytes <= 18


def test_an_empty_table(connection: sqlite3.Connection) -> None:
    table = table_of(connection, "INTEGER", "DATE", "DECIMAL(4,2)", "BLOB", "")
    found = profile_table(connection, table, deep=True)
    assert (found.rows, found.min_rowid, found.max_rowid) == (0, None, None)
    assert all(each.values == 0 == each.rows for each in found.columns.values())
    assert rowid_ranges(connection, table, 4) == [None]
    assert merge_profiles([found, found]) == found


def test_odd_names_and_taken_rowids(connection: sqlite3.Connection) -> None:
    names = ("rowid", "_rowid_", "oid", 'a"b', "select", "ü", "no such column")
    columns = tuple(SourceColumn(name, "", Affinity.BLOB) for name in names)
    table = SourceTable('t "1"', columns)
    listed = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    connection.execute(f'CREATE TABLE "t ""1"""({listed})')
    connection.execute('INSERT INTO "t ""1""" VALUES (1, 2.5, \'x\', x\'00\', NULL, 1, 1)')
    assert rowid_of(table) == ""
    found = profile_table(connection, table)
    assert [counts(found.columns[name]) for name in names[:5]] == [
        (0, 1, 0, 0, 0),
        (0, 0, 1, 0, 0),
        (0, 0, 0, 1, 0),
        (0, 0, 0, 0, 1),
        (1, 0, 0, 0, 0),
    ]
    assert found.min_rowid is None
    with pytest.raises(ValueError, match="no rowid"):
        profile_table(connection, table, rowid_range=(1, 2))
    keyed = replace(table, columns=columns[1:], rowid_alias="oid")
    assert rowid_of(keyed) == '"oid"'
    assert rowid_of(replace(table, columns=columns[:1])) == "_rowid_"


def test_a_table_without_rowid(connection: sqlite3.Connection) -> None:
    table = replace(table_of(connection, "TEXT", more=""), without_rowid=True)
    connection.execute("DROP TABLE t")
    connection.execute("CREATE TABLE t(c0 TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.execute("INSERT INTO t VALUES ('a'), (1), (x'00')")
    found = profile_table(connection, table)
    assert (found.rows, found.min_rowid) == (3, None)
    assert counts(found.columns["c0"]) == (0, 0, 0, 2, 1)
    assert rowid_ranges(connection, table, 4) == [None]


def test_more_columns_than_a_statement_has_room_for(connection: sqlite3.Connection) -> None:
    table = table_of(connection, *["DATE"] * 1900)
    marks = ", ".join("?" * 1900)
    rows = [[day if number % 2 else 1 for number in range(1900)] for day in ("2024-01-01", None)]
    connection.executemany(f"INSERT INTO t VALUES ({marks})", rows)
    found = profile_table(connection, table)
    assert len(found.columns) == 1900
    assert counts(found.columns["c1899"]) == (1, 0, 0, 1, 0)
    assert counts(found.columns["c1898"]) == (0, 2, 0, 0, 0)


def test_a_collation_that_is_not_here_is_not_needed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        connection.create_collation("icu", lambda one, other: (one > other) - (one < other))
        connection.execute("CREATE TABLE t(c0 DATE COLLATE icu, c1 COLLATE icu)")
        connection.execute("CREATE INDEX i ON t(c0, c1)")
        connection.execute("INSERT INTO t VALUES ('2024-01-01', 'x'), (5, 2.5)")
        connection.commit()
    columns = (
        SourceColumn("c0", "DATE", Affinity.NUMERIC, collation="icu"),
        SourceColumn("c1", "", Affinity.BLOB, collation="icu"),
    )
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        found = profile_table(connection, SourceTable("t", columns), deep=True)
    assert (found.columns["c0"].max_integer, found.columns["c1"].max_real) == (5, 2.5)


def test_generated_columns_that_cannot_be_worked_out_are_left_out(
    connection: sqlite3.Connection,
) -> None:
    connection.execute("CREATE TABLE t(j TEXT, s AS (length(j)) STORED)")
    connection.executemany("INSERT INTO t(j) VALUES (?)", [('{"n": 1}',)] * 5000 + [("{bad",)])
    connection.execute("ALTER TABLE t ADD COLUMN n AS (json_extract(j, '$.n'))")
    connection.execute("ALTER TABLE t ADD COLUMN m AS (length(j))")
    table = SourceTable(
        "t",
        (
            SourceColumn("j", "TEXT", Affinity.TEXT),
            SourceColumn("n", "", Affinity.BLOB, generated="json_extract(j, '$.n')"),
            SourceColumn("m", "", Affinity.BLOB, generated="length(j)"),
            SourceColumn("s", "", Affinity.BLOB, generated="length(j)", stored=True),
        ),
    )
    found = profile_table(connection, table)
    assert list(found.columns) == ["j", "m", "s"]
    assert counts(found.columns["m"]) == counts(found.columns["s"]) == (0, 5001, 0, 0, 0)
    assert found.columns["j"].texts == 5001


@pytest.mark.parametrize("first", [-(2**63), 1, 2**63 - 300_001])
def test_ranges_have_as_many_rows_each_and_all_together(
    connection: sqlite3.Connection, first: int
) -> None:
    table = table_of(connection, "INTEGER")
    # Far apart as well as close together.
    connection.execute(
        "WITH n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299999)"
        " INSERT INTO t(rowid, c0) SELECT ? + i, i FROM n",
        (first,),
    )
    connection.execute("INSERT INTO t(rowid, c0) VALUES (-5, 0), (7000000000, 0)")
    rows = 300_002
    assert rowid_ranges(connection, table, 1) == [None]
    ranges = rowid_ranges(connection, table, 8)
    assert len(ranges) == 3
    parts = [profile_table(connection, table, rowid_range=each) for each in ranges]
    assert [part.rows for part in parts] == [rows // 3, rows // 3, rows // 3 + 2]
    assert merge_profiles(parts) == profile_table(connection, table)


DECLARED = (
    *("", "INTEGER", "SMALLINT", "BOOLEAN", "REAL", "NUMERIC", "DECIMAL(5,2)", "TEXT", "BLOB"),
    *("DATE", "DATETIME", "TIME", "JSON", "UUID", "FANCY"),
)
VALUES: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-10, 10),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.binary(max_size=20),
    st.sampled_from(
        ["2024-01-01", "2024-01-01 00:00", "2024-01-01T10:00:00Z", "1", "10:00", "2024-01-01\0"]
    ),
    st.datetimes().map(str),
)


def expected(declared: str, values: list[Any]) -> dict[str, Any]:
    """What there is in a column, by looking at each value."""
    integers = [value for value in values if isinstance(value, int)]
    reals = [value for value in values if isinstance(value, float)]
    texts = [value.encode() for value in values if isinstance(value, str)]
    blobs = [value for value in values if isinstance(value, bytes)]
    shapes = count_shapes(texts)
    return {
        "rows": len(values),
        "nulls": values.count(None),
        "integers": len(integers),
        "reals": len(reals),
        "texts": len(texts),
        "blobs": len(blobs),
        "min_integer": min(integers, default=None),
        "max_integer": max(integers, default=None),
        "min_real": min(reals, default=None),
        "max_real": max(reals, default=None),
        "infinities": sum(abs(real) == math.inf for real in reals),
        "inexact_integers": sum(abs(integer) > 2**53 for integer in integers),
        "max_text_bytes": max(map(len, texts), default=0),
        "max_blob_bytes": max(map(len, blobs), default=0),
        "uuid_blobs": sum(len(blob) == 16 for blob in blobs),
        "shapes": replace(
            shapes, examples=(), midnights=shapes.midnights if declared == "DATE" else 0
        ),
    }


@given(
    st.lists(st.sampled_from(DECLARED), min_size=1, max_size=4),
    st.data(),
    st.booleans(),
)
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_found_is_what_is_there(
    declared: list[str], data: st.DataObject, in_parts: bool
) -> None:
    rows = data.draw(st.lists(st.tuples(*[VALUES] * len(declared)), max_size=12))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        table = table_of(connection, *declared)
        marks = ", ".join("?" * len(declared))
        connection.executemany(f"INSERT INTO t VALUES ({marks})", rows)
        kept = connection.execute("SELECT * FROM t").fetchall()
        if in_parts and rows:
            middle = len(rows) // 2
            ranges = [(-(2**63), 0), (1, middle), (middle + 1, 2**63 - 1)]
            parts = [
                profile_table(connection, table, deep=True, rowid_range=each) for each in ranges
            ]
            found = merge_profiles(parts)
        else:
            found = profile_table(connection, table, deep=True)
    for number, name in enumerate(declared):
        profile = found.columns[f"c{number}"]
        wanted = expected(name, [row[number] for row in kept])
        got = {key: getattr(profile, key) for key in wanted}
        shapes = got["shapes"] or TextShapes()
        got["shapes"] = replace(shapes, examples=(), midnights=wanted["shapes"].midnights)
        assert got == wanted


def test_patterns_are_of_the_most_frequent_instants() -> None:
    values = [b"2024-01-01"] * 3 + [b"2024-01-01 10:00Z"] + [b"x", b"1"]
    day = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
    assert patterns_of(values) == {
        day: "date",
        f"{day} [0-9][0-9]:[0-9][0-9]Z": "zoned_timestamp",
    }
