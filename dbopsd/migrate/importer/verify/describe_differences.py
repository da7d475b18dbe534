"""Describes differences for people."""

from collections.abc import Iterator

from dbopsd.migrate.importer.conversion.decode import decode_field, decode_row
from dbopsd.migrate.importer.conversion.rows import split_row
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.report import Difference
from dbopsd.migrate.importer.verify.row_identity import RowIdentity


def describe_missing(table: PlannedTable, row: bytes) -> Difference:
    """A row that only the file has."""
    return Difference(table.source, "", _name(table, row), _shown(table, row), "")


def describe_surplus(table: PlannedTable, row: bytes) -> Difference:
    """A row that only PostgreSQL has."""
    return Difference(table.source, "", _name(table, row), "", _shown(table, row))


def describe_changed(
    table: PlannedTable, identity: RowIdentity, row: bytes, partner: bytes
) -> Iterator[Difference]:
    """The columns in which PostgreSQL's row differs from the file's."""
    name = _name(table, row)
    forms = (split_row(identity.form(each)) for each in (row, partner))
    fields = (split_row(each) for each in (row, partner))
    for column, mine, other, my_form, their_form in zip(
        table.columns, *fields, *forms, strict=True
    ):
        if my_form != their_form:
            yield Difference(
                table.source,
                column.source,
                name,
                _text(mine, column.type),
                _text(other, column.type),
            )


def _name(table: PlannedTable, row: bytes) -> str:
    """The name of a row: its key, or all its values."""
    named = [
        f"{column.source}={'NULL' if text is None else text}"
        for column, text in zip(
            table.columns, decode_row(row, [each.type for each in table.columns]), strict=True
        )
        if not table.key or column.source in table.key
    ]
    return ", ".join(named)


def _shown(table: PlannedTable, row: bytes) -> str:
    fields = decode_row(row, [each.type for each in table.columns])
    return ", ".join("NULL" if field is None else field for field in fields)


def _text(field: bytes | None, type_name: str) -> str:
    return "NULL" if field is None else decode_field(field, type_name)
