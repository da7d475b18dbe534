"""dbopsd's own layout."""

import hashlib

from dbopsd.migrate.versions.model.migration import Phase
from tests.unit.migrate.versions.folder.conftest import ReadFiles


def test_files_apply_by_number_and_repeatable_ones_last(read_files: ReadFiles) -> None:
    folder = read_files(
        {
            "010_b.sql": "select 10;",
            "2_a.sql": "select 2;",
            "2_a_rollback.sql": "select -2;",
            "R_views.sql": "select 0;",
            "R_a.sql": "select 0;",
            "README.md": "",
            ".hidden.sql": "",
        }
    )
    assert folder.layout == "dbops"
    assert folder.problems == ()
    assert [each.key for each in folder.migrations] == ["2", "010", "R:a", "R:views"]
    first = folder.migrations[0]
    assert first.down is not None
    assert (first.name, first.up.text, first.down.text) == ("a", "select 2;", "select -2;")
    assert first.checksum == hashlib.sha256(b"select 2;").hexdigest()
    assert [each.repeatable for each in folder.migrations] == [False, False, True, True]


def test_directives_of_the_header(read_files: ReadFiles) -> None:
    text = """/* users */
-- dbops: transaction=off, phase=contract
-- dbops: lock_timeout=1.5s statement_timeout=10min
--dbops: allow=drop-table: it is empty
-- dbops: allow=drop-column: nobody reads it: really
drop table t;
"""
    folder = read_files({"1_a.sql": text})
    assert folder.problems == ()
    (migration,) = folder.migrations
    assert migration.phase is Phase.CONTRACT
    assert not migration.up.transactional
    assert migration.up.lock_timeout_ms == 1500
    assert migration.up.statement_timeout_s == 600
    assert migration.up.allowed == {
        "drop-table": "it is empty",
        "drop-column": "nobody reads it: really",
    }
