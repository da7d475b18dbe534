"""What became of a target table when imported rows got to their place."""

from dataclasses import dataclass

from dbopsd.migrate.importer.target.records import ImportRecord, PublishedRelation


@dataclass(frozen=True)
class Placed:
    """A target table, by the table of the source that its rows are from."""

    source: str
    kept: bool = False
    """Whether what stood there before is kept, or the rows of it that gave way."""
    merged_rows: int = 0
    """That were added or changed, where the table stayed."""
    deleted_rows: int = 0
    beyond: str = ""
    """By what others were changed or deleted with its rows, for people; empty: none were."""


def placed_by(record: ImportRecord) -> list[Placed]:
    """What the record of a published import says of each table."""
    published = {relation.name: relation for relation in record.published}
    return [
        Placed(
            table.source,
            kept=_is_kept(published[table.target]),
            merged_rows=published[table.target].merged_rows,
            deleted_rows=published[table.target].deleted_rows,
            beyond=_beyond(published[table.target]),
        )
        for table in record.plan.tables
    ]


def _is_kept(relation: PublishedRelation) -> bool:
    merge = relation.merge
    return bool(relation.replaced or (merge and (merge.before or merge.after)))


def _beyond(relation: PublishedRelation) -> str:
    return relation.merge.beyond if relation.merge else ""
