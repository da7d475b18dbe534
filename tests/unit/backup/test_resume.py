"""Where receiving goes on, over switches of timelines, holes and servers that went another way."""

import pytest

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.wal.archive import TimelineWal, WalArchive
from dbopsd.backup.wal.resume import leads_on, legs_of, next_position, segment_on
from dbopsd.backup.wal.timelines import Branch, History

SIZE = 16 * 2**20
FIRST = legs_of(History(1))
# Timeline 2 began in the middle of segment 5.
SECOND = legs_of(History(2, (Branch(1, Lsn(5 * SIZE + 1000)),)))
# Timeline 3 began right at the start of segment 7.
THIRD = legs_of(History(3, (Branch(1, Lsn(5 * SIZE + 1000)), Branch(2, Lsn(7 * SIZE)))))


def archive(*stored: tuple[int, range], partial: Segment | None = None) -> WalArchive:
    timelines = {
        timeline: TimelineWal(timeline, [Segment(timeline, number) for number in numbers])
        for timeline, numbers in stored
    }
    if partial is not None:
        known = timelines.get(partial.timeline, TimelineWal(partial.timeline))
        timelines[partial.timeline] = TimelineWal(partial.timeline, known.segments, {partial: 5000})
    return WalArchive(Layout("main", "1"), timelines)


def at(segments: int, more: int = 0) -> Lsn:
    return Lsn(segments * SIZE + more)


@pytest.mark.parametrize(
    ("stored", "legs", "reserved", "position", "segment"),
    [
        (archive((1, range(2, 5))), FIRST, Segment(1, 4), at(5), Segment(1, 5)),
        # A segment that is begun is received anew.
        (archive(partial=Segment(1, 3)), FIRST, None, at(3), Segment(1, 3)),
        # The slot keeps what is missing before something that was stored later.
        (archive((1, range(2, 9))), FIRST, Segment(1, 3), at(9), Segment(1, 9)),
        (
            archive((1, [*range(2, 5), *range(6, 9)])),  # type: ignore[arg-type]
            FIRST,
            Segment(1, 3),
            at(5),
            Segment(1, 5),
        ),
        # A slot that was created later keeps nothing that is missing.
        (
            archive((1, [*range(2, 5), *range(6, 9)])),  # type: ignore[arg-type]
            FIRST,
            Segment(1, 8),
            at(9),
            Segment(1, 9),
        ),
        # The rest of the old timeline first, then the new one.
        (archive((1, range(2, 4))), SECOND, None, at(4), Segment(1, 4)),
        (archive((1, range(2, 5))), SECOND, None, at(5), Segment(1, 5)),
        (archive((1, range(2, 5)), (2, range(5, 7))), SECOND, None, at(7), Segment(2, 7)),
        # The old server had gone on beyond the place where the new one left it.
        (archive((1, range(2, 9))), SECOND, None, at(5, 1000), Segment(2, 5)),
        # The segment of the switch is whole on the new timeline only.
        (
            archive((1, range(2, 5)), (2, range(5, 7))),
            SECOND,
            Segment(2, 3),
            at(7),
            Segment(2, 7),
        ),
        (archive((1, range(2, 5)), (2, range(5, 7))), THIRD, None, at(7), Segment(3, 7)),
        (archive((1, range(2, 5)), (2, range(5, 9))), THIRD, None, at(7), Segment(3, 7)),
        # A server that went back to its old timeline.
        (archive((1, range(2, 5)), (2, range(5, 7))), FIRST, None, at(5), Segment(1, 5)),
    ],
)
def test_it_goes_on_after_what_is_stored_of_the_servers_way(
    stored: WalArchive,
    legs: list[object],
    reserved: Segment | None,
    position: Lsn,
    segment: Segment,
) -> None:
    found = next_position(stored, legs, reserved)  # type: ignore[arg-type]
    assert found == position
    assert segment_on(legs, found, SIZE) == segment  # type: ignore[arg-type]


def test_nothing_is_stored_of_its_way() -> None:
    assert next_position(archive(), FIRST, Segment(1, 3)) is None
    assert next_position(archive((9, range(2, 4))), SECOND, None) is None


@pytest.mark.parametrize(
    ("segment", "legs", "leads"),
    [
        (Segment(1, 5), SECOND, True),
        (Segment(1, 6), SECOND, False),
        (Segment(2, 5), SECOND, True),
        (Segment(2, 4), SECOND, False),
        (Segment(1, 6), FIRST, True),
        (Segment(2, 6), FIRST, False),
        (Segment(2, 7), THIRD, False),
    ],
)
def test_a_server_sends_what_is_on_its_way(
    segment: Segment, legs: list[object], *, leads: bool
) -> None:
    assert leads_on(legs, segment) is leads  # type: ignore[arg-type]
