"""Columns that foreign keys tie together get one type."""

import pytest

from dbopsd.migrate.importer.model.source_schema import (
    ForeignKey,
    SourceColumn,
    SourceTable,
    affinity_of,
)
from dbopsd.migrate.importer.plan.column_types import ColumnType
from dbopsd.migrate.importer.plan.foreign_key_types import unify_types

CONVERSIONS = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "integer"),
    **dict.fromkeys(("numeric", "numeric(8,2)"), "numeric"),
    **{name: name for name in ("text", "uuid", "date", "boolean")},
    "bytea": "bytes",
    "double precision": "double",
}


def table(
    name: str, types: dict[str, str], references: dict[str, tuple[str, str]], rowid_alias: str = ""
) -> tuple[SourceTable, dict[tuple[str, str], ColumnType]]:
    made = SourceTable(
        name=name,
        sql="",
        columns=tuple(SourceColumn(each, "", affinity_of("")) for each in types),
        foreign_keys=tuple(
            ForeignKey((mine,), target, (other,)) for mine, (target, other) in references.items()
        ),
        rowid_alias=rowid_alias or None,
    )
    return made, {
        (name, column): ColumnType(each, CONVERSIONS[each], "found")
        for column, each in types.items()
    }


def tied(*tables: tuple[SourceTable, dict[tuple[str, str], ColumnType]]) -> dict[str, str]:
    types = {key: each for _, of in tables for key, each in of.items()}
    made = unify_types([each for each, _ in tables], types)
    assert all(each.conversion == CONVERSIONS[each.type] for each in made.values())
    assert all("foreign keys tie it" in each.evidence for each in made.values())
    return {".".join(key): each.type for key, each in made.items()}


@pytest.mark.parametrize(
    ("parent", "child", "common"),
    [
        ("bigint", "bigint", None),
        ("smallint", "bigint", "bigint"),
        ("integer", "smallint", "integer"),
        ("bigint", "double precision", "numeric"),
        ("numeric", "numeric(8,2)", "numeric"),
        ("bigint", "text", "text"),
        ("uuid", "text", "text"),
        ("text", "bytea", "bytea"),
        ("uuid", "date", None),
        ("boolean", "bigint", None),
    ],
)
def test_two_columns(parent: str, child: str, common: str | None) -> None:
    found = tied(table("p", {"id": parent}, {}), table("c", {"p": child}, {"p": ("p", "id")}))
    types = {"p.id": parent, "c.p": child}
    expected = {} if common is None else {k: common for k, v in types.items() if v != common}
    assert found == expected


def test_ties_reach_over_several_tables() -> None:
    found = tied(
        table("a", {"id": "smallint"}, {}),
        table("b", {"a": "integer"}, {"a": ("a", "id")}),
        table("c", {"b": "bigint", "other": "smallint"}, {"b": ("b", "a")}),
    )
    assert found == {"a.id": "bigint", "b.a": "bigint"}


def test_a_table_that_refers_to_itself() -> None:
    assert tied(table("t", {"id": "bigint", "up": "text"}, {"up": ("t", "id")})) == {"t.id": "text"}


def test_what_counts_by_itself_stays_a_number() -> None:
    parent = table("p", {"id": "bigint"}, {}, rowid_alias="id")
    assert tied(parent, table("c", {"p": "text"}, {"p": ("p", "id")})) == {}
    assert tied(parent, table("c", {"p": "smallint"}, {"p": ("p", "id")})) == {"c.p": "bigint"}


def test_a_column_that_is_not_carried_ties_nothing() -> None:
    assert tied(table("c", {"p": "text"}, {"p": ("gone", "id")})) == {}
