"""What statements are read as that run outside transactions."""

import pytest

from dbopsd.migrate.versions.apply.statement_kinds import (
    ExistenceChange,
    IndexBuild,
    IndexDrop,
    IndexRebuild,
    Name,
    PartitionDetach,
    PublicationChange,
    Repeatable,
    SettingChange,
    StatementKind,
    read_kind,
)

T = Name("", "t")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (x)", IndexBuild(T, "i", True, False)),
        (
            'create unique index concurrently if not exists "I i" on only a."T" (x) where y > 0',
            IndexBuild(Name("a", "T"), "I i", True, True, unique=True, only=True),
        ),
        ("CREATE INDEX ON t (lower(x))", IndexBuild(T, "", False, False)),
        ("DROP INDEX CONCURRENTLY IF EXISTS a.i", IndexDrop(Name("a", "i"))),
        ("DROP INDEX i", None),
        ("DROP TABLE t", None),
        ("REINDEX (VERBOSE, CONCURRENTLY) TABLE t", IndexRebuild("TABLE", T, True)),
        ("REINDEX INDEX CONCURRENTLY a.i", IndexRebuild("INDEX", Name("a", "i"), True)),
        ("REINDEX SCHEMA CONCURRENTLY a", IndexRebuild("SCHEMA", Name("", "a"), True)),
        ("REINDEX DATABASE", IndexRebuild("DATABASE", None, False)),
        (
            "ALTER TABLE t DETACH PARTITION a.p CONCURRENTLY",
            PartitionDetach(T, Name("a", "p")),
        ),
        ("ALTER TABLE t DETACH PARTITION p", None),
        ("ALTER TABLE t ADD COLUMN x int", None),
        ("SET search_path = a", SettingChange()),
        ("RESET ROLE", SettingChange()),
        ("VACUUM (FULL) t", Repeatable()),
        ("ALTER SYSTEM SET work_mem = '4MB'", Repeatable()),
        ("CALL p()", None),
        ("DO $$ BEGIN COMMIT; END $$", None),
        ("CREATE DATABASE d", ExistenceChange("DATABASE", "d", True)),
        ("DROP DATABASE IF EXISTS d (FORCE)", ExistenceChange("DATABASE", "d", False)),
        ("CREATE TABLESPACE s LOCATION '/s'", ExistenceChange("TABLESPACE", "s", True)),
        ("DROP TABLESPACE s", ExistenceChange("TABLESPACE", "s", False)),
        (
            "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p",
            ExistenceChange("SUBSCRIPTION", "s", True),
        ),
        ("DROP SUBSCRIPTION s", ExistenceChange("SUBSCRIPTION", "s", False)),
        (
            "ALTER SUBSCRIPTION s ADD PUBLICATION p, q",
            PublicationChange("s", ("p", "q"), True),
        ),
        ("ALTER SUBSCRIPTION s DROP PUBLICATION p", PublicationChange("s", ("p",), False)),
        ("ALTER SUBSCRIPTION s REFRESH PUBLICATION", Repeatable()),
        ("CREATE INDEX i ON", None),
        ("CREATE INDEX i ON t ((x " + "|| 'a'" * 100_000 + "))", None),
        ("", None),
    ],
)
def test_a_statement_is_read_as(text: str, kind: StatementKind) -> None:
    assert read_kind(text) == kind


def test_names_are_quoted_as_the_catalog_is_asked() -> None:
    assert str(Name("a b", 'T"')) == '"a b"."T"""'
    assert str(Name("", "t")) == '"t"'
