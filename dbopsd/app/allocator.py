"""How the C library's allocator treats the buffers of a worker."""

import contextlib
import ctypes
from typing import Final

# https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGE_BYTES: Final = 4 * 2**20
_ARENAS: Final = 2
# With a threshold of one's own the other stays at 128 kB: each frame of a backup would be given
# back, and its pages be made anew for the next one, for a fifth of all processor time.
_KEPT_BYTES: Final = 16 * 2**20


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
