"""The files in a data directory's tar that say where recovery begins and where tablespaces are."""

import re
from dataclasses import dataclass
from typing import Final

from dbopsd.backup.catalog.commit import Tablespace
from dbopsd.backup.catalog.lsn import Lsn

_START: Final = re.compile(
    r"^START WAL LOCATION: (?P<lsn>\S+) \(file [0-9A-F]{24}\)$", re.MULTILINE
)
_TIMELINE: Final = re.compile(r"^START TIMELINE: (?P<timeline>\d+)$", re.MULTILINE)
_TABLESPACE: Final = re.compile(r"(?P<oid>\d+) (?P<location>(?:[^\\\n]|\\.)+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BackupLabel:
    """Where recovery from a backup begins."""

    start: Lsn
    timeline: int


def parse_label(content: bytes) -> BackupLabel:
    """Raise ValueError unless `content` is that of a `backup_label`."""
    text = content.decode("utf-8", "replace")
    start, timeline = _START.search(text), _TIMELINE.search(text)
    if start is None or timeline is None:
        raise ValueError("backup_label does not say where the backup begins")
    return BackupLabel(Lsn.parse(start["lsn"]), int(timeline["timeline"]))


def parse_tablespace_map(content: bytes) -> tuple[Tablespace, ...]:
    """The tablespaces of a `tablespace_map`: a line each, with a backslash before odd characters.

    Raises ValueError.
    """
    found: list[Tablespace] = []
    text, position = content.decode("utf-8", "surrogateescape"), 0
    while position < len(text):
        match = _TABLESPACE.match(text, position)
        if match is None or text[match.end() : match.end() + 1] != "\n":
            raise ValueError("tablespace_map has a line that names no tablespace")
        location = re.sub(r"\\(.)", r"\1", match["location"], flags=re.DOTALL)
        found.append(Tablespace(int(match["oid"]), location))
        position = match.end() + 1
    return tuple(found)
