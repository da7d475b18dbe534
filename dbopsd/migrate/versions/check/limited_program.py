"""Limits itself and becomes another program: DIRECTORY MEMORY_BYTES CPU_S PROGRAM [ARGUMENT …].

It is run as a file, without this package, so that it starts at once.
"""

import os
import resource
import sys


def main() -> None:
    """Set the limits and go."""
    directory, memory, seconds, program, *arguments = sys.argv[1:]
    for which, most in (
        (resource.RLIMIT_DATA, int(memory)),
        (resource.RLIMIT_CPU, int(seconds)),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, hard = resource.getrlimit(which)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (least, least))
    os.chdir(directory)
    os.execv(program, [program, *arguments])  # noqa: S606


if __name__ == "__main__":
    main()
