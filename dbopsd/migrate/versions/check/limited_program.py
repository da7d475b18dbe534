"""Limits itself and becomes another program: DIRECTORY MEMORY_BYTES CPU_S PROGRAM [ARGUMENT …].

It is run as a file, without this package, so that it starts at once.
"""

import os
import resource
import sys

_CPU_GRACE_S = 2
"""From the signal that says so to the one that ends it."""


def main() -> None:
    """Set the limits and go."""
    directory, memory, seconds, program, *arguments = sys.argv[1:]
    _limit(resource.RLIMIT_DATA, int(memory))
    _limit(resource.RLIMIT_CPU, int(seconds), _CPU_GRACE_S)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    os.chdir(directory)
    os.execv(program, [program, *arguments])  # noqa: S606


def _limit(which: int, soft: int, grace: int = 0) -> None:
    _, most = resource.getrlimit(which)
    hard = soft + grace
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(which, (soft, hard))


if __name__ == "__main__":
    main()
