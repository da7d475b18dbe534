"""A process that reads a large folder: a text of many megabytes would hold up whoever reads it.

It reads a line of JSON from standard input, `{"set", "dir", "config"}`, and writes a pickle to
standard output: the `Reading` of the folder, or the error that says why it cannot be read.
"""

import json
import pickle
import resource
import sys
from pathlib import Path
from typing import Final

from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.migrate.versions.folder.errors import FolderUnreadable, LayoutAmbiguous, LayoutUnknown
from dbopsd.migrate.versions.folder.read_folder import Reading, read_whole

_MEMORY_BYTES: Final = 4 * 2**30
"""Sixteen times the files that a set may have."""
_CPU_S: Final = 120
_CPU_GRACE_S: Final = 2


def main() -> None:
    """Read the folder that standard input names."""
    for which, soft, hard in (
        (resource.RLIMIT_DATA, _MEMORY_BYTES, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, _CPU_S, _CPU_S + _CPU_GRACE_S),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(which, (soft, hard))
    asked = json.loads(sys.stdin.buffer.readline())
    directory = MigrationSetConfig(set=asked["set"], dir=Path(asked["dir"]))
    config = DatabaseMigrationsConfig.model_validate(asked["config"])
    answer: Reading | tuple[str, dict[str, str]]
    try:
        answer = read_whole(directory, config)
    except (FolderUnreadable, LayoutAmbiguous, LayoutUnknown) as error:
        answer = type(error).__name__, vars(error)
    pickle.dump(answer, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main()
