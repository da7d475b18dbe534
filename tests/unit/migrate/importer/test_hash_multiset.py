from collections import Counter
from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.migrate.importer.conversion.rows import join_row
from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable
from dbopsd.migrate.importer.verify.hash_multiset import ExampleRows, RemainingHashes, count_pairs
from dbopsd.migrate.importer.verify.row_identity import RowIdentity

PARTS = st.lists(st.lists(st.integers(0, 12), max_size=8), max_size=4)


def hashes(numbers):
    return np.array(numbers, np.uint64)


def wanted(parts):
    """Rows whose keys are the hashes without their last bits."""
    lists = [hashes(part) for part in parts], [hashes(part) // np.uint64(3) for part in parts]
    result = RemainingHashes(*lists)
    assert lists == ([], [])
    return result


@given(PARTS, PARTS)
def test_rows_are_counted_off_as_often_as_they_are_wanted(here, there):
    sought = wanted(here)
    surplus = []
    for part in there:
        taken, unwanted = sought.count_off(hashes(part))
        assert len(taken) + len(unwanted) == len(part)
        assert Counter(part) == Counter(part[at] for at in [*taken, *unwanted])
        surplus.append([part[at] for at in unwanted])
    mine, theirs = (Counter(chain(*parts)) for parts in (here, there))
    left = Counter(number // 3 for number in (mine - theirs).elements())
    assert Counter(sought.keys().tolist()) == left
    assert sought.rows == left.total()
    extra = Counter(number // 3 for number in (theirs - mine).elements())
    assert count_pairs(sought, wanted(surplus)) == (left & extra).total()
    without_keys = RemainingHashes([hashes(part) for part in here])
    assert without_keys.rows == mine.total()
    assert without_keys.keys().tolist() == []


def test_no_more_rows_are_picked_than_there_is_room_for():
    rows = [b"aaaa", b"bbbb", b"other", b"cccc", b"aaaa", b"dddd"]
    numbers = hashes([1, 2, 9, 3, 1, 4])

    def picked(*room):
        result = ExampleRows(*room)
        result.pick(RemainingHashes([hashes([4, 3, 2, 1])]), rows, numbers)
        return result.rows, result.full

    assert picked(10) == ([b"aaaa", b"bbbb", b"cccc", b"dddd"], False)
    assert picked(4) == ([b"aaaa", b"bbbb", b"cccc", b"dddd"], True)
    assert picked(2) == ([b"aaaa", b"bbbb"], True)
    assert picked(0) == ([], True)
    # One is told of however large it is.
    assert picked(10, 1) == ([b"aaaa"], True)
    assert picked(10, 8) == ([b"aaaa", b"bbbb"], True)


def identity(*types, key):
    columns = tuple(
        PlannedColumn(f"c{at}", f"c{at}", each, "", "") for at, each in enumerate(types)
    )
    return RowIdentity(PlannedTable("t", "t", columns, key=key))


NUMERICS = [bytes.fromhex("0001000000000000 0001"), bytes.fromhex("0001000000000002 0001")]
DOUBLES = [bytes(8), b"\x80" + bytes(7)]


def test_keys_are_the_same_by_equality_and_values_by_their_bytes():
    of = identity("text", "jsonb", "numeric", "double precision", "text", key=("c2", "c3"))
    rows = [join_row([b"v", b"\1{}", *pair, None]) for pair in zip(NUMERICS, DOUBLES, strict=True)]
    assert of.keyed
    assert of.key(rows[0]) == of.key(rows[1])
    assert of.form(rows[0]) == of.form(rows[1])
    values = identity("text", "jsonb", "numeric", "double precision", "text", key=("c0",))
    assert values.key(rows[0]) == values.key(rows[1])
    assert values.form(rows[0]) != values.form(rows[1])
    assert not values.by_bytes
    assert identity("numeric", key=()).by_bytes
    # Without all of its columns a key tells nothing.
    assert not identity("text", key=("c0", "c9")).keyed
    assert not identity("text", key=()).keyed


def test_keys_of_other_lengths_are_others():
    of = identity("text", "text", key=("c0", "c1"))
    keys = [[b"a", b"bc"], [b"ab", b"c"], [b"abc", b""], [b"abc", None], [None, b"abc"]]
    assert len({of.key(join_row(each)) for each in keys}) == len(keys)
    jsonb = identity("jsonb", key=("c0",))
    one, other = (join_row([b"\1" + each]) for each in (b'{"b":1,"a":2}', b'{"a": 2, "b": 1}'))
    assert jsonb.key(one) == jsonb.key(other)
    assert jsonb.key(join_row([None])) == b"\xff\xff\xff\xff"
