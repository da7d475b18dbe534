"""WAL files are looked at before they are stored: whose they are, and whether a page is missing."""

import struct

import pytest

from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.wal.wal_pages import WalUnusable, check_pages, end_of_records, written_bytes

PAGE = 8192
SIZE = 2**20
SYSTEM = 7300000000000000001
SEGMENT = Segment(2, 5, SIZE)


def wal(
    pages: int,
    *,
    segment: Segment = SEGMENT,
    timeline: int = 2,
    system: int = SYSTEM,
    page_bytes: int = PAGE,
) -> bytearray:
    """The first pages of a segment."""
    content = bytearray()
    for number in range(pages):
        position = segment.start + number * page_bytes
        header = struct.pack("<HHIQI4x", 0xD118, 0, timeline, position, 0)
        if number == 0:
            header += struct.pack("<QII", system, SIZE, page_bytes)
        content += header.ljust(page_bytes, b"\x77")
    return content


def whole(content: bytes) -> bytes:
    return bytes(content).ljust(SIZE, b"\0")


@pytest.mark.parametrize(
    "content",
    [
        wal(128),
        wal(1),
        wal(7, timeline=1),
        wal(3, page_bytes=2 * PAGE),
        wal(2)[: PAGE + 500],
        wal(2)[: PAGE + 10],
    ],
    ids=["full", "one page", "of the timeline before", "large pages", "begun", "in a header"],
)
def test_wal_of_the_cluster_is_taken(content: bytearray) -> None:
    if len(content) % PAGE == 10:
        content = content[: -10 + 8]
        content += struct.pack("<Q", SEGMENT.start + PAGE)
    check_pages(SEGMENT, whole(content), str(SYSTEM))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "shorter"),
        (bytes(SIZE), "empty"),
        (wal(4, system=SYSTEM + 1), "is of cluster"),
        (wal(4, segment=Segment(2, 6, SIZE)), "at byte 0"),
        (wal(4, timeline=3), "at byte 0"),
        (wal(2) + bytes(PAGE) + wal(4)[3 * PAGE :], f"at byte {2 * PAGE}"),
        (wal(4)[:PAGE] + wal(4)[2 * PAGE :], f"at byte {PAGE}"),
    ],
    ids=["nothing", "zeros", "other cluster", "other segment", "later timeline", "hole", "moved"],
)
def test_other_files_are_refused(content: bytes, problem: str) -> None:
    with pytest.raises(WalUnusable, match=problem):
        check_pages(SEGMENT, whole(content) if content else b"", str(SYSTEM))


def test_segments_of_another_size_are_refused() -> None:
    segment = Segment(2, 5, 2 * SIZE)
    with pytest.raises(WalUnusable, match="segments of 1048576 bytes"):
        check_pages(segment, bytes(wal(1, segment=segment)).ljust(2 * SIZE, b"\0"), str(SYSTEM))


@pytest.mark.parametrize(
    ("content", "length"), [(b"", 0), (b"\1\0\0", 8), (b"\1" * 8 + bytes(9), 8), (b"\1" * 9, 16)]
)
def test_what_is_written_ends_with_the_last_byte_that_is_not_zero(
    content: bytes, length: int
) -> None:
    assert written_bytes(content) == length


@pytest.mark.parametrize(
    ("position", "end"),
    [
        (5 * SIZE + 40, 5 * SIZE),
        (5 * SIZE + PAGE + 24, 5 * SIZE + PAGE),
        (5 * SIZE + PAGE + 40, 5 * SIZE + PAGE + 40),
        (5 * SIZE + 24, 5 * SIZE),
        (5 * SIZE, 5 * SIZE),
    ],
)
def test_a_position_after_the_header_of_an_empty_page_is_the_end_before_it(
    position: int, end: int
) -> None:
    assert end_of_records(position, SIZE, PAGE) == Lsn(end)
