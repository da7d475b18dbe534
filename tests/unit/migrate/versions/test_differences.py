"""What two fingerprints differ in, without a database."""

from dbopsd.migrate.versions.fingerprint.differences import definition_differs, differences
from dbopsd.migrate.versions.fingerprint.fingerprint import digest
from dbopsd.migrate.versions.model.reports import Aspect, Change, Difference
from dbopsd.migrate.versions.model.schema_object import Fingerprint, SchemaObject


def fingerprint(*objects: SchemaObject) -> Fingerprint:
    return Fingerprint(digest(objects), objects)


def column(name: str, position: int, definition: str = "integer") -> SchemaObject:
    return SchemaObject("column", f"public.t.{name}", definition, position)


TABLE = SchemaObject("table", "public.t", "TABLE", owner_and_grants="OWNER a")


def test_an_object_is_added_removed_or_changed() -> None:
    expected = fingerprint(TABLE, column("a", 1), column("b", 2))
    actual = fingerprint(TABLE, column("a", 1, "bigint"), column("c", 2))
    assert differences(expected, actual) == (
        Difference(
            "column",
            "public.t.a",
            Change.CHANGED,
            Aspect.DEFINITION,
            expected="integer",
            actual="bigint",
        ),
        Difference("column", "public.t.b", Change.REMOVED, expected="integer"),
        Difference("column", "public.t.c", Change.ADDED, actual="integer"),
    )


def test_a_column_that_went_away_changes_no_order() -> None:
    expected = fingerprint(column("a", 1), column("b", 2), column("c", 3))
    actual = fingerprint(column("a", 1), column("c", 2), column("d", 3))
    assert {each.aspect for each in differences(expected, actual)} == {Aspect.DEFINITION}


def test_columns_in_another_order_are_said_once_a_table_and_are_no_drift() -> None:
    expected = fingerprint(column("a", 1), column('"b.""c"', 2), column("d", 3))
    actual = fingerprint(column("a", 1), column("d", 2), column('"b.""c"', 3))
    [difference] = differences(expected, actual)
    assert difference == Difference(
        "table",
        "public.t",
        Change.CHANGED,
        Aspect.COLUMN_ORDER,
        expected='a, "b.""c", d',
        actual='a, d, "b.""c"',
    )
    assert expected.digest == actual.digest
    assert not definition_differs([difference])


def test_an_object_whose_definition_and_owner_differ_is_there_twice() -> None:
    other = SchemaObject("table", "public.t", "UNLOGGED TABLE", owner_and_grants="OWNER b")
    found = differences(fingerprint(TABLE), fingerprint(other))
    assert [each.aspect for each in found] == [Aspect.DEFINITION, Aspect.OWNER_OR_GRANTS]
    assert definition_differs(found)


def test_what_is_nothing_but_privileges_has_no_part_in_the_digest() -> None:
    privileges = SchemaObject("default privileges", "a ON TABLES", "", owner_and_grants="GRANT x")
    [difference] = differences(fingerprint(TABLE), fingerprint(TABLE, privileges))
    assert difference.aspect is Aspect.OWNER_OR_GRANTS
    assert difference.actual == "GRANT x"
    assert fingerprint(TABLE).digest == fingerprint(TABLE, privileges).digest
