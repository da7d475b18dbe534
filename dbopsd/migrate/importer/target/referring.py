"""Foreign keys that refer to tables whose rows come and go."""

from collections.abc import Iterable
from dataclasses import dataclass

from dbopsd.db.session import Session
from dbopsd.migrate.importer.target.records import statement


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key, of a table of the import or of another."""

    name: str
    """For people: `foreign key … of …`."""
    child_oid: int
    parent_oid: int
    child: str
    """Quoted, with its schema."""
    columns: list[str]
    parent_columns: list[str]
    """Those that `columns` refer to, in their order."""
    on_delete: bool
    """Whether the child's rows are changed or deleted with those that they refer to."""
    on_update: bool
    """Whether they lose what they refer to when that changes. CASCADE follows it, and back."""


async def referring_to(session: Session, oids: Iterable[int]) -> list[ForeignKey]:
    """The foreign keys that refer to tables."""
    tables = {"tables": list(oids)}
    return await session.fetch_all_as(ForeignKey, statement("referring"), tables)
