"""How a record becomes a line that holds on to the line before, and how that is checked.

A line's hash is the SHA-256 of the line itself, up to `,"hash":`; `previous`, the hash of the line
before, is part of that. So nothing but sha256sum is needed to check it.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dbopsd.security.audit.record import Record

MAX_LINE_BYTES: Final = 16 * 1024
"""No line is longer; what is, is none of ours."""

_ENDING: Final = re.compile(rb',"hash":"([0-9a-f]{64})"\}\n')
_ENDING_BYTES: Final = len(b',"hash":""}\n') + 64


@dataclass(frozen=True, slots=True)
class Link:
    """Where the chain stands: the number and the hash of a record."""

    sequence: int
    hash: str


GENESIS: Final = Link(0, "0" * 64)
"""What the first record of all holds on to."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A record as it was read back, its hash checked. `fields` is all of the line."""

    link: Link
    previous: str
    event: str
    fields: Mapping[str, Any]


class NotARecord(Exception):
    """A line that no daemon wrote as it is; the text says what is wrong with it."""


def seal(record: Record, after: Link) -> tuple[bytes, Link]:
    """The line of `record` after the one of `after`, and where the chain stands then."""
    sequence = after.sequence + 1
    body = {"sequence": sequence, **record.body(), "previous": after.hash}
    # Without the closing brace: the hash goes in before it.
    hashed = json.dumps(body, separators=(",", ":"))[:-1].encode("ascii")
    digest = hashlib.sha256(hashed).hexdigest()
    return b'%s,"hash":"%s"}\n' % (hashed, digest.encode("ascii")), Link(sequence, digest)


def unseal(line: bytes) -> Sealed:
    """The record of a line with its line break. Raises `NotARecord`."""
    if len(line) > MAX_LINE_BYTES:
        raise NotARecord(f"longer than {MAX_LINE_BYTES} bytes")
    ending = _ENDING.fullmatch(line[-_ENDING_BYTES:])
    if ending is None:
        raise NotARecord("no hash at its end")
    digest = ending[1].decode("ascii")
    hashed = line[:-_ENDING_BYTES]
    if hashlib.sha256(hashed).hexdigest() != digest:
        raise NotARecord("its text does not match its hash")
    try:
        fields = json.loads(hashed + b"}")
    except ValueError as exc:
        raise NotARecord("not JSON") from exc
    if not isinstance(fields, dict):
        raise NotARecord("not a JSON object")
    sequence, previous, event = (fields.get(key) for key in ("sequence", "previous", "event"))
    if type(sequence) is not int or not isinstance(previous, str) or not isinstance(event, str):
        raise NotARecord("without a sequence number, an event or the hash of the line before")
    return Sealed(Link(sequence, digest), previous, event, fields)
