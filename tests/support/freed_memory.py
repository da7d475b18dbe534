"""A process that frees what lies between what it keeps, as backups do: `python -m …`.

Prints its resident memory in KiB: once that was allocated, once it was freed, and once that was
returned to the system.
"""

import asyncio
import re
from pathlib import Path

from dbopsd.app.allocator import give_memory_back, return_free_memory
from tests.support.patience import eventually

_BLOCKS = 100
_BLOCK_BYTES = 2**20
_KEPT_BYTES = 2**10


def _resident_kib() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


async def main() -> None:
    freed, kept = [], []
    for _ in range(_BLOCKS):
        freed.append(b"x" * _BLOCK_BYTES)
        kept.append(b"x" * _KEPT_BYTES)
    print(allocated := _resident_kib())
    freed.clear()
    print(_resident_kib())
    task = asyncio.create_task(return_free_memory(every_s=0.01, worked_s=0.0))

    async def returned() -> bool:
        return _resident_kib() < allocated - _BLOCKS * _BLOCK_BYTES // 1024 // 2

    await eventually(returned, what="free memory is returned")
    print(_resident_kib())
    task.cancel()
    assert len(kept) == _BLOCKS


if __name__ == "__main__":
    give_memory_back()
    asyncio.run(main())
