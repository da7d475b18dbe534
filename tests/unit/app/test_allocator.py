"""A worker gives back what it has freed."""

import subprocess
import sys

from tests.support import freed_memory


def test_what_is_free_between_what_is_kept_is_returned_to_the_system() -> None:
    command = [sys.executable, "-m", freed_memory.__name__]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    allocated, freed, returned = (int(line) for line in done.stdout.splitlines())
    assert freed > allocated - 10_000, "the allocator returns it by itself"
    assert returned < allocated - 50_000
