"""Which PostgreSQL type a column gets: by what is declared, or else by what was found."""

from dataclasses import replace

import pytest

from dbopsd.migrate.importer.model.declared_type import Family, read_declared
from dbopsd.migrate.importer.model.source_profile import ColumnProfile, TextShapes
from dbopsd.migrate.importer.model.source_schema import SourceColumn, affinity_of
from dbopsd.migrate.importer.plan.column_types import decide_type, storage_class

NOTHING = ColumnProfile(rows=0)
NAIVE, ZONED = "timestamp without time zone", "timestamp with time zone"

DECLARED = {
    ("boolean", "boolean"): "BOOL BOOLEAN",
    ("smallint", "integer"): "SMALLINT INT2 TINYINT",
    ("bigint", "integer"): "INT INTEGER MEDIUMINT INT4 INT8 BIGINT UNSIGNED_BIG_INT",
    ("double precision", "double"): "REAL DOUBLE DOUBLE_PRECISION FLOAT",
    ("numeric", "numeric"): "NUMERIC DECIMAL NUMBER MONEY",
    ("text", "text"): (
        "TEXT CLOB CHAR VARCHAR CHARACTER VARYING_CHARACTER NCHAR NATIVE_CHARACTER NVARCHAR STRING"
        " LONGTEXT MEDIUMTEXT TINYTEXT"
    ),
    ("bytea", "bytes"): "BLOB BYTEA BINARY VARBINARY LONGBLOB MEDIUMBLOB TINYBLOB IMAGE",
    ("date", "date"): "DATE",
    (NAIVE, "timestamp"): "DATETIME TIMESTAMP",
    (ZONED, "timestamptz"): "TIMESTAMPTZ TIMESTAMP_WITH_TIME_ZONE",
    ("time without time zone", "time"): "TIME",
    ("json", "json"): "JSON",
    ("jsonb", "jsonb"): "JSONB",
    ("uuid", "uuid"): "UUID GUID UNIQUEIDENTIFIER",
}
NAMES = [
    (name.replace("_", " "), decided)
    for decided, names in DECLARED.items()
    for name in names.split()
]


def column(declared: str) -> SourceColumn:
    return SourceColumn("c", declared, affinity_of(declared))


def decided(declared: str, found: ColumnProfile = NOTHING) -> tuple[str, str]:
    made = decide_type(column(declared), found)
    return made.type, made.conversion


def integers(low: int, high: int, **more: object) -> ColumnProfile:
    found = ColumnProfile(rows=2, integers=2, min_integer=low, max_integer=high)
    return replace(found, **more)  # type: ignore[arg-type]


def reals(low: float, high: float, **more: object) -> ColumnProfile:
    found = ColumnProfile(rows=2, reals=2, min_real=low, max_real=high)
    return replace(found, **more)  # type: ignore[arg-type]


def texts(**shapes: int) -> ColumnProfile:
    return ColumnProfile(rows=2, texts=2, shapes=TextShapes(**shapes))


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=[name for name, _ in NAMES])
def test_well_known_names(name: str, expected: tuple[str, str]) -> None:
    for declared in (name, name.lower(), f"  {name.replace(' ', '  ')} ", f"{name}(7)"):
        if name != "NUMERIC" or "(" not in declared:
            made = decided(declared)
            assert (made[0].partition("(")[0], made[1]) == expected, declared


@pytest.mark.parametrize("declared", ["", "WKT", "INTEGER_OR_TEXT", "POINT", "GEOMETRY(2)", "x y"])
def test_other_names_say_nothing(declared: str) -> None:
    assert read_declared(declared).family is Family.BY_VALUES


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (integers(0, 2**31), ("bigint", "integer")),
        (reals(0.5, 1.5), ("double precision", "double")),
        (ColumnProfile(rows=2, integers=1, reals=1), ("double precision", "double")),
        (ColumnProfile(rows=2, integers=1, reals=1, inexact_integers=1), ("numeric", "numeric")),
        (texts(), ("text", "text")),
        (ColumnProfile(rows=2, texts=1, integers=1), ("text", "text")),
        (ColumnProfile(rows=2, blobs=2), ("bytea", "bytes")),
        (ColumnProfile(rows=2, blobs=1, texts=1), ("bytea", "bytes")),
    ],
)
def test_without_a_name_what_is_found_decides(
    found: ColumnProfile, expected: tuple[str, str]
) -> None:
    assert decided("", found) == expected


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("", ("text", "text")),
        ("XINT", ("bigint", "integer")),
        ("XFLOA", ("double precision", "double")),
        ("XTEXT", ("text", "text")),
        ("XBLOB", ("bytea", "bytes")),
        ("WHATEVER", ("numeric", "numeric")),
    ],
)
def test_without_a_name_and_values_the_affinity_decides(
    declared: str, expected: tuple[str, str]
) -> None:
    assert decided(declared) == expected
    assert decided(declared, ColumnProfile(rows=3, nulls=3)) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-(2**15), 2**15 - 1, "smallint"),
        (0, 2**15, "integer"),
        (-(2**15) - 1, 0, "integer"),
        (-(2**31), 2**31 - 1, "integer"),
        (0, 2**31, "bigint"),
        (-(2**31) - 1, 0, "bigint"),
    ],
)
def test_small_integers_are_as_small_as_what_is_found(low: int, high: int, expected: str) -> None:
    assert decided("TINYINT", integers(low, high)) == (expected, "integer")


@pytest.mark.parametrize(
    ("declared", "found", "expected"),
    [
        ("DECIMAL(8,2)", {"max_precision": 6, "max_scale": 2}, "numeric(8,2)"),
        ("DECIMAL(8,2)", {"max_precision": 7, "max_scale": 2}, "numeric"),
        ("DECIMAL(8,2)", {"max_precision": 6, "max_scale": 3}, "numeric"),
        ("DECIMAL(8)", {"max_precision": 8, "max_scale": 0}, "numeric(8,0)"),
        ("DECIMAL(8,2)", {}, "numeric"),
        ("DECIMAL(8,2)", {"max_precision": 1, "max_scale": 0, "infinities": 1}, "numeric"),
        ("DECIMAL(2,8)", {"max_precision": 1, "max_scale": 0}, "numeric"),
        ("DECIMAL(1001,2)", {"max_precision": 1, "max_scale": 0}, "numeric"),
        ("DECIMAL(0)", {"max_precision": 0, "max_scale": 0}, "numeric"),
        ("DECIMAL(x)", {"max_precision": 0, "max_scale": 0}, "numeric"),
    ],
)
def test_precision_is_kept_where_all_values_fit(
    declared: str, found: dict[str, int], expected: str
) -> None:
    profile = reals(0.5, 1.5, **found)
    assert decided(declared, profile) == (expected, "numeric")


@pytest.mark.parametrize(
    ("declared", "found", "expected", "unit"),
    [
        ("DATE", texts(date=2), "date", ""),
        ("DATE", texts(date=1, naive_timestamp=1, midnights=1), "date", ""),
        ("DATE", texts(date=1, naive_timestamp=1), NAIVE, ""),
        ("DATE", texts(zoned_timestamp=2), ZONED, ""),
        ("DATE", integers(0, 86400 * 5), "date", "s"),
        ("DATE", integers(0, 86401, off_midnight={"s": 1}), ZONED, "s"),
        ("DATETIME", texts(naive_timestamp=2), NAIVE, ""),
        ("DATETIME", texts(naive_timestamp=1, zoned_timestamp=1), ZONED, ""),
        ("DATETIME", integers(0, 10**11 - 1), ZONED, "s"),
        ("DATETIME", integers(0, 10**11), ZONED, "ms"),
        ("DATETIME", integers(-(10**14) + 1, 0), ZONED, "ms"),
        ("DATETIME", integers(0, 10**14), ZONED, "us"),
        ("DATETIME", reals(2440587.5, 2460000.0), ZONED, "julian"),
        ("DATETIME", reals(0.5, 2460000.0), ZONED, "s"),
    ],
)
def test_dates_and_times(declared: str, found: ColumnProfile, expected: str, unit: str) -> None:
    made = decide_type(column(declared), found)
    assert (made.type, made.unit) == (expected, unit)


def test_the_storage_class_of_a_column_is_that_of_all_its_values() -> None:
    assert storage_class(integers(1, 2)) == "integer"
    assert storage_class(integers(1, 2, reals=1)) == ""
    assert storage_class(ColumnProfile(rows=1, nulls=1)) == "text"


def test_the_evidence_says_what_is_declared_and_what_was_found() -> None:
    made = decide_type(
        column("DECIMAL(3,1)"), reals(0.5, 1.5, nulls=1, max_precision=4, max_scale=1)
    )
    assert made.evidence == (
        "declared DECIMAL(3,1); 2 reals, 1 NULLs: "
        "4 digits before and 1 after the point do not fit numeric(3,1)"
    )
    assert decide_type(column(""), NOTHING).evidence == "no type declared; no rows"
