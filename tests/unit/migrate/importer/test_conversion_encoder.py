"""From batches to the rows of a binary COPY, with what is rejected on the way."""

import struct
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbopsd.migrate.importer.conversion.digest import Digest
from dbopsd.migrate.importer.conversion.encoder import Encoder, row_offsets
from dbopsd.migrate.importer.conversion.values import ARROW_TYPES, Batch, Text, Values
from dbopsd.migrate.importer.model.plan import BadValue, PlannedColumn


def column(name, type_, conversion, **more):
    return PlannedColumn(name, name, type_, conversion, "", **more)


def values(*each):
    """A column that may hold anything."""
    classes = [storage_class(value) for value in each]
    return Values(
        {
            name: pa.array(
                [
                    value if name == found else None
                    for value, found in zip(each, classes, strict=True)
                ],
                type_,
            )
            for name, type_ in ARROW_TYPES.items()
        }
    )


def storage_class(value):
    match value:
        case None:
            return ""
        case int():
            return "integer"
        case float():
            return "real"
        case Text():
            return "text"
        case _:
            return "blob"


def text(value):
    return Text(value.encode())


def batch(*columns, rows=None, key=None):
    rows = rows if rows is not None else len(columns[0].arrays["integer"])
    return Batch(rows, columns, key or {}, values(*range(1, rows + 1)))


def parse(data):
    """The rows of a COPY, read as its documentation says."""
    rows, at = [], 0
    while at < len(data):
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        fields = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", data, at)
            at += 4
            fields.append(None if length < 0 else data[at : at + length])
            at += max(0, length)
        rows.append(fields)
    return rows


def int8(number):
    return struct.pack(">q", number)


def test_rows_are_as_copy_has_them():
    encoder = Encoder(
        [
            column("a", "bigint", "integer"),
            column("b", "text", "text"),
            column("c", "boolean", "boolean"),
            column("d", "double precision", "double"),
            column("e", "date", "date"),
        ]
    )
    encoded = encoder.encode(
        batch(
            values(1, None, -1),
            values(text("é"), 5, None),
            values(1, 0, text("yes")),
            values(1.5, 2, None),
            values(text("2000-01-02"), None, text("1999-12-31")),
        )
    )
    assert parse(encoded.data) == [
        [int8(1), "é".encode(), b"\x01", struct.pack(">d", 1.5), struct.pack(">i", 1)],
        [None, b"5", b"\x00", struct.pack(">d", 2.0), None],
        [int8(-1), None, b"\x01", None, struct.pack(">i", -1)],
    ]
    assert (encoded.rows, encoded.rejected_rows, encoded.rejects) == (3, 0, ())


def test_a_row_with_a_bad_value_is_left_out_and_all_its_bad_values_are_named():
    encoder = Encoder(
        [
            column("a", "smallint", "integer"),
            column("b", "text", "text", not_null=True),
            column("c", "uuid", "uuid"),
        ],
    )
    encoded = encoder.encode(
        batch(
            values(1, 2**20, 3, text("x'y")),
            values(text("ok"), None, b"\x00\xff", text("ok")),
            values(None, text("no"), None, 1.5),
            key={"id": values(1, text("it's"), None, b"\x01"), "n": values(1, 2, 3, 4.5)},
        )
    )
    assert parse(encoded.data) == [[struct.pack(">h", 1), b"ok", None]]
    assert (encoded.rows, encoded.rejected_rows) == (1, 3)
    assert [
        (reject.key, reject.column, reject.reason, reject.value, reject.storage_class, reject.raw)
        for reject in encoded.rejects
    ] == [
        ("id='it''s', n=2", "a", "OUT_OF_RANGE", "1048576", "integer", b"1048576"),
        ("id='it''s', n=2", "b", "NULL_IN_NOT_NULL", "NULL", "null", b""),
        ("id='it''s', n=2", "c", "NOT_A_UUID", "'no'", "text", b"no"),
        # A NULL in its key names no row.
        ("rowid=3", "b", "BLOB_IN_TEXT", "x'00ff'", "blob", b"\x00\xff"),
        ("id=x'01', n=4.5", "a", "NOT_AN_INTEGER", "'x''y'", "text", b"x'y"),
        ("id=x'01', n=4.5", "c", "NOT_A_UUID", "1.5", "real", b"1.5"),
    ]
    assert encoded.reject_counts == {
        ("a", "OUT_OF_RANGE"): 1,
        ("a", "NOT_AN_INTEGER"): 1,
        ("b", "NULL_IN_NOT_NULL"): 1,
        ("b", "BLOB_IN_TEXT"): 1,
        ("c", "NOT_A_UUID"): 2,
    }


def test_no_more_are_named_than_was_asked_but_all_are_counted():
    encoder = Encoder([column("a", "bigint", "integer")], max_rejects=3)
    batches = [encoder.encode(batch(values(b"", b"", 1))) for _ in range(3)]
    assert [len(each.rejects) for each in batches] == [2, 1, 0]
    assert [each.reject_counts for each in batches] == [{("a", "NOT_AN_INTEGER"): 2}] * 3
    assert [each.rejected_rows for each in batches] == [2, 2, 2]


def test_a_null_in_the_key_says_so():
    encoder = Encoder([column("a", "bigint", "integer", not_null=True)], key_columns=["a"])
    encoded = encoder.encode(batch(values(1, None)))
    assert [(each.key, each.reason) for each in encoded.rejects] == [("rowid=2", "NULL_IN_KEY")]


@pytest.mark.parametrize(
    ("policy", "more", "value", "expected"),
    [
        ("null", {}, 2**20, None),
        ("null", {"not_null": True}, 2**20, "OUT_OF_RANGE"),
        ("clamp", {}, 2**20, 2**15 - 1),
        ("clamp", {}, text("x"), "NOT_AN_INTEGER"),
        ("replace", {}, 2**20, "OUT_OF_RANGE"),
        ("reject", {}, 2**20, "OUT_OF_RANGE"),
    ],
)
def test_a_policy_says_what_becomes_of_a_bad_number(policy, more, value, expected):
    encoder = Encoder(
        [column("a", "smallint", "integer", on_bad=BadValue(policy), **more)],
    )
    encoded = encoder.encode(batch(values(1, value)))
    if isinstance(expected, str):
        assert [each.reason for each in encoded.rejects] == [expected]
        assert (encoded.rows, encoded.changed) == (1, 0)
        return
    field = None if expected is None else struct.pack(">h", expected)
    assert parse(encoded.data) == [[struct.pack(">h", 1)], [field]]
    assert (encoded.rows, encoded.changed) == (2, 1)


@pytest.mark.parametrize(
    ("type_", "conversion", "value", "expected"),
    [
        ("text", "text", Text(b"a\0b\xff\xfe"), "a�b��"),
        ("text", "text", Text(b"\xed\xa0\x80\xe2\x82"), "�����"),
        ("varchar(3)", "text", Text(b"a\0b\xff"), "INVALID_UTF8"),
        ("json", "json", Text(b'"a\xff"'), '"a�"'),
        ("json", "json", Text(b"{\xff"), "INVALID_UTF8"),
        ("text", "text", b"\xff", "BLOB_IN_TEXT"),
    ],
)
def test_a_replacement_stands_for_each_byte_that_is_wrong(type_, conversion, value, expected):
    encoder = Encoder([column("a", type_, conversion, on_bad=BadValue.REPLACE)])
    encoded = encoder.encode(batch(values(value)))
    if expected.isupper():
        assert [each.reason for each in encoded.rejects] == [expected]
    else:
        assert parse(encoded.data) == [[expected.encode()]]
        assert encoded.changed == 1


def test_a_value_map_stands_before_the_conversion():
    mapped = {"n/a": None, "one": "1", "2": "200", "3.5": "4", "bad": "x"}
    encoder = Encoder([column("a", "bigint", "integer", value_map=mapped)])
    encoded = encoder.encode(
        batch(values(text("n/a"), text("one"), 2, 3.5, 7, None, text("bad"), b"one"))
    )
    assert parse(encoded.data) == [
        [None if number is None else int8(number)] for number in (None, 1, 200, 4, 7, None)
    ]
    assert [(each.reason, each.value) for each in encoded.rejects] == [
        ("NOT_AN_INTEGER", "'bad'"),
        ("NOT_AN_INTEGER", "x'6f6e65'"),
    ]
    # Of those that arrive.
    assert encoded.changed == 4


def test_a_value_map_to_null_is_bad_where_there_may_be_none():
    encoder = Encoder([column("a", "text", "text", value_map={"": None}, not_null=True)])
    encoded = encoder.encode(batch(values(text(""), text("x"))))
    assert [each.reason for each in encoded.rejects] == ["NULL_IN_NOT_NULL"]
    assert parse(encoded.data) == [[b"x"]]


@pytest.mark.parametrize("rows", [0, 1, 70_000])
def test_batches_of_any_size_come_out_whole(rows):
    encoder = Encoder([column("a", "bigint", "integer"), column("b", "text", "text")])
    numbers = Values({"integer": pa.array(range(rows), pa.int64())})
    texts = Values({"text": pa.array([b"x" * (row % 40) for row in range(rows)], pa.binary())})
    for _ in range(2):
        encoded = encoder.encode(Batch(rows, (numbers, texts), {}, None))
        assert len(parse(encoded.data)) == encoded.rows == encoded.digest.rows == rows


def test_a_table_without_columns_has_rows():
    encoded = Encoder([]).encode(Batch(3, (), {}, None))
    assert parse(encoded.data) == [[], [], []]


ARRAYS = st.integers(0, 30).flatmap(
    lambda rows: st.tuples(
        st.just(rows),
        st.lists(
            st.one_of(
                *(
                    st.lists(st.none() | of, min_size=rows, max_size=rows).map(
                        lambda each, type_=type_: pa.array(each, type_)
                    )
                    for of, type_ in (
                        (st.booleans(), pa.bool_()),
                        (st.integers(0, 9), pa.int16()),
                        (st.integers(0, 9), pa.int32()),
                        (st.integers(0, 9), pa.int64()),
                        (st.floats(width=32), pa.float32()),
                        (st.floats(), pa.float64()),
                        (st.binary(max_size=9), pa.binary()),
                    )
                )
            ),
            min_size=1,
            max_size=6,
        ),
    )
)


@settings(deadline=None)
@given(ARRAYS)
def test_rows_begin_where_they_are_said_to(rows_and_arrays):
    rows, arrays = rows_and_arrays
    columns = {
        pa.bool_(): ("boolean", "boolean"),
        pa.int16(): ("smallint", "integer"),
        pa.int32(): ("integer", "integer"),
        pa.int64(): ("bigint", "integer"),
        pa.float32(): ("real", "double"),
        pa.float64(): ("double precision", "double"),
        pa.binary(): ("bytea", "bytes"),
    }
    encoder = Encoder([column(str(at), *columns[each.type]) for at, each in enumerate(arrays)])
    data = encoder._data(arrays, rows)
    offsets = row_offsets(arrays, rows)
    assert offsets[0] == 0
    assert offsets[-1] == len(data)
    found = [parse(data[start:end]) for start, end in pairwise(offsets)]
    assert [each[0] for each in found] == parse(data)
    assert all(len(each) == 1 for each in found)


def test_the_digest_is_of_the_rows_that_are_sent():
    encoder = Encoder([column("a", "bigint", "integer"), column("b", "text", "text")])
    encoded = encoder.encode(batch(values(1, 2, b""), values(text("x"), None, None)))
    rows = [b"\0\2\0\0\0\x08" + int8(1) + b"\0\0\0\1x", b"\0\2\0\0\0\x08" + int8(2) + b"\xff" * 4]
    expected = Digest()
    expected.add_rows(rows)
    assert encoded.data == b"".join(rows)
    assert encoded.digest == expected
    assert np.array_equal(encoded.digest.counts, expected.counts)
