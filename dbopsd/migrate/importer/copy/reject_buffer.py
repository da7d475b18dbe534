"""Holds rejected values until the COPY that found them has ended."""

import base64
import json
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from dbopsd.migrate.importer.conversion.encoder import Reject
from dbopsd.migrate.importer.model.errors import RejectsUnwritable

_IN_MEMORY_BYTES: Final = 8 * 2**20


class RejectBuffer:
    """Rejected values in their order: in memory while they are few, then in a file.

    The file is in `directory` and has no name: it is gone once it is closed or the process ends.
    Raises `RejectsUnwritable` if the disk fails.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=str(directory))  # noqa: SIM115
        self.count = 0
        """How many there are."""

    def close(self) -> None:
        """Discard the values."""
        self._file.close()

    def add(self, rejects: Iterable[Reject]) -> None:
        """Add some values."""
        try:
            for each in rejects:
                told = {**asdict(each), "raw": base64.b64encode(each.raw).decode()}
                self._file.write(json.dumps(told).encode() + b"\n")
                self.count += 1
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise RejectsUnwritable(str(self._directory), why) from error

    def __iter__(self) -> Iterator[Reject]:
        self._file.seek(0)
        for line in self._file:
            told = json.loads(line)
            yield Reject(**{**told, "raw": base64.b64decode(told["raw"])})
