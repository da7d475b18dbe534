"""A process that writes a stream of backups and reads it: `python -m … DIRECTORY MIB`.

Prints how much memory it had at most, in KiB: once all was loaded, after writing, after reading.
"""

import asyncio
import random
import re
import sys
from pathlib import Path

from dbopsd.app.allocator import give_memory_back
from dbopsd.backup.codec.compression import Compression
from dbopsd.backup.codec.data_keys import DataKeys
from dbopsd.backup.parts import PartWriter, read_parts
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.file_store import FileStore
from tests.support.backup_keys import keys

_MIB = 2**20


def _most_kib() -> int:
    # Not by getrusage: that begins with what the process had that it was forked off.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


async def stream(root: Path, mib: int) -> None:
    store = DurableStore(FileStore(root))
    data_keys = DataKeys(store, "main/", keys("k1"))
    # Four fifths of it cannot be compressed.
    block = random.Random(1).randbytes(4 * _MIB) + bytes(_MIB)
    print(_most_kib())
    async with PartWriter(store, "main/base", Compression(), await data_keys.create()) as writer:
        for _ in range(mib // 5):
            await writer.write(block)
        parts = await writer.finish()
    print(_most_kib())
    plain_bytes = 0
    async for frame in read_parts(store, data_keys, parts):
        plain_bytes += len(frame)
    assert plain_bytes == mib // 5 * len(block)
    print(_most_kib())


if __name__ == "__main__":
    give_memory_back()
    asyncio.run(stream(Path(sys.argv[1]), int(sys.argv[2])))
