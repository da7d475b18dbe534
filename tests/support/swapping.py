"""Somebody who swaps a directory for a link, to have a path lead elsewhere after it was checked."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_SWAPPING = """
import os, sys
directory, aside, target = sys.argv[1:]
print(flush=True)
while True:
    os.rename(directory, aside)
    os.symlink(target, directory)
    os.unlink(directory)
    os.rename(aside, directory)
"""


@contextlib.contextmanager
def swapping(directory: Path, target: Path) -> Iterator[None]:
    """A directory is now itself, now a link to another, as fast as can be."""
    swap = subprocess.Popen(
        [sys.executable, "-c", _SWAPPING, directory, directory.with_name("aside"), target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with swap:
        assert swap.stdout is not None
        swap.stdout.readline()
        try:
            yield
        finally:
            swap.kill()
