"""An object of a schema as the fingerprint sees it."""

from dataclasses import dataclass
from typing import Final

FINGERPRINT_FORMAT: Final = 1
"""Goes up with every change of what a digest is made of: digests of two formats do not compare."""


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """An object with all that makes it what it is.

    `kind` and `identity` (with its schema, and its table if it belongs to one) are unique together.
    """

    kind: str
    identity: str
    definition: str
    position: int = 0
    """The place of a column among those of its table, from 1; 0: it has none."""
    owner_and_grants: str = ""


@dataclass(frozen=True)
class Fingerprint:
    """A schema at one moment."""

    digest: str
    """SHA-256 over kinds, identities and definitions, in hexadecimal."""
    objects: tuple[SchemaObject, ...]
