"""The foreign keys that reference tables whose rows change."""

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
    """The oid of the child table; for a partition that of its partitioned table."""
    parent_oid: int
    """The oid of the parent table; for a partition that of its partitioned table."""
    child: str
    """Quoted, with its schema. It may be a partition."""
    columns: list[str]
    parent_columns: list[str]
    """The columns that `columns` reference, in their order."""
    parent_collations: list[str]
    """The collations that compare them, quoted; empty: the type has none."""
    on_delete: str
    """The action if the parent row is deleted: `pg_constraint.confdeltype`."""
    on_update: str
    """The action if the parent row is updated: `pg_constraint.confupdtype`."""

    @property
    def no_action_on_delete(self) -> bool:
        """Whether a parent may be deleted if another row has the referenced values."""
        return self.on_delete == _NO_ACTION

    @property
    def cascades_delete(self) -> bool:
        """Whether the child's rows are changed or deleted with the rows that they reference."""
        return self.on_delete in (_CASCADE, *_SETS)

    @property
    def cascades_update(self) -> bool:
        """Whether the child's rows follow a change of the row that they reference."""
        return self.on_update == _CASCADE

    @property
    def unsets_on_update(self) -> bool:
        """Whether the child's columns are set to NULL or a default if the parent changes."""
        return self.on_update in _SETS

    def refers(self, child: str, parent: str) -> str:
        """The condition that a row of the child references a row of the parent."""
        columns = zip(self.columns, self.parent_columns, self.parent_collations, strict=True)
        return " AND ".join(
            f"{child}.{quoted(mine)} OPERATOR(pg_catalog.=) {parent}.{quoted(other)}"
            # Two columns' own may contradict each other.
            + (f" COLLATE {collation}" if collation else "")
            for mine, other, collation in columns
        )


async def fetch_foreign_keys_to(session: Session, oids: Iterable[int]) -> list[ForeignKey]:
    """The foreign keys that reference tables, or their partitions."""
    tables = {"tables": list(oids)}
    return await session.fetch_all_as(ForeignKey, statement("foreign_keys_to"), tables)
