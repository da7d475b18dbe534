"""What each value becomes, and which values are bad."""
# ruff: noqa: DTZ001, DTZ901 - what has no zone in SQLite has none here

import math
import uuid
from datetime import date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.migrate.importer.conversion import numeric_wire
from dbopsd.migrate.importer.conversion.base import Bad, TypeNotSupported
from dbopsd.migrate.importer.conversion.decimals import read_decimal
from dbopsd.migrate.importer.conversion.registry import CONVERSIONS
from dbopsd.migrate.importer.conversion.values import Text
from dbopsd.migrate.importer.model.plan import PlannedColumn

INF = math.inf


def one(conversion, type_, value, unit=""):
    column = PlannedColumn("c", "c", type_, conversion, "", unit=unit)
    result = CONVERSIONS[conversion](column).convert_value(
        Text(value.encode()) if isinstance(value, str) else value
    )
    return result.reason.value if isinstance(result, Bad) else result


def nearest(conversion, type_, value):
    column = PlannedColumn("c", "c", type_, conversion, "")
    result = CONVERSIONS[conversion](column).convert_value(value)
    assert isinstance(result, Bad)
    return result.nearest


def micros(moment):
    since = moment - datetime(2000, 1, 1)
    return (since.days * 86400 + since.seconds) * 10**6 + since.microseconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((text, True) for text in ("t", "TRUE", "yes", "Y", "oN", "1")),
        *((text, False) for text in ("f", "False", "no", "n", "OFF", "0")),
        *((1, True), (0, False), (1.0, True), (0.0, False), (-0.0, False)),
        *((bad, "NOT_A_BOOLEAN") for bad in (2, -1, 0.5, INF, " 1", "1 ", "", "tr", b"1", b"t")),
    ],
)
def test_boolean(value, expected):
    assert one("boolean", "boolean", value) is expected or one("boolean", "boolean", value) == str(
        expected
    )


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("bigint", -(2**63), -(2**63)),
        ("bigint", 2**63 - 1, 2**63 - 1),
        ("bigint", -(2.0**63), -(2**63)),
        ("bigint", 2.0**63, "OUT_OF_RANGE"),
        ("bigint", INF, "OUT_OF_RANGE"),
        ("bigint", 1.5, "NOT_AN_INTEGER"),
        ("bigint", 3.0, 3),
        ("bigint", "-12", -12),
        ("bigint", "12x", "NOT_AN_INTEGER"),
        ("bigint", " 12", "NOT_AN_INTEGER"),
        ("bigint", "1.0", "NOT_AN_INTEGER"),
        ("bigint", "9" * 30, "OUT_OF_RANGE"),
        ("bigint", b"1", "NOT_AN_INTEGER"),
        ("int4", 2**31 - 1, 2**31 - 1),
        ("int", 2**31, "OUT_OF_RANGE"),
        ("smallint", -(2**15) - 1, "OUT_OF_RANGE"),
    ],
)
def test_integer(type_, value, expected):
    assert one("integer", type_, value) == expected


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("double precision", 2**53, 2.0**53),
        ("double precision", 2**53 + 1, "INEXACT"),
        ("double precision", 2**60, "INEXACT"),
        ("float8", -INF, -INF),
        ("double precision", "0.1", 0.1),
        ("double precision", "0.10000000000000000555", "INEXACT"),
        ("double precision", "1e400", "OUT_OF_RANGE"),
        ("double precision", "nan", "NOT_A_NUMBER"),
        ("double precision", b"1", "NOT_A_NUMBER"),
        ("real", 0.5, 0.5),
        ("real", 0.1, "INEXACT"),
        ("real", "0.1", 0.10000000149011612),
        ("float(24)", 0.1, "INEXACT"),
        ("float(25)", 0.1, 0.1),
        ("real", 1e300, "OUT_OF_RANGE"),
        ("real", 1e-300, "INEXACT"),
        ("real", INF, INF),
        ("real", 2**24 + 1, "INEXACT"),
    ],
)
def test_double(type_, value, expected):
    assert one("double", type_, value) == expected


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("numeric", 5, "5"),
        ("numeric", 1.5, "1.5"),
        ("numeric", 5.0, "5"),
        ("numeric", -0.0, "0"),
        ("numeric", 1e22, "1" + "0" * 22),
        ("numeric", 1e-7, "0.0000001"),
        ("numeric", 0.1 + 0.2, "0.30000000000000004"),
        ("numeric", 5e-324, "0." + "0" * 323 + "5"),
        ("numeric", INF, "Infinity"),
        ("numeric", -INF, "-Infinity"),
        ("numeric", "1.50", "1.50"),
        ("numeric", "-0.00", "0.00"),
        ("numeric", "+1.5e1", "15"),
        ("numeric", "1.50e1", "15.0"),
        ("numeric", "1e5", "100000"),
        ("numeric", ".5", "0.5"),
        ("numeric", "5.", "5"),
        ("numeric", "00012.3", "12.3"),
        ("numeric", "1" * 40 + "." + "2" * 40, "1" * 40 + "." + "2" * 40),
        ("numeric", "1e131071", "1" + "0" * 131071),
        ("numeric", "1e131072", "OUT_OF_RANGE"),
        ("numeric", "1e-16383", "0." + "0" * 16382 + "1"),
        ("numeric", "1e-16384", "OUT_OF_RANGE"),
        ("numeric", "1e99999999999", "OUT_OF_RANGE"),
        *(("numeric", bad, "NOT_A_NUMBER") for bad in ("", ".", "e5", " 1", "1 ", "NaN", "0x1")),
        *(("numeric", bad, "NOT_A_NUMBER") for bad in ("Infinity", "1_000", "\u0661", b"1", "1e")),
        ("numeric(10,2)", 5, "5.00"),
        ("numeric(10,2)", "1.5000", "1.50"),
        ("numeric(10,2)", 0.125, "INEXACT"),
        ("numeric(10,2)", "99999999.99", "99999999.99"),
        ("numeric(10,2)", 100000000, "OUT_OF_RANGE"),
        ("numeric(10,2)", INF, "OUT_OF_RANGE"),
        ("numeric(10,2)", "0", "0.00"),
        ("decimal(5)", "12345.0", "12345"),
        ("numeric(2,4)", "0.0099", "0.0099"),
        ("numeric(2,4)", "0.0100", "OUT_OF_RANGE"),
        ("numeric(3,-2)", 99900, "99900"),
        ("numeric(3,-2)", 99950, "INEXACT"),
    ],
)
def test_numeric(type_, value, expected):
    result = one("numeric", type_, value)
    assert (numeric_wire.decode(result) if isinstance(result, bytes) else result) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False) | st.integers().map(Decimal))
def test_a_numeric_on_the_wire_reads_back_as_it_was(number):
    text = format(number, "f")
    plain = read_decimal(text.encode())
    assert plain is not None
    assert str(plain) == (text.lstrip("-") if not number else text)
    wire = numeric_wire.encode(plain)
    assert numeric_wire.decode(wire) == str(plain)
    # No group of zeros at either end.
    assert len(wire) == 8 or (wire[8:10] != b"\0\0" and wire[-2:] != b"\0\0")


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("text", "é\U0001f600", "é\U0001f600".encode()),
        ("text", "", b""),
        ("text", 12, b"12"),
        ("text", 1.5, b"1.5"),
        ("text", 1e16, b"1e+16"),
        ("text", INF, b"Inf"),
        ("text", -INF, b"-Inf"),
        ("text", b"a", "BLOB_IN_TEXT"),
        ("text", "a\0b", "NUL_CHARACTER"),
        ("text", Text(b"\xff"), "INVALID_UTF8"),
        ("text", Text(b"\xed\xa0\x80"), "INVALID_UTF8"),
        ("varchar(3)", "äöü", "äöü".encode()),
        ("character varying(3)", "abcd", "OUT_OF_RANGE"),
        ("varchar(3)", "abc ", "OUT_OF_RANGE"),
        ("varchar", "abc ", b"abc "),
        ("char(3)", "ä", "ä  ".encode()),
        ("char", "ab", "OUT_OF_RANGE"),
        ("varchar(2)", 123, "OUT_OF_RANGE"),
    ],
)
def test_text(type_, value, expected):
    assert one("text", type_, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"\0\xff", b"\0\xff"), (Text(b"\xff\0"), b"\xff\0"), (1, b"1"), (1.5, b"1.5"), (INF, b"Inf")],
)
def test_bytes(value, expected):
    assert one("bytes", "bytea", value) == expected


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("2024-02-29", "", date(2024, 2, 29)),
        ("0001-01-01", "", date(1, 1, 1)),
        ("9999-12-31", "", date(9999, 12, 31)),
        ("2024-01-31 00:00", "", date(2024, 1, 31)),
        ("2024-01-31T00:00:00.000", "", date(2024, 1, 31)),
        (86400, "s", date(1970, 1, 2)),
        (86400000.0, "ms", date(1970, 1, 2)),
        (2440587.5, "julian", date(1970, 1, 1)),
        (86401, "s", "NOT_A_DATE"),
        (86400, "", "NOT_A_DATE"),
        (10**12, "s", "OUT_OF_RANGE"),
        *((bad, "", "NOT_A_DATE") for bad in ("2023-02-29", "0000-01-01", "2024-1-1", "20240101")),
        *((bad, "", "NOT_A_DATE") for bad in ("2024-01-01 00:01", "2024-01-01T00:00Z", "", b"1")),
        *((bad, "s", "NOT_A_DATE") for bad in ("86400", "2024-01-01 ", "10000-01-01")),
    ],
)
def test_date(value, unit, expected):
    if isinstance(expected, date):
        expected = (expected - date(2000, 1, 1)).days
    assert one("date", "date", value, unit) == expected


AT = datetime(2024, 2, 29, 12, 30)


@pytest.mark.parametrize(
    ("type_", "value", "unit", "expected"),
    [
        ("timestamp", "2024-02-29 12:30", "", AT),
        ("timestamp", "2024-02-29T12:30:00", "", AT),
        ("timestamp", "2024-02-29T12:30:00.123456", "", AT.replace(microsecond=123456)),
        ("timestamp", "2024-02-29T12:30:00.1", "", AT.replace(microsecond=100000)),
        ("timestamp", "2024-02-29T12:30:00.123456000", "", AT.replace(microsecond=123456)),
        ("timestamp", "2024-02-29", "", datetime(2024, 2, 29)),
        ("timestamp", "0001-01-01", "", datetime(1, 1, 1)),
        ("timestamp", "9999-12-31 23:59:59.999999", "", datetime.max),
        ("timestamp", "2024-02-29T12:30:00.1234567", "", "INEXACT"),
        ("timestamp(3)", "2024-02-29T12:30:00.123", "", AT.replace(microsecond=123000)),
        ("timestamp(3)", "2024-02-29T12:30:00.1234", "", "INEXACT"),
        ("timestamp", "2024-02-29T12:30Z", "", "NOT_A_TIMESTAMP"),
        ("timestamptz", "2024-02-29T12:30", "", AT),
        ("timestamptz", "2024-02-29T12:30z", "", AT),
        ("timestamptz", "2024-02-29T14:30+02:00", "", AT),
        ("timestamptz", "2024-02-29 07:00:00 -0530", "", AT),
        ("timestamptz", "2024-02-29 14:30:00+02", "", AT),
        ("timestamptz", "0001-01-01 00:00+01", "", "OUT_OF_RANGE"),
        ("timestamptz", "9999-12-31 23:59:59-01", "", "OUT_OF_RANGE"),
        ("timestamptz", 1709209800, "s", AT),
        ("timestamptz", 1709209800000, "ms", AT),
        ("timestamptz", 1709209800000000, "us", AT),
        ("timestamptz", 1709209800.5, "s", AT.replace(microsecond=500000)),
        ("timestamptz", 1709209800000.5, "ms", AT.replace(microsecond=500)),
        ("timestamptz", -0.5, "s", datetime(1969, 12, 31, 23, 59, 59, 500000)),
        ("timestamptz", 2440587.5, "julian", datetime(1970, 1, 1)),
        ("timestamptz", 2440588, "julian", datetime(1970, 1, 1, 12)),
        ("timestamptz", 2460370.0208333335, "julian", AT),
        ("timestamptz", 253402300800, "s", "OUT_OF_RANGE"),
        ("timestamptz", 253402300799.5, "s", datetime(9999, 12, 31, 23, 59, 59, 500000)),
        ("timestamptz", INF, "s", "OUT_OF_RANGE"),
        ("timestamptz", 1e300, "julian", "OUT_OF_RANGE"),
        ("timestamptz", 5, "", "NOT_A_TIMESTAMP"),
        ("timestamptz", "1709209800", "s", "NOT_A_TIMESTAMP"),
        *(
            ("timestamp", bad, "", "NOT_A_TIMESTAMP")
            for bad in (
                *(
                    "2024-02-30 12:30",
                    "2024-02-29 24:00",
                    "2024-02-29 12:60",
                    "2024-02-29 12:30:60",
                ),
                *("2024-02-29  12:30", "2024-02-29t12:30", "2024-02-29 12", "2024-02-29 12:30:00."),
                *("2024-02-29 12:30 ", "24-02-29 12:30", "", b"2024-02-29 12:30", "now"),
            )
        ),
        *(
            ("timestamptz", bad, "", "NOT_A_TIMESTAMP")
            for bad in ("2024-02-29Z", "2024-02-29 12:30+24:00", "2024-02-29 12:30  Z")
        ),
    ],
)
def test_timestamp(type_, value, unit, expected):
    conversion = "timestamptz" if "tz" in type_ else "timestamp"
    if isinstance(expected, datetime):
        expected = micros(expected)
    assert one(conversion, type_, value, unit) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10:00", time(10)),
        ("23:59:59.999999", time.max),
        ("00:00:00.5", time(0, 0, 0, 500000)),
        ("00:00:00.1234560", time(0, 0, 0, 123456)),
        ("00:00:00.1234561", "INEXACT"),
        *((bad, "NOT_A_TIME") for bad in ("24:00", "12:60", "1:00", "10:00Z", "", 5, b"10:00")),
    ],
)
def test_time(value, expected):
    if isinstance(expected, time):
        expected = micros(datetime.combine(date(2000, 1, 1), expected))
    assert one("time", "time", value) == expected


@pytest.mark.parametrize(
    ("value", "json_", "jsonb"),
    [
        ("{}", "{}", "{}"),
        (' {"b":1.50 , "aa":[ ],"a":"x"}\n', ..., '{"a": "x", "b": 1.50, "aa": []}'),
        ('{"é":1,"zz":2}', ..., '{"zz": 2, "é": 1}'),
        ('"\\u00e9\\/\\u0001\x7f"', ..., '"é/\\u0001\x7f"'),
        ('"\\ud83d\\ude00"', ..., '"\U0001f600"'),
        ("[1E2,0.0,1.5e1,1e-3,0e9]", ..., "[100, 0.0, 15, 0.001, 0]"),
        *(
            (altered, ..., "ALTERED_BY_JSONB")
            for altered in ("-0", "[-0.0]", '{"a":-0e5}', "-0E-5")
        ),
        *(
            (altered, ..., "ALTERED_BY_JSONB")
            for altered in ('{"a":1,"a":1}', '[{"a":{"b":1,"b":2}}]')
        ),
        ('{"a":1,"\\u0061":2}', ..., "ALTERED_BY_JSONB"),
        ('{"a":1,"A":2,"a ":3}', ..., '{"A": 2, "a": 1, "a ": 3}'),
        ("[" * 300 + '{"a":1,"\\u0061":2}' + "]" * 300, ..., "ALTERED_BY_JSONB"),
        ("[" * 300 + "-0.0" + "]" * 300, ..., "ALTERED_BY_JSONB"),
        (-0.0, "-0.0", "ALTERED_BY_JSONB"),
        ("1" * 5000, ..., "1" * 5000),
        ("1e-16384", ..., "OUT_OF_RANGE"),
        ("1e999999", ..., "OUT_OF_RANGE"),
        ('["\\\\u0000"]', ..., '["\\\\u0000"]'),
        ('["\\u0000"]', ..., "NUL_CHARACTER"),
        ('["\\\\\\u0000"]', ..., "NUL_CHARACTER"),
        ('"\\ud800"', ..., "INVALID_UTF8"),
        ("[" * 900 + "]" * 900, ..., ...),
        ("[" * 3000 + "]" * 3000, ..., ...),
        (5, "5", "5"),
        (1e16, "1e+16", "10000000000000000"),
        *((bad, "NOT_JSON", "NOT_JSON") for bad in ("", " ", "{", "nul", "NaN", "[Infinity]")),
        *((bad, "NOT_JSON", "NOT_JSON") for bad in ("01", "1.", "'a'", "[1,]", '{"a"}', '"\n"')),
        *((bad, "NOT_JSON", "NOT_JSON") for bad in ("1 2", "\ufeff1", "\x0c1", INF, '{"a":1,}')),
        ("[" * 3001 + "]" * 3001, "NOT_JSON", "NOT_JSON"),
        ("[" * 500 + "]" * 499, "NOT_JSON", "NOT_JSON"),
        ("[" * 500 + "}" * 500, "NOT_JSON", "NOT_JSON"),
        (b"{}", "BLOB_IN_TEXT", "BLOB_IN_TEXT"),
        (Text(b'"\xff"'), "INVALID_UTF8", "INVALID_UTF8"),
        ('"\0"', "NUL_CHARACTER", "NUL_CHARACTER"),
    ],
)
def test_json(value, json_, jsonb):
    json_ = value if json_ is ... else json_
    jsonb = json_ if jsonb is ... else jsonb
    found = [one("json", "json", value), one("jsonb", "jsonb", value)]
    assert [each if isinstance(each, str) else each.decode() for each in found] == [
        json_,
        jsonb if jsonb.isupper() and "_" in jsonb else f"\x01{jsonb}",
    ]


ID = uuid.UUID("0123abcd-4567-89ab-cdef-0123456789ab")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((text, ID.bytes) for text in (str(ID), str(ID).upper(), ID.hex, f"{{{ID}}}")),
        (f"{{{ID.hex}}}", ID.bytes),
        (ID.bytes, ID.bytes),
        *((bad, "NOT_A_UUID") for bad in (f"{{{ID}", f"urn:uuid:{ID}", f" {ID}", "", 5, b"abc")),
        *((bad, "NOT_A_UUID") for bad in (Text(ID.bytes), str(ID)[:-1] + "g", str(ID) + "0")),
        ("0123-abcd-4567-89ab-cdef-0123-4567-89ab", "NOT_A_UUID"),
    ],
)
def test_uuid(value, expected):
    assert one("uuid", "uuid", value) == expected


@pytest.mark.parametrize(
    ("conversion", "type_", "value", "expected"),
    [
        ("integer", "smallint", 10**6, 2**15 - 1),
        ("integer", "smallint", -INF, -(2**15)),
        ("integer", "bigint", 1.5, None),
        ("double", "double precision", 2**53 + 1, 2.0**53),
        ("double", "real", 1e300, 3.4028234663852886e38),
        ("double", "real", 0.1, 0.10000000149011612),
    ],
)
def test_the_nearest_number(conversion, type_, value, expected):
    assert nearest(conversion, type_, value) == expected


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("numeric(4,2)", 1000, "99.99"),
        ("numeric(4,2)", -INF, "-99.99"),
        ("numeric(4,2)", 1.125, "1.13"),
        ("numeric(4,2)", -0.001, "0.00"),
        ("numeric(4,2)", 99.999, "99.99"),
        ("numeric(3,-2)", 150, "200"),
        ("numeric(3,-2)", 10**9, "99900"),
    ],
)
def test_the_nearest_numeric(type_, value, expected):
    wire = nearest("numeric", type_, value)
    assert numeric_wire.decode(wire) == expected


@pytest.mark.parametrize(
    ("conversion", "type_"),
    [("integer", "text"), ("text", "bigint"), ("timestamp", "timestamptz"), ("json", "jsonb")],
)
def test_a_type_of_another_kind_is_refused(conversion, type_):
    with pytest.raises(TypeNotSupported, match=f"'c' cannot become {type_} by the conversion"):
        one(conversion, type_, 1)
