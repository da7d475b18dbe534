import json
import random
import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.migrate.importer.conversion.canonical import canonicalise, kinds
from dbopsd.migrate.importer.conversion.decode import decode_row
from dbopsd.migrate.importer.conversion.digest import Digest, buckets_of, hashes_of
from dbopsd.migrate.importer.conversion.json_validity import (
    AlteredByJsonb,
    NotJson,
    _rewrite,
    canonical_json,
    check_json,
)
from dbopsd.migrate.importer.conversion.rows import join_row, split_row

ROWS = st.lists(st.binary(max_size=8), max_size=40)


def bucket(row):
    (number,) = buckets_of(hashes_of([row])).tolist()
    return number


def digest(rows):
    result = Digest()
    result.add_rows(rows)
    return result


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter_and_each_counts(rows, shuffle):
    other = list(rows)
    shuffle.shuffle(other)
    assert digest(rows) == digest(other)
    assert digest(rows).rows == len(rows)
    for row in rows:
        assert digest(rows) != digest([*rows, row])
        assert digest(rows).differing_buckets(digest([*rows, row])) == {bucket(row)}


@given(ROWS, ROWS)
def test_parts_are_merged(left, right):
    parts = digest(left)
    parts.merge(digest(right))
    assert parts == digest(left + right)


@given(ROWS)
def test_rows_in_one_buffer_and_alone_are_the_same(rows):
    joined = Digest()
    joined.add_encoded(b"".join(rows), np.cumsum([0, *map(len, rows)]))
    assert joined == digest(memoryview(row) for row in rows)


def test_a_digest_survives_json():
    rows = [random.Random(1).randbytes(20) for _ in range(2000)]
    text = json.dumps(digest(rows).to_json())
    assert Digest.from_json(json.loads(text)) == digest(rows)
    assert len(text) < 6000


def test_one_of_many_rows_is_found_by_its_bucket():
    rows = [str(number).encode() for number in range(10_000)]
    changed = [*rows[:-1], b"tampered"]
    differing = digest(rows).differing_buckets(digest(changed))
    assert differing == {bucket(rows[-1]), bucket(b"tampered")}


@given(st.lists(st.none() | st.binary(max_size=5), max_size=5))
def test_a_row_taken_apart_and_put_together_is_the_same(fields):
    assert split_row(join_row(fields)) == fields


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=2),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


def exact(text):
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_canonical_json_means_the_same_and_is_its_own_canonical_form(value, ascii_, indent):
    text = json.dumps(value, ensure_ascii=ascii_, indent=indent)
    try:
        canonical = canonical_json(text)
    except AlteredByJsonb as altered:
        assert re.search(r"-0[.e0]*(?![.0-9])", text)
        canonical = altered.canonical
        text = canonical
    assert exact(canonical) == exact(text)
    assert canonical_json(canonical) == canonical
    assert canonical_json(f"{'[' * 300}{text}{']' * 300}") == f"{'[' * 300}{canonical}{']' * 300}"


@given(st.text(st.sampled_from('[]{},:"ab\\ntrue1.e- '), max_size=12) | VALUES.map(json.dumps))
def test_both_parsers_take_the_same_texts(text):
    def taken(check):
        try:
            check(text)
        except NotJson:
            return False
        return True

    assert taken(check_json) == taken(lambda text: _rewrite(text, str, str, lambda: None))


@pytest.mark.parametrize(
    ("type_", "left", "right"),
    [
        ("jsonb", b'\x01{"b":1,"a":2.50}', b'\x01{"a": 2.50, "b": 1}'),
        ("char(3)", b"a  ", b"a"),
        ("text", b"a", b"a"),
    ],
)
def test_rows_that_mean_the_same_have_one_canonical_form(type_, left, right):
    of = kinds(["bigint", type_])
    rows = [join_row([b"12345678", field]) for field in (left, right)]
    assert canonicalise(rows[0], of) == canonicalise(rows[1], of)
    assert canonicalise(join_row([None, None]), of) == join_row([None, None])


@pytest.mark.parametrize(
    ("type_", "field", "text"),
    [
        ("bigint", (-5).to_bytes(8, "big", signed=True), "-5"),
        ("boolean", b"\x01", "true"),
        ("double precision", bytes.fromhex("3ff8000000000000"), "1.5"),
        ("real", bytes.fromhex("3dcccccd"), "0.1"),
        ("numeric(4,2)", bytes.fromhex("0002000040000002 0001 1388"), "-1.50"),
        ("numeric", bytes.fromhex("00000000c0000000"), "NaN"),
        ("text", "é".encode(), "é"),
        ("text", b"x" * 1000, "x" * 199 + "…"),
        ("bytea", b"\0\xff", "\\x00ff"),
        ("date", (366).to_bytes(4, "big"), "2001-01-01"),
        ("date", b"\x7f\xff\xff\xff", "infinity"),
        ("date", b"\x7f\xff\xff\xfe", "2147483646 days from 2000-01-01"),
        ("timestamp", (1).to_bytes(8, "big"), "2000-01-01 00:00:00.000001"),
        ("timestamptz", (0).to_bytes(8, "big"), "2000-01-01 00:00:00+00:00"),
        ("timestamptz", b"\x80" + bytes(7), "-infinity"),
        ("time", (86_400_000_000).to_bytes(8, "big"), "24:00:00"),
        ("time", (1_500_000).to_bytes(8, "big"), "00:00:01.500000"),
        ("json", b"{ }", "{ }"),
        ("jsonb", b"\x01{}", "{}"),
        ("uuid", bytes(16), "00000000-0000-0000-0000-000000000000"),
        ("uuid", b"short", "\\x73686f7274"),
        ("some_enum", b"label", "label"),
        ("inet", b"\xff", "\\xff"),
    ],
)
def test_fields_are_shown_as_people_read_them(type_, field, text):
    assert decode_row(join_row([field, None]), [type_, type_]) == [text, None]
