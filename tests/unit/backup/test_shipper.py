"""What is shipped of a segment that is being written to is what is written to it."""

import struct
from pathlib import Path

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.repository import open_repository
from dbopsd.backup.wal.archive import read_archive
from dbopsd.backup.wal.shipper import Progress, Shipper
from dbopsd.backup.wal.spool import Spool
from dbopsd.backup.wal.stored_wal import read_segment
from dbopsd.config.backup import DatabaseBackupConfig

SYSTEM = 7300000000000000001
LAYOUT = Layout("main", str(SYSTEM))
SEGMENT = Segment(1, 5, 2**20)
PAGE = 8192
MAGIC = 0xD118


def wal(pages: int) -> bytes:
    """The beginning of a segment, all of whose pages are full."""
    written = bytearray()
    for number in range(pages):
        header = struct.pack("<HHIQ", MAGIC, 0, 1, SEGMENT.start + number * PAGE)
        if number == 0:
            header += struct.pack("<I4xQII", 0, SYSTEM, SEGMENT.size_bytes, PAGE)
        written += header.ljust(PAGE, b"\x55")
    return bytes(written)


class SpoolThatIsWrittenTo(Spool):
    """Whoever reads first is overtaken by who writes: half a page is missing before the end."""

    reads = 0

    def read_partial(self, segment: Segment) -> bytes:
        content = bytearray(super().read_partial(segment))
        self.reads += 1
        if self.reads == 1:
            content[PAGE + PAGE // 2 : 2 * PAGE] = bytes(PAGE // 2)
        elif self.reads == 2:
            # More came meanwhile, and is overtaken as well.
            content[3 * PAGE : 3 * PAGE + PAGE // 2] = bytes(PAGE // 2)
        return bytes(content)


async def _received() -> Lsn | None:
    return None


async def test_a_read_that_was_overtaken_is_not_stored(tmp_path: Path) -> None:
    config = DatabaseBackupConfig.model_validate({"store": (tmp_path / "store").as_uri()})
    spool = SpoolThatIsWrittenTo(tmp_path, SEGMENT.size_bytes)
    path = tmp_path / f"{SEGMENT}.partial"
    async with open_repository("main", config) as repository:
        shipper = Shipper(repository, LAYOUT, spool, Progress(), received=_received, flush_s=0.0)
        path.write_bytes(wal(3).ljust(SEGMENT.size_bytes, b"\0"))
        await shipper.ship()
        archive = await read_archive(repository.store, LAYOUT, SEGMENT.size_bytes)
        assert archive.timelines[1].partials == {SEGMENT: 3 * PAGE}
        stored = await read_segment(repository, LAYOUT, SEGMENT, 3 * PAGE)
        assert stored[: 3 * PAGE] == wal(3)
        # What is complete at last is the same, and no conflict.
        path.rename(tmp_path / str(SEGMENT))
        (tmp_path / str(SEGMENT)).write_bytes(wal(SEGMENT.size_bytes // PAGE))
        await shipper.ship()
        archive = await read_archive(repository.store, LAYOUT, SEGMENT.size_bytes)
        assert archive.timelines[1].segments == [SEGMENT]
