"""A piece of advice, and what could not be judged."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_ID: Final = re.compile(r"(?P<kind>[a-z][a-z0-9-]*)-[0-9a-f]{12}")


class Severity(IntEnum):
    """How much it matters. The numbers are those of the contract."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class Confidence(IntEnum):
    """How sure it is. The numbers are those of the contract."""

    LOW = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact on which advice rests: its name, its value for people, and where it comes from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What could be done about an object. `object` is its quoted name, one for each finding."""

    kind: str
    object: str
    title: str
    severity: Severity
    confidence: Confidence
    evidence: Sequence[Evidence]
    gain: str
    risk: str
    sql: Sequence[str]
    not_known: Sequence[str]

    @property
    def id(self) -> str:
        """The same for the same advice about the same object, over calls and restores."""
        digest = hashlib.sha256(f"{self.kind}\0{self.object}".encode()).hexdigest()
        return f"{self.kind.replace('_', '-')}-{digest[:12]}"

    @property
    def order(self) -> str:
        """The most useful first: what will break, and what is sure."""
        return f"{9 - self.severity}{9 - self.confidence} {self.kind} {self.object}"


@dataclass(frozen=True, slots=True)
class Gap:
    """A kind that could not be judged, or not of everything."""

    kind: str
    reason: str
    message: str


def kind_of(advice_id: str) -> str | None:
    """The kind in an id; None if it is no id of advice."""
    found = _ID.fullmatch(advice_id)
    return found["kind"].replace("-", "_") if found else None
