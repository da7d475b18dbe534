"""How the C library's allocator treats the buffers of a worker."""

import asyncio
import contextlib
import ctypes
import time
from typing import Final

# https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGE_BYTES: Final = 4 * 2**20
_ARENAS: Final = 2
# With a threshold of one's own the other stays at 128 kB: each frame of a backup would be given
# back, and its pages be made anew for the next one. Writing a stream takes 7 % less processor time
# so, and 12 % with twice as much, which a worker's memory has no room for.
_KEPT_BYTES: Final = 8 * 2**20
_EVERY_S: Final = 2.0
_WORKED_S: Final = 0.2


def give_memory_back() -> None:
    """Have what threads free shared with others, and large buffers returned to the system.

    Otherwise each thread's arena keeps the parts and WAL segments that once were in it: a worker
    that backs up and restores grows to several times what it uses. Where the C library is another
    one, nothing is changed.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


async def return_free_memory(every_s: float = _EVERY_S, worked_s: float = _WORKED_S) -> None:
    """Return to the system what is free in the middle of the arenas, for ever.

    What lives long lies between frames that are gone, so that a worker would grow with each backup.
    Looks `every_s` seconds, and does nothing unless `worked_s` processor seconds were used since.
    """
    with contextlib.suppress(OSError, AttributeError):
        trim = ctypes.CDLL(None).malloc_trim
        used_s = 0.0
        while True:
            await asyncio.sleep(every_s)
            now_s = time.process_time()
            if now_s - used_s >= worked_s:
                used_s = now_s
                await asyncio.to_thread(trim, 0)
