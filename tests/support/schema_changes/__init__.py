"""Changes of `schema_of_everything.sql`: SQL below `-- kind: identity` of what it changes."""

from dataclasses import dataclass
from pathlib import Path

EVERYTHING = Path(__file__).with_name("schema_of_everything.sql").read_text(encoding="utf-8")
"""A schema with every kind of object that all supported majors have."""


@dataclass(frozen=True)
class SchemaChange:
    """SQL, and an object that differs afterwards; of kind `none`: what is not seen."""

    kind: str
    identity: str
    sql: str


def schema_changes(name: str) -> list[SchemaChange]:
    """The changes of the file `name`."""
    text = Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
    changes = []
    for part in text.split("\n-- ")[1:]:
        head, _, sql = part.partition("\n")
        kind, _, identity = head.partition(": ")
        changes.append(SchemaChange(kind, identity, sql.strip()))
    return changes
