"""What is sent of an update, and what of it is encoded once."""

import pytest
from dbops.v1 import metrics_pb2

from dbopsd.metrics.hub import Update
from dbopsd.metrics.model import Snapshot
from dbopsd.rpc.metrics.snapshot_messages import encode_update
from tests.unit.metrics.made import COMMITS, collection, snapshot


def commits(*values: tuple[str, float]) -> Snapshot:
    return snapshot("main", collection("c", *((COMMITS, (name,), value) for name, value in values)))


FIRST, SECOND, THIRD = (
    commits(("a", 1.0), ("b", 1.0), ("c", 1.0)),
    commits(("a", 1.0), ("b", 2.0), ("d", 1.0)),
    commits(("a", 1.0), ("b", 1.0), ("d", 2.0)),
)


def read(encoded: bytes) -> tuple[dict[str, float], list[str], int]:
    response = metrics_pb2.WatchSnapshotsResponse.FromString(encoded)
    return (
        {each.labels["datname"]: each.value for each in response.snapshot.samples},
        [each.labels["datname"] for each in response.gone],
        response.missed_count,
    )


def encode(update: Update, *, missed: int = 0, last: Snapshot | None, changes_only: bool) -> bytes:
    return encode_update(update, missed=missed, last=last, changes_only=changes_only)


@pytest.mark.parametrize("changes_only", [False, True])
def test_one_who_missed_nothing_gets_what_was_encoded_for_the_others(changes_only):
    update = Update(2, SECOND, FIRST)
    one, another = (encode(update, last=FIRST, changes_only=changes_only) for _ in range(2))
    assert one is another
    assert read(one) == (
        ({"b": 2.0, "d": 1.0}, ["c"], 0)
        if changes_only
        else ({"a": 1.0, "b": 2.0, "d": 1.0}, [], 0)
    )


def test_the_first_message_is_whole_and_shared_with_those_who_get_all():
    update = Update(2, SECOND, FIRST)
    first = encode(update, last=None, changes_only=True)
    assert first is encode(update, last=FIRST, changes_only=False)
    assert read(first) == ({"a": 1.0, "b": 2.0, "d": 1.0}, [], 0)


def test_one_who_missed_some_gets_the_changes_since_its_own_last_message():
    update = Update(3, THIRD, SECOND)
    shared = encode(update, last=SECOND, changes_only=True)
    late = encode(update, missed=1, last=FIRST, changes_only=True)
    assert read(shared) == ({"b": 1.0, "d": 2.0}, [], 0)
    # `b` has come back to what it was.
    assert read(late) == ({"d": 2.0}, ["c"], 1)
    assert encode(update, last=SECOND, changes_only=True) is shared


def test_a_count_of_what_was_missed_is_told_to_that_one_alone():
    update = Update(9, THIRD, SECOND)
    late = encode(update, missed=5, last=FIRST, changes_only=False)
    assert read(late)[2] == 5
    assert read(encode(update, last=SECOND, changes_only=False))[2] == 0
