"""Mappings: written from a plan, read back, and refused where they say what nobody knows."""

import pytest

from dbopsd.migrate.importer.model.errors import InvalidMapping
from dbopsd.migrate.importer.model.mapping import known_type, read_mapping, write_mapping
from dbopsd.migrate.importer.model.plan import BadValue, Plan, PlannedColumn, PlannedTable

COLUMNS = (
    PlannedColumn("id", "id", "bigint", "integer", "declared INTEGER; 3 integers"),
    PlannedColumn(
        *('Größe "x".y', "size", "numeric(10,2)", "numeric", "why\nnot \x01 # so"),
        on_bad=BadValue.CLAMP,
    ),
    PlannedColumn(
        *("", "unnamed", "timestamp with time zone", "timestamptz", ""),
        unit="ms",
        expression="datetime(\"a\", 'x')\n || '\\'",
    ),
    PlannedColumn(
        *("map", "map", "text", "text", ""),
        value_map={"1": "one", "": None, 'q"\n': "é\\", "0.5": ""},
    ),
)
TABLES = (
    PlannedTable("users", "users", COLUMNS, rows=1234),
    PlannedTable("Ord er.s [1]", "orders", COLUMNS[:1], where="a > 1 -- '\"\n AND \\b"),
)


def test_what_is_written_is_read_as_it_was() -> None:
    text = write_mapping(Plan(TABLES))
    mapping = read_mapping(text)
    assert set(mapping.tables) == {table.source for table in TABLES}
    for table in TABLES:
        read = mapping.table(table.source)
        assert (read.rename or table.source, read.where, read.skip) == (
            *(table.target, table.where),
            False,
        )
        for column in table.columns:
            found = read.column(column.source)
            assert (found.rename or column.source) == column.target
            assert (found.type, found.unit or "", found.expression or "") == (
                *(column.type, column.unit),
                column.expression,
            )
            assert (found.on_bad, found.values) == (column.on_bad, column.value_map)
    assert "# 1,234 rows" in text
    assert "# declared INTEGER; 3 integers" in text


def test_an_empty_plan_and_an_empty_mapping() -> None:
    assert read_mapping(write_mapping(Plan(()))).tables == {}
    assert read_mapping("").tables == {}


def test_names_are_found_in_any_case_and_exactly_first() -> None:
    mapping = read_mapping("[tables.Users]\nskip = true\n[tables.users.columns.A]\nskip = true")
    assert mapping.table("Users").skip
    assert not mapping.table("users").skip
    assert mapping.table("users").column("a").skip
    assert not mapping.table("nobody").skip


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("[tables", "", "is not TOML"),
        ("table = 1", "table", "is not a key that a mapping has"),
        ("[tables.t]\nskipp = true", "tables.t.skipp", "is not a key that a mapping has"),
        ("[tables.t]\nskip = 'yes please'", "tables.t.skip", "boolean"),
        ("[tables.t]\nrename = ''", "tables.t.rename", "at least 1 character"),
        ("tables = 1", "tables", "dictionary"),
        ("[tables.t.columns.c]\ntype = 'thing'", "tables.t.columns.c.type", "'thing' is none of"),
        ("[tables.t.columns.c]\ntype = 'text(3)'", "tables.t.columns.c.type", "has arguments"),
        ("[tables.t.columns.c]\nunit = 'days'", "tables.t.columns.c.unit", "'julian'"),
        ("[tables.t.columns.c]\non_bad = 'x'", "tables.t.columns.c.on_bad", "'clamp'"),
        ("[tables.t.columns.c]\nvalue_map = { a = true }", "tables.t.columns.c.value_map.a", ""),
    ],
)
def test_what_cannot_be_used_is_named(text: str, key: str, problem: str) -> None:
    with pytest.raises(InvalidMapping) as error:
        read_mapping(text)
    assert error.value.key.startswith(key)
    assert problem in error.value.problem
    assert "\n" not in error.value.message
    assert f"mapping: {key}" in error.value.message or not key


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("INT", ("integer", "integer")),
        ("  double   precision", ("double precision", "double")),
        ("Decimal ( 10 , 2 )", ("numeric(10,2)", "numeric")),
        ("varchar(20)", ("character varying(20)", "text")),
        ("timestamptz", ("timestamp with time zone", "timestamptz")),
    ],
)
def test_types_are_known_by_all_their_names(written: str, expected: tuple[str, str]) -> None:
    assert known_type(written) == expected
    # PostgreSQL's own name of it is one of them.
    assert known_type(expected[0]) == expected


@pytest.mark.parametrize(
    "written", ["", "text; DROP TABLE x", "int[]", "numeric(1,2,3)", "a" * 999]
)
def test_other_types_are_not(written: str) -> None:
    with pytest.raises(ValueError, match="is none of"):
        known_type(written)
