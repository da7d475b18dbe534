"""Find rows that foreign key actions change or delete along with an import's rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dbopsd.db.session import Session
from dbopsd.migrate.importer.postgres.foreign_keys import ForeignKey, fetch_foreign_keys_to
from dbopsd.migrate.importer.postgres.sql import statement


@dataclass(frozen=True)
class RowChanges:
    """The rows of a table that a transaction updated and deleted, itself or by foreign keys."""

    oid: int
    name: str
    updated: int
    deleted: int


@dataclass(frozen=True)
class Loss:
    """Rows that were changed or deleted together with others and cannot be restored."""

    by: str
    """What did it, for people; empty: unknown, because `track_counts` is off."""
    rows: int
    """Their number, at most."""


async def fetch_row_changes(session: Session, tables: Collection[int]) -> dict[int, RowChanges]:
    """The changes of the transaction so far, by table oid. `tables` are those of the import."""
    found = await session.fetch_all_as(
        RowChanges, statement("row_changes"), {"tables": list(tables)}
    )
    return {each.oid: each for each in found}


async def find_loss(
    session: Session,
    before: Mapping[int, RowChanges],
    own: Mapping[int, tuple[int, int]],
    suspects: Collection[str],
    *,
    may_follow: bool,
) -> Loss | None:
    """The rows that were lost since `before`, besides the import's own; None: none were.

    PostgreSQL's own counters tell it, whatever way a foreign key's action took. `own` is how many
    rows of each table of the import were to be updated and deleted. `suspects` are the names of the
    foreign keys by which rows are known to refer to such. What follows a change (ON UPDATE CASCADE)
    follows it back, and is no loss; in tables of the import only if it `may_follow` there.
    """
    updated: dict[int, int] = {}
    deleted: dict[int, int] = {}
    now = await fetch_row_changes(session, own)
    for oid in {*now, *own}:
        was = before.get(oid, RowChanges(oid, "", 0, 0))
        after = now.get(oid, was)
        mine = own.get(oid, (0, 0))
        updated[oid] = after.updated - was.updated - mine[0]
        deleted[oid] = after.deleted - was.deleted - mine[1]
    if any(count < 0 for count in (*updated.values(), *deleted.values())):
        return Loss("", 0)
    moved = {oid for oid in updated if updated[oid] or deleted[oid]}
    if not moved:
        return None
    into = [
        each
        for each in await fetch_foreign_keys_to(session, {*own, *moved})
        if each.child_oid in moved
    ]
    for oid in sorted(moved):
        mine_in = [each for each in into if each.child_oid == oid]
        follows = any(each.cascades_update for each in mine_in)
        lost_by = [each for each in mine_in if _loses(each, suspects, updated)]
        may_stay = may_follow or oid not in own
        if deleted[oid] or lost_by or not follows or not may_stay:
            told = lost_by or mine_in
            by = told[0].name if told else f"a trigger or a function that writes to {now[oid].name}"
            return Loss(by, updated[oid] + deleted[oid])
    return None


def _loses(each: ForeignKey, suspects: Collection[str], updated: Mapping[int, int]) -> bool:
    """Whether rows of a changed table have lost their reference by a foreign key."""
    return each.name in suspects or (each.unsets_on_update and updated.get(each.parent_oid, 0) > 0)
