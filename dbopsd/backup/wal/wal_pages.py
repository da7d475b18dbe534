"""What the pages of a WAL file say of themselves: whose it is, and how far it goes.

Each page of 8 kB begins with a magic number, flags, its timeline and its position; the first one of
a file has the cluster's system identifier and the sizes of segments and pages as well
(`XLogLongPageHeaderData` in PostgreSQL's `src/include/access/xlog_internal.h`). What was never
written is zeros, and so is what a switch of segments leaves over.
"""

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.store.base import Content
from dbopsd.errors import DbopsError, StatusCode

_PAGE: Final = struct.Struct("<HHIQ")
_FIRST_PAGE: Final = struct.Struct("<HHIQI4xQII")
_SHORT_HEADER_BYTES: Final = 24
_LONG_HEADER_BYTES: Final = 40
_LEAST_PAGE_BYTES: Final = 1024
# Positions are multiples of it (MAXALIGN).
_ALIGNMENT: Final = 8


@dataclass(eq=False)
class WalUnusable(DbopsError):
    """A file is not the WAL that its name says."""

    reason: ClassVar[str] = "WAL_UNUSABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    segment: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"WAL file {self.segment} {self.problem}: it is not stored; look which server wrote it"
        )


def written_bytes(content: Content) -> int:
    """How much of a WAL file is written, as far as its bytes tell.

    WAL that ends with zeros is taken to end before them: what is left out are zeros.
    """
    length = len(bytes(content).rstrip(b"\0"))
    return -(-length // _ALIGNMENT) * _ALIGNMENT


def check_pages(segment: Segment, content: Content, system_identifier: str) -> None:
    """Raise `WalUnusable` unless `content` is WAL of this cluster from the segment's start on.

    Of what is written, every page says where it belongs: a page that was skipped is found, and one
    of another segment. Whether the records in it are whole is not looked at.
    """
    name = str(segment)
    if len(content) < _FIRST_PAGE.size:
        raise WalUnusable(name, "is shorter than its header")
    fields = _FIRST_PAGE.unpack_from(content)
    magic, _, _, _, _, system, segment_bytes, page_bytes = fields
    if magic == 0:
        raise WalUnusable(name, "is empty")
    if str(system) != system_identifier:
        raise WalUnusable(name, f"is of cluster {system}, and not of {system_identifier}")
    if segment_bytes != segment.size_bytes or page_bytes < _LEAST_PAGE_BYTES:
        raise WalUnusable(name, f"is of a cluster with segments of {segment_bytes} bytes")
    for start in range(0, written_bytes(content), page_bytes):
        found, _, timeline, position = _PAGE.unpack_from(content, start)
        # A segment of a new timeline begins with the pages of the one that it branched off.
        if found != magic or timeline > segment.timeline or position != segment.start + start:
            raise WalUnusable(name, f"has no page of its own at byte {start}")


def end_of_records(position: int, segment_bytes: int, page_bytes: int) -> Lsn:
    """A position to insert at, before the header of a page where it is right after one.

    The server's insert position skips the header of a page that nobody has written yet; no WAL up
    to there is ever sent until a record follows.
    """
    if position % segment_bytes == _LONG_HEADER_BYTES:
        return Lsn(position - _LONG_HEADER_BYTES)
    if position % page_bytes == _SHORT_HEADER_BYTES:
        return Lsn(position - _SHORT_HEADER_BYTES)
    return Lsn(position)
