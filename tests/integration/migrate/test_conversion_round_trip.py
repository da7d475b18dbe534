"""Values on their way from a SQLite file into PostgreSQL and back, against what they should be.

Each goes in by binary COPY. It must come back as the same bytes, and as the value that plain
psycopg gives must be what plain Python makes of the one in SQLite.
"""
# ruff: noqa: DTZ001, DTZ901 - what has no zone in SQLite has none here

import json
import math
import re
import sqlite3
import struct
import uuid
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbopsd.migrate.importer.conversion.canonical import canonicalise, kinds
from dbopsd.migrate.importer.conversion.decode import decode_row
from dbopsd.migrate.importer.conversion.digest import Digest
from dbopsd.migrate.importer.conversion.encoder import Encoder
from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable
from dbopsd.migrate.importer.snapshot.reader import read_table

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
MIB = 2**20
LONG = 8 * MIB

EXAMPLES = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def connection(database_dsn):
    with psycopg.connect(database_dsn, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET client_encoding = 'UTF8'")
        yield connection


@pytest.fixture
def round_trip(connection, tmp_path):
    """`round_trip(type, conversion, values, unit="") -> values` as psycopg gives them back.

    JSON comes back as text.
    """

    def go(type_, conversion, values, unit=""):
        encoded = encode(tmp_path / "source.db", type_, conversion, values, unit)
        assert encoded.rejects == ()
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute(f"CREATE TABLE t (k bigint, v {type_})")
        with connection.cursor() as cursor:
            with cursor.copy("COPY t FROM STDIN (FORMAT binary)") as copy:
                copy.write(HEADER + encoded.data + TRAILER)
            with cursor.copy("COPY (SELECT * FROM t ORDER BY k) TO STDOUT (FORMAT binary)") as copy:
                back = [bytes(part) for part in copy]
        back[0] = back[0].removeprefix(HEADER)
        rows = [row for row in back if row not in (b"", TRAILER)]
        assert b"".join(rows) == encoded.data
        compared = Digest()
        compared.add_rows(rows)
        assert compared == encoded.digest
        of = kinds(["bigint", type_])
        for row in rows[:100]:
            if "char" not in type_:
                assert canonicalise(row, of) == row
        # What psycopg makes of a JSON is not what it holds: Python's numbers have their limits.
        shown = "v::text" if conversion in ("json", "jsonb") else "v"
        query = f"SELECT k, {shown}, v::text FROM t ORDER BY k"
        selected = connection.execute(query).fetchall()
        assert [number for number, _, _ in selected] == list(range(1, len(values) + 1))
        if (
            conversion not in ("double", "timestamp", "timestamptz", "time")
            and "char(" not in type_
        ):
            # What people are told of a difference is what PostgreSQL itself writes.
            for row, (_, _, text) in zip(rows[:100], selected, strict=False):
                assert decode_row(row, ["bigint", type_], length=10**8)[1] == text
        return [value for _, value, _ in selected]

    return go


def encode(path, type_, conversion, values, unit=""):
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source:
        source.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v)")
        source.executemany("INSERT INTO t (v) VALUES (?)", ([value] for value in values))
        source.commit()
    classes = {type(value) for value in values if value is not None}
    names = {int: "integer", float: "real", str: "text", bytes: "blob"}
    storage_class = names[classes.pop()] if len(classes) == 1 else ""
    columns = (
        PlannedColumn("k", "k", "bigint", "integer", "", "integer", not_null=True),
        PlannedColumn("v", "v", type_, conversion, "", storage_class, unit=unit),
    )
    table = PlannedTable("t", "t", columns, key=("k",), rowid="rowid", max_value_bytes=LONG)
    encoder = Encoder(columns, key_columns=("k",))
    parts = [encoder.encode(batch) for batch in read_table(path, table, (1, len(values)))]
    whole = parts[0]
    for part in parts[1:]:
        whole.digest.merge(part.digest)
    return type(whole)(
        data=b"".join(part.data for part in parts),
        rows=sum(part.rows for part in parts),
        digest=whole.digest,
        rejects=tuple(reject for part in parts for reject in part.rejects),
    )


def maybe(of):
    return st.lists(st.none() | of, min_size=1, max_size=30)


def same_double(left, right):
    if left is None or right is None:
        return left is right
    return struct.pack("d", left) == struct.pack("d", right)


@EXAMPLES
@given(maybe(st.sampled_from([0, 1, 0.0, 1.0, "t", "FALSE", "yes", "No", "y", "n", "on", "OFF"])))
def test_boolean(round_trip, values):
    true = {1, "t", "yes", "y", "on"}
    assert round_trip("boolean", "boolean", values) == [
        None if value is None else value in true for value in values
    ]


@pytest.mark.parametrize(("type_", "bits"), [("smallint", 16), ("integer", 32), ("bigint", 64)])
@EXAMPLES
@given(data=st.data())
def test_integer(round_trip, type_, bits, data):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    number = st.one_of(
        st.integers(low, high),
        st.sampled_from([low, high, 0, -1]),
        st.integers(-(2**15), 2**15 - 1).map(float),
    )
    values = data.draw(maybe(number))
    assert round_trip(type_, "integer", values) == values


@EXAMPLES
@given(
    maybe(
        st.floats(allow_nan=False)
        | st.integers(-(2**53), 2**53)
        | st.sampled_from([math.inf, -math.inf, 5e-324, -0.0, 1.7976931348623157e308, 2.0**63])
    )
)
def test_double(round_trip, values):
    found = round_trip("double precision", "double", values)
    assert all(
        same_double(back, None if value is None else float(value))
        for back, value in zip(found, values, strict=True)
    )


@EXAMPLES
@given(maybe(st.floats(allow_nan=False, width=32)))
def test_real(round_trip, values):
    found = round_trip("real", "double", values)
    # PostgreSQL writes a real by the fewest digits that tell it from the next.
    narrow = [
        None if each is None else struct.unpack("f", struct.pack("f", each))[0] for each in found
    ]
    assert all(map(same_double, narrow, values))


DECIMALS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.from_regex(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.sampled_from([1e300, 1e-300, 5e-324, "9" * 40 + "." + "9" * 40, "-.5", "00.10", 1e22, 0.1]),
)


def decimal(value):
    """What a numeric shows: no exponent, no sign of 0; a real without zeros at its end."""
    if value is None:
        return None
    if isinstance(value, float) and math.isinf(value):
        return Decimal(value)
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if isinstance(value, float):
        number = number.normalize()
    return Decimal(format(number, "f")) if number else abs(Decimal(format(number, "f")))


@EXAMPLES
@given(maybe(DECIMALS))
def test_numeric(round_trip, values):
    found = round_trip("numeric", "numeric", values)
    assert list(map(str, found)) == [str(decimal(value)) for value in values]


@pytest.mark.parametrize(
    ("type_", "scale", "values"),
    [
        ("numeric(10,2)", 2, [0, 1, -1.5, "99999999.99", "-0.00", "1.50000", 0.01, None]),
        ("numeric(18)", 0, [10**18 - 1, -5.0, "7.000", None]),
        ("numeric(40,20)", 20, ["1" * 20 + "." + "1" * 20, 5e-20, 2**63 - 1]),
        ("numeric(2,4)", 4, ["0.0099", 0.0001, 0]),
        ("numeric(1000,500)", 500, ["9" * 500 + "." + "9" * 500, 1e-300]),
    ],
)
def test_numeric_of_a_scale(round_trip, type_, scale, values):
    found = round_trip(type_, "numeric", values)
    assert found == list(map(decimal, values))
    assert {-each.as_tuple().exponent for each in found if each is not None} == {scale}


def test_numeric_of_a_negative_scale(round_trip):
    assert round_trip("numeric(3,-2)", "numeric", [99900, -100.0, "0"]) == [99900, -100, 0]


def test_numeric_at_its_limits(round_trip):
    values = ["1e131071", "1e-16383", "9" * 131072 + "." + "9" * 16383]
    found = round_trip("numeric", "numeric", values)
    assert found[:2] == [Decimal("1e131071"), Decimal("1e-16383")]
    assert str(found[2]) == values[2]


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@EXAMPLES
@given(maybe(TEXTS | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)))
def test_text(round_trip, values):
    def canonical(value):
        if isinstance(value, float) and math.isinf(value):
            return "Inf" if value > 0 else "-Inf"
        return None if value is None else str(value)

    assert round_trip("text", "text", values) == list(map(canonical, values))


@EXAMPLES
@given(maybe(TEXTS.map(lambda text: text[:5])))
def test_text_of_some_length(round_trip, values):
    assert round_trip("varchar(5)", "text", values) == values
    padded = [None if value is None else value.ljust(5) for value in values]
    assert round_trip("char(5)", "text", values) == padded


@EXAMPLES
@given(maybe(st.binary(max_size=20) | st.text(max_size=9) | st.integers(0, 9)))
def test_bytes(round_trip, values):
    expected = [
        value if value is None or isinstance(value, bytes) else str(value).encode()
        for value in values
    ]
    assert round_trip("bytea", "bytes", values) == expected


@pytest.mark.parametrize(
    ("type_", "conversion", "value"),
    [
        ("text", "text", "é😀" * (LONG // 6)),
        ("bytea", "bytes", bytes(range(256)) * (LONG // 256)),
        ("json", "json", json.dumps(["x" * LONG])),
        ("jsonb", "jsonb", '{"a": "' + "\\\\é" * (LONG // 4) + '"}'),
        # Many elements: each costs Python and PostgreSQL more than its bytes do.
        ("jsonb", "jsonb", "[" + "1, " * (LONG // 32) + "1]"),
    ],
)
def test_large_values(round_trip, type_, conversion, value):
    assert round_trip(type_, conversion, [value, None, value]) == [value, None, value]


@EXAMPLES
@given(maybe(st.dates()), st.booleans())
def test_date(round_trip, values, midnight):
    texts = [
        None if value is None else f"{value}T00:00:00" if midnight else str(value)
        for value in [*values, date.min, date.max]
    ]
    assert round_trip("date", "date", texts) == [*values, date.min, date.max]


def test_date_of_numbers(round_trip):
    days = [date(1, 1, 1), date(1969, 12, 31), date(2024, 2, 29), date(9999, 12, 31)]
    unix = [(day - date(1970, 1, 1)).days for day in days]
    assert round_trip("date", "date", [day * 86400 for day in unix], "s") == days
    assert round_trip("date", "date", [day * 86400e3 for day in unix], "ms") == days
    assert round_trip("date", "date", [day + 2440587.5 for day in unix], "julian") == days


@EXAMPLES
@given(maybe(st.datetimes()), st.sampled_from("T "), st.sampled_from(["auto", "microseconds"]))
def test_timestamp(round_trip, values, separator, precision):
    values = [*values, datetime.min, datetime.max]
    texts = [None if each is None else each.isoformat(separator, precision) for each in values]
    assert round_trip("timestamp", "timestamp", texts) == values


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@EXAMPLES
@given(
    maybe(st.tuples(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.none() | OFFSETS))
)
def test_timestamp_with_a_zone(round_trip, values):
    texts, expected = [], []
    for value in values:
        moment, offset = value or (None, None)
        if moment is None:
            texts.append(None)
            expected.append(None)
            continue
        zone = (
            ""
            if offset is None
            else "{}{:02d}:{:02d}".format("-+"[offset >= 0], *divmod(abs(offset), 60))
        )
        texts.append(moment.isoformat(" ") + zone)
        expected.append(moment.replace(tzinfo=UTC) - timedelta(minutes=offset or 0))
    assert round_trip("timestamptz", "timestamptz", texts) == expected


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("unit", "micros"), [("s", 10**6), ("ms", 10**3), ("us", 1)])
@EXAMPLES
@given(data=st.data())
def test_timestamp_of_integers(round_trip, unit, micros, data):
    moments = data.draw(maybe(st.datetimes(timezones=st.just(UTC))))
    values = [
        None if each is None else (each - EPOCH) // timedelta(microseconds=micros)
        for each in moments
    ]
    expected = [
        None if value is None else EPOCH + timedelta(microseconds=value * micros)
        for value in values
    ]
    assert round_trip("timestamptz", "timestamptz", values, unit) == expected


@EXAMPLES
@given(maybe(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))))
def test_timestamp_of_reals(round_trip, moments):
    # A double has microseconds of the seconds of our time, and milliseconds of its Julian days.
    seconds = [None if each is None else (each - EPOCH).total_seconds() for each in moments]
    assert round_trip("timestamptz", "timestamptz", seconds, "s") == moments
    coarse = [
        None if each is None else each.replace(microsecond=each.microsecond // 1000 * 1000)
        for each in moments
    ]
    days = [
        None if each is None else 2440587.5 + (each - EPOCH) / timedelta(days=1) for each in coarse
    ]
    assert round_trip("timestamptz", "timestamptz", days, "julian") == coarse


@EXAMPLES
@given(maybe(st.times()))
def test_time(round_trip, values):
    values = [*values, time.min, time.max]
    texts = [None if value is None else value.isoformat() for value in values]
    assert round_trip("time", "time", texts) == values


def test_fewer_digits_of_a_second(round_trip):
    moment = datetime(2024, 2, 29, 1, 2, 3, 120000)
    for digits in (2, 3, 6):
        assert round_trip(f"timestamp({digits})", "timestamp", [str(moment)]) == [moment]
        assert round_trip(f"time({digits})", "time", [str(moment.time())]) == [moment.time()]


KEYS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        KEYS,
        st.text(st.sampled_from('"\\/\b\f\n\r\t\x01\x1f\x7f\u2028é😀'), max_size=5),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


# jsonb has none.
NEGATIVE_ZERO = re.compile(r"-0(?:\.0+)?(?:[eE][-+]?[0-9]+)?(?![.0-9])")


def exact(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@EXAMPLES
@given(maybe(JSON.filter(lambda value: value is not None)), st.booleans())
def test_json(round_trip, values, ascii_):
    texts = [None if value is None else json.dumps(value, ensure_ascii=ascii_) for value in values]
    assert round_trip("json", "json", texts) == texts
    kept = [text for text in texts if text is None or not NEGATIVE_ZERO.search(text)]
    found = round_trip("jsonb", "jsonb", kept)
    assert [text and exact(text) for text in found] == [text and exact(text) for text in kept]


def test_json_of_all_kinds(round_trip, connection):
    texts = [
        *(" [ ] ", '{"a":{"b":[]}}', '{"b":1,"aa":2,"a":3,"\\u00e9":1,"zz":2}', "0.0"),
        *("1E400", "1e-16383", "[1.50,1.5e1,0e10]", "1" * 5000, '"\\ud83d\\ude00\\/"'),
        *("[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000),
    ]
    found = round_trip("jsonb", "jsonb", texts)
    for text, source in zip(found, texts, strict=True):
        # The server's own way from text to jsonb.
        assert connection.execute("SELECT %s::jsonb::text", [source]).fetchone() == (text,)
    escapes = ['"\\u0000"', '"\\ud800"', '"\\ude00\\ud83d"', '{"a":1,"a":2}\n']
    round_trip("json", "json", [*texts, *escapes])


@EXAMPLES
@given(
    maybe(st.uuids()),
    st.sampled_from([str, lambda each: f"{{{each.hex.upper()}}}", lambda each: each.bytes]),
)
def test_uuid(round_trip, values, form):
    found = round_trip("uuid", "uuid", [value and form(value) for value in values])
    assert found == values
    assert {type(each) for each in found} <= {uuid.UUID, type(None)}


def test_text_on_the_wire_of_other_types(round_trip):
    assert round_trip("name", "text", ["abc"]) == ["abc"]
