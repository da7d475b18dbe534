"""Foreign keys that refer to tables whose rows come and go."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.migrate.importer.postgres.sql import statement

# By pg_constraint.confdeltype and confupdtype.
_NO_ACTION: Final = "a"
_CASCADE: Final = "c"
_SETS: Final = ("n", "d")


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key, of a table of the import or of another."""

    name: str
    """For people: `foreign key … of …`."""
    child_oid: int
    """Of the table of the import, or of all the partitions, where it is a partition's."""
    parent_oid: int
    """Likewise."""
    child: str
    """Quoted, with its schema. It may be a partition."""
    columns: list[str]
    parent_columns: list[str]
    """Those that `columns` refer to, in their order."""
    parent_collations: list[str]
    """By which these are compared, quoted; empty: they are of a type without."""
    on_delete: str
    """What becomes of rows whose parent goes: `pg_constraint.confdeltype`."""
    on_update: str
    """Likewise of those whose parent changes."""

    @property
    def no_action_on_delete(self) -> bool:
        """Whether a parent may go where another row has the values that are referred to."""
        return self.on_delete == _NO_ACTION

    @property
    def cascades_delete(self) -> bool:
        """Whether the child's rows are changed or deleted with those that they refer to."""
        return self.on_delete in (_CASCADE, *_SETS)

    @property
    def cascades_update(self) -> bool:
        """Whether the child's rows go on to refer to a row that changes, and back."""
        return self.on_update == _CASCADE

    @property
    def unsets_on_update(self) -> bool:
        """Whether the child's rows lose what they refer to when that changes."""
        return self.on_update in _SETS

    def refers(self, child: str, parent: str) -> str:
        """Whether a row of the child refers to one of the parent, as the constraint has it."""
        columns = zip(self.columns, self.parent_columns, self.parent_collations, strict=True)
        return " AND ".join(
            f"{child}.{quoted(mine)} = {parent}.{quoted(other)}"
            # Two columns' own may contradict each other.
            + (f" COLLATE {collation}" if collation else "")
            for mine, other, collation in columns
        )


async def fetch_foreign_keys_to(session: Session, oids: Iterable[int]) -> list[ForeignKey]:
    """The foreign keys that refer to tables, or to their partitions."""
    tables = {"tables": list(oids)}
    return await session.fetch_all_as(ForeignKey, statement("foreign_keys_to"), tables)
