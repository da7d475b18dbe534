"""The way for many values gives what the way for one value gives."""

import json
import math
import struct

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dbopsd.migrate.importer.conversion.base import Bad
from dbopsd.migrate.importer.conversion.registry import CONVERSIONS
from dbopsd.migrate.importer.conversion.values import ARROW_TYPES, Text
from dbopsd.migrate.importer.model.plan import PlannedColumn

COLUMNS = [
    ("boolean", "boolean", ""),
    ("integer", "smallint", ""),
    ("integer", "integer", ""),
    ("integer", "bigint", ""),
    ("double", "double precision", ""),
    ("double", "real", ""),
    ("numeric", "numeric", ""),
    ("numeric", "numeric(10,2)", ""),
    ("numeric", "numeric(5)", ""),
    ("numeric", "numeric(2,4)", ""),
    ("numeric", "numeric(6,-2)", ""),
    ("numeric", "numeric(38,10)", ""),
    ("text", "text", ""),
    ("text", "varchar(5)", ""),
    ("text", "char(5)", ""),
    ("bytes", "bytea", ""),
    ("date", "date", ""),
    ("date", "date", "s"),
    ("date", "date", "julian"),
    ("timestamp", "timestamp", ""),
    ("timestamp", "timestamp(3)", "ms"),
    ("timestamptz", "timestamptz", "s"),
    ("timestamptz", "timestamptz", "ms"),
    ("timestamptz", "timestamptz", "us"),
    ("timestamptz", "timestamptz(0)", "julian"),
    ("time", "time", ""),
    ("time", "time(1)", ""),
    ("json", "json", ""),
    ("jsonb", "jsonb", ""),
    ("uuid", "uuid", ""),
]

INTEGERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-3, 3),
    st.sampled_from([2**15, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 10**15, 10**16, 10**18]),
    st.integers(-62135596801, 253402300801),
    st.integers(-719163, 2932897).map(lambda day: day * 86400),
    st.integers(-62135596801000, 253402300801000),
    st.integers(-62135596801000000, 253402300801000000),
)
REALS = st.one_of(
    st.floats(allow_nan=False),
    st.floats(1721425.0, 5373485.0),
    st.integers(1721425, 5373485).map(lambda day: day - 0.5),
    st.floats(-62135596801, 253402300801),
    st.decimals(-(10**9), 10**9, places=2).map(float),
    st.integers(-(2**53), 2**53).map(float),
    st.floats(allow_nan=False, width=32),
    st.sampled_from([0.0, -0.0, 1e15, 1e16, 1e22, 1e23, 2.0**63, -(2.0**63), 5e-324, 0.1 + 0.2]),
)
CLOCK = st.builds(
    "{:02d}:{:02d}{}".format,
    st.integers(0, 25),
    st.integers(0, 61),
    st.one_of(
        st.just(""),
        st.integers(0, 61).map(":{:02d}".format),
        st.builds(":{:02d}.{}".format, st.integers(0, 59), st.text("01", max_size=9)),
    ),
)
DAYS = st.one_of(
    st.dates().map(str),
    st.builds(
        "{:04d}-{:02d}-{:02d}".format, st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32)
    ),
)
ZONES = st.one_of(
    st.sampled_from(["", "Z", "z", " Z", "+00:00", "-05:30", "+0530", "-08", " +02", "+2", "+24"]),
    st.builds("{}{:02d}:{:02d}".format, st.sampled_from("+-"), st.integers(0, 25), st.just(0)),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)
TEXTS = st.one_of(
    st.text(max_size=12).map(str.encode),
    st.binary(max_size=12),
    st.sampled_from(["t", "TRUE", "yes", "off", "On", "0", "1", "null", "", " 1", "1 "]).map(
        str.encode
    ),
    DAYS.map(str.encode),
    CLOCK.map(str.encode),
    st.builds("{}{}{}{}".format, DAYS, st.sampled_from("T tx"), CLOCK, ZONES).map(str.encode),
    st.from_regex(r"[+-]?[0-9]{0,18}(\.[0-9]{0,9})?([eE][+-]?[0-9]{1,3})?", fullmatch=True).map(
        str.encode
    ),
    st.uuids().map(lambda each: str(each).encode()),
    st.uuids().map(lambda each: f"{{{each.hex.upper()}}}".encode()),
    st.from_regex(r"[0-9a-g-]{36}", fullmatch=True).map(str.encode),
    JSON.map(lambda value: json.dumps(value).encode()),
)
BLOBS = st.binary(max_size=20) | st.binary(min_size=16, max_size=16)
VALUES = {"integer": INTEGERS, "real": REALS, "text": TEXTS, "blob": BLOBS}


def conversion(name, type_, unit=""):
    return CONVERSIONS[name](PlannedColumn("c", "c", type_, name, "", unit=unit))


def same(left, right):
    if isinstance(left, float) and isinstance(right, float):
        return struct.pack("d", left) == struct.pack("d", right)
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("storage_class", VALUES)
@pytest.mark.parametrize(("name", "type_", "unit"), COLUMNS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_many_at_once_are_what_each_is_alone(name, type_, unit, storage_class, data):
    values = data.draw(st.lists(st.none() | VALUES[storage_class], max_size=20))
    skipped = data.draw(st.integers(0, min(2, len(values))))
    compare(conversion(name, type_, unit), storage_class, values, skipped)


def compare(converter, storage_class, values, skipped=0):
    array = pa.array(values, ARROW_TYPES[storage_class]).slice(skipped)
    vector = converter.array(storage_class, array)
    payloads = vector.payloads.to_pylist()
    undecided = vector.undecided.tolist()
    assert vector.payloads.type == converter.arrow
    assert len(set(undecided)) == len(undecided)
    for row, value in enumerate(values[skipped:]):
        if value is None or row in undecided:
            assert payloads[row] is None
            assert value is not None or row not in undecided
            continue
        one = converter.convert_value(Text(value) if storage_class == "text" else value)
        assert not isinstance(one, Bad), (value, payloads[row])
        assert same(payloads[row], bytes(one) if isinstance(one, Text) else one), value


@settings(deadline=None)
@example([1e22, 0.1, 123456.789, -0.0, 1.5e-7, 999999999999999.0, 1e15])
@given(st.lists(REALS, max_size=50))
def test_reals_become_the_decimals_that_python_shows(values):
    compare(conversion("numeric", "numeric"), "real", values)


@pytest.mark.parametrize(
    ("name", "type_", "storage_class", "values"),
    [
        ("boolean", "boolean", "integer", [0, 1]),
        ("integer", "bigint", "integer", [-(2**63), 2**63 - 1]),
        ("integer", "smallint", "integer", [-(2**15), 2**15 - 1]),
        ("integer", "bigint", "real", [1.0, -(2.0**63)]),
        ("double", "double precision", "real", [math.inf, 5e-324]),
        ("double", "double precision", "integer", [2**53, -(2**53)]),
        ("numeric", "numeric", "integer", [2**63 - 1, 0, -5]),
        ("numeric", "numeric(10,2)", "real", [0.1, 12.5, -99999999.99]),
        ("numeric", "numeric", "text", [b"12.50", b"-0.001", b"123456789012345"]),
        ("text", "text", "text", ["é😀".encode(), b""]),
        ("text", "varchar(2)", "text", ["é😀".encode(), b""]),
        ("bytes", "bytea", "blob", [b"\0\xff", b""]),
        ("date", "date", "text", [b"0001-01-01", b"9999-12-31"]),
        ("timestamp", "timestamp", "text", [b"2024-02-29 23:59:59.999999", b"2024-02-29T23:59"]),
        ("timestamptz", "timestamptz", "text", [b"2024-02-29T23:59:59Z", b"2024-02-29 00:00-0800"]),
        ("time", "time", "text", [b"23:59:59.5", b"00:00"]),
        ("json", "json", "text", [b"{}", b" [1.5]\n"]),
        ("jsonb", "jsonb", "text", [b"{}", b" [1.5]\n"]),
        ("uuid", "uuid", "text", [b"0123abcd-0000-0000-0000-0123456789AB"]),
        ("uuid", "uuid", "blob", [b"0123456789abcdef"]),
    ],
)
def test_what_is_common_needs_no_look_at_each_value(name, type_, storage_class, values):
    vector = conversion(name, type_).array(
        storage_class, pa.array([*values, None], ARROW_TYPES[storage_class])
    )
    assert vector.undecided.tolist() == []
    assert vector.payloads.null_count == 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "julian"])
@pytest.mark.parametrize("storage_class", ["integer", "real"])
def test_numbers_that_are_times_need_no_look_at_each_value(unit, storage_class):
    now = {"s": 1.7e9, "ms": 1.7e12, "us": 1.7e15, "julian": 2460000}[unit]
    values = pa.array([now, None], ARROW_TYPES[storage_class])
    vector = conversion("timestamptz", "timestamptz", unit).array(storage_class, values)
    assert vector.undecided.tolist() == []
    compare(conversion("timestamptz", "timestamptz", unit), storage_class, values.to_pylist())
