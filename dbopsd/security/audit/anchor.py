"""The anchor: the newest record's number and hash, next to the log. It reveals a truncated end."""

import json
import os
import re
from pathlib import Path

from dbopsd.security.audit.chain import Link
from dbopsd.security.audit.files import FILE_MODE, write_all

_ANCHOR = re.compile(rb'\{"sequence":(\d{1,18}),"hash":"([0-9a-f]{64})"\}\n')


class AnchorDamaged(Exception):
    """The anchor is there and does not say what an anchor says."""


def write_anchor(path: Path, link: Link) -> None:
    """Put `link` in the place of what the anchor said, whole or not at all. Raises OSError."""
    new = path.with_name(path.name + ".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(new, flags, FILE_MODE)
    try:
        write_all(descriptor, _encode(link))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    # Not followed by an fsync of the directory: an anchor that is behind the log is no harm.
    new.replace(path)


def read_anchor(path: Path) -> Link | None:
    """What the anchor says, None where there is none. Raises `AnchorDamaged` or OSError."""
    try:
        found = _ANCHOR.fullmatch(path.read_bytes())
    except FileNotFoundError:
        return None
    if found is None:
        raise AnchorDamaged
    link = Link(int(found[1]), found[2].decode("ascii"))
    if _encode(link) != found[0]:
        raise AnchorDamaged
    return link


def _encode(link: Link) -> bytes:
    anchor = {"sequence": link.sequence, "hash": link.hash}
    return json.dumps(anchor, separators=(",", ":")).encode("ascii") + b"\n"
