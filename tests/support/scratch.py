"""Where tests put servers: a directory that the servers' account can reach, with room to spare."""

import shutil
import tempfile
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 2**30


def new_directory(prefix: str) -> Path:
    """A new directory, 0711, that the caller removes.

    Not pytest's tmp_path: that is 0700, and as root the servers run as another account. In memory
    where there is room: it is fast, and the check that looks at the disk finds the same there on
    every machine, however full that one's own disk is.
    """
    base = None
    if _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free >= _ROOM_BYTES:
        base = _SHARED_MEMORY
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    directory.chmod(0o711)
    return directory
