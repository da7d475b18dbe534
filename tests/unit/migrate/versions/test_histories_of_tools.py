"""What a tool's rows say of the files, tool by tool."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dbopsd.migrate.versions.adopt.checksums import atlas_sums, flyway_crc32
from dbopsd.migrate.versions.adopt.errors import HistoryUnclear
from dbopsd.migrate.versions.adopt.history import History, Recorded
from dbopsd.migrate.versions.adopt.registry import ADOPTABLE
from dbopsd.migrate.versions.model.ledger_run import Result
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile
from dbopsd.migrate.versions.model.requests import Tool
from tests.support.migration_files import folder, migration

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE, TWO, THREE = (migration(f"00{number}", f"SELECT {number};\n") for number in (1, 2, 3))


def understand(tool: Tool, rows: Iterable[tuple[Any, ...]], files: Folder) -> History:
    return ADOPTABLE[tool].understand(list(rows), files)


def shown(history: History) -> list[tuple[str, str, Result, bool | None]]:
    """Version, path, result and agreement of each."""
    return [_shown(each) for each in history.recorded]


def _shown(each: Recorded) -> tuple[str, str, Result, bool | None]:
    return each.version, each.file.up.path if each.file else "", each.result, each.agrees


def at_path(file: MigrationFile, path: str) -> MigrationFile:
    return replace(file, up=replace(file.up, path=path))


def test_every_tool_of_the_contract_has_a_file() -> None:
    assert set(ADOPTABLE) == set(Tool)


class TestGolangMigrate:
    def test_every_file_up_to_the_version_is_applied(self) -> None:
        history = understand(Tool.GOLANG_MIGRATE, [(2, False)], folder(ONE, TWO, THREE))
        assert shown(history) == [
            ("001", "001_m001.sql", Result.DONE, None),
            ("002", "002_m002.sql", Result.DONE, None),
        ]
        assert "newest version only" in history.notes[0]

    def test_a_dirty_version_is_interrupted(self) -> None:
        history = understand(Tool.GOLANG_MIGRATE, [(2, True)], folder(ONE, TWO, THREE))
        assert [each[2] for each in shown(history)] == [Result.DONE, Result.INTERRUPTED]

    def test_a_version_without_a_file_is_unknown(self) -> None:
        history = understand(Tool.GOLANG_MIGRATE, [(7, False)], folder(ONE))
        assert [each[:2] for each in shown(history)] == [("001", "001_m001.sql"), ("7", "")]

    def test_an_empty_table_has_nothing(self) -> None:
        assert understand(Tool.GOLANG_MIGRATE, [], folder(ONE)).recorded == ()

    def test_more_rows_are_not_its_own(self) -> None:
        with pytest.raises(HistoryUnclear):
            understand(Tool.GOLANG_MIGRATE, [(1, False), (2, False)], folder(ONE))


class TestFlyway:
    def row(self, version: str | None, file: MigrationFile | None = None, **changes: Any) -> Any:
        values = {
            "description": "m",
            "type": "SQL",
            "checksum": flyway_crc32(file.content.decode()) if file else None,
            "by": "ann",
            "on": AT,
            "took_ms": 1500,
            "success": True,
        }
        return version, *(values | changes).values()

    def test_the_last_row_of_a_version_says_what_is_so(self) -> None:
        rows = [
            self.row("1", ONE),
            self.row("2", TWO),
            self.row("1", type="UNDO_SQL"),
            self.row("2", type="DELETE"),
            self.row("1.0", ONE),
            self.row("3", THREE),
            self.row("3", type="UNDO_SQL"),
        ]
        history = understand(Tool.FLYWAY, rows, folder(ONE, TWO, THREE))
        assert shown(history) == [("1.0", "001_m001.sql", Result.DONE, True)]
        (one,) = history.recorded
        assert (one.who, one.finished_at, one.started_at) == (
            "ann",
            AT,
            datetime(2026, 1, 1, 11, 59, 58, 500_000, tzinfo=UTC),
        )

    def test_a_baseline_claims_all_up_to_it(self) -> None:
        rows = [self.row("2", type="BASELINE"), self.row("3", THREE)]
        history = understand(Tool.FLYWAY, rows, folder(ONE, TWO, THREE))
        assert [(each[1], each[3]) for each in shown(history)] == [
            ("001_m001.sql", None),
            ("002_m002.sql", None),
            ("003_m003.sql", True),
        ]
        assert "baseline" in history.notes[1]

    @pytest.mark.parametrize(
        ("transactional", "result"), [(True, Result.FAILED), (False, Result.INTERRUPTED)]
    )
    def test_what_failed_in_a_transaction_left_nothing(
        self, transactional: bool, result: Result
    ) -> None:
        file = migration("1", transactional=transactional)
        history = understand(Tool.FLYWAY, [self.row("1", file, success=False)], folder(file))
        assert [each[2] for each in shown(history)] == [result]

    def test_a_changed_file_differs(self) -> None:
        history = understand(Tool.FLYWAY, [self.row("1", TWO)], folder(ONE))
        assert [each[3] for each in shown(history)] == [False]

    def test_java_is_no_file(self) -> None:
        history = understand(Tool.FLYWAY, [self.row("5", type="JDBC")], folder(ONE))
        assert [each.problem for each in history.recorded if each.file is None] == [
            "Flyway has it as a migration of the type JDBC, which is no SQL"
        ]

    @pytest.mark.parametrize("version", ["9" * 5_000, "1." + "9" * 5_000])
    def test_a_version_that_no_file_can_have_is_unknown(self, version: str) -> None:
        history = understand(Tool.FLYWAY, [self.row(version)], folder(ONE))
        assert [each[:2] for each in shown(history)] == [(version, "")]

    def test_a_repeatable_one_is_found_by_its_description(self) -> None:
        file = migration("user_names", "CREATE VIEW v AS SELECT 1;", repeatable=True)
        rows = [
            self.row(None, ONE, description="user names"),
            self.row(None, file, description="user names"),
        ]
        assert [each[3] for each in shown(understand(Tool.FLYWAY, rows, folder(file)))] == [True]

    def test_placeholders_make_a_checksum_that_cannot_be_compared(self) -> None:
        file = migration("views", "CREATE VIEW ${name} AS SELECT 1;", repeatable=True)
        replaced = replace(file, up=replace(file.up, text="CREATE VIEW v AS SELECT 1;"))
        rows = [self.row(None, description="views", checksum=flyway_crc32(replaced.up.text))]
        assert [each[3] for each in shown(understand(Tool.FLYWAY, rows, folder(replaced)))] == [
            True
        ]
        assert [each[3] for each in shown(understand(Tool.FLYWAY, rows, folder(file)))] == [None]


class TestSqlx:
    def row(self, file: MigrationFile, content: bytes, *, success: bool = True) -> Any:
        digest = hashlib.sha384(content).digest()
        return int(file.version), "m", AT, success, digest, 1_500_000_000

    @pytest.mark.parametrize(
        ("content", "agrees"), [(b"SELECT 1;\n", True), (b"SELECT 1;\r\n", True), (b"x", False)]
    )
    def test_line_ends_make_no_difference(self, content: bytes, agrees: bool) -> None:
        (one,) = understand(Tool.SQLX, [self.row(ONE, content)], folder(ONE)).recorded
        assert one.agrees is agrees
        assert one.finished_at is not None
        assert (one.finished_at - AT).total_seconds() == 1.5

    def test_one_without_success_is_interrupted(self) -> None:
        rows = [self.row(ONE, ONE.content, success=False)]
        assert [each[2] for each in shown(understand(Tool.SQLX, rows, folder(ONE)))] == [
            Result.INTERRUPTED
        ]


class TestPrisma:
    FILE = at_path(ONE, "20240101_one/migration.sql")

    def row(self, name: str = "20240101_one", **changes: Any) -> Any:
        values = {
            "checksum": hashlib.sha256(ONE.content).hexdigest(),
            "started_at": AT,
            "finished_at": AT,
            "rolled_back_at": None,
            "logs": None,
            "steps": 1,
            "each_by_itself": False,
        }
        return name, *(values | changes).values()

    @pytest.mark.parametrize(
        ("rows", "result"),
        [
            ([{"finished_at": None, "logs": "Error: no"}], Result.FAILED),
            ([{"finished_at": None}], Result.INTERRUPTED),
            ([{"finished_at": None, "rolled_back_at": AT}, {}], Result.DONE),
            ([{"finished_at": None, "logs": "Error: no"}, {}], Result.DONE),
        ],
    )
    def test_the_attempt_that_counts(self, rows: list[dict[str, Any]], result: Result) -> None:
        history = understand(Tool.PRISMA, [self.row(**row) for row in rows], folder(self.FILE))
        assert [each[2] for each in shown(history)] == [result]

    def test_what_an_adapter_ran_statement_by_statement_may_have_left_something(self) -> None:
        row: dict[str, Any] = {"finished_at": None, "logs": "Error: no", "each_by_itself": True}
        two = at_path(migration("001", "SELECT 1;\nSELECT 2;\n"), "20240101_one/migration.sql")
        two = replace(two, up=replace(two.up, statements=2))
        of_two = self.row(**row, checksum=hashlib.sha256(two.content).hexdigest())
        one = replace(self.FILE, up=replace(self.FILE.up, statements=1))
        for file, recorded, result in (
            (two, of_two, Result.INTERRUPTED),
            (one, self.row(**row), Result.FAILED),
            (one, of_two, Result.INTERRUPTED),  # it was another file that failed
        ):
            history = understand(Tool.PRISMA, [recorded], folder(file))
            assert [each[2] for each in shown(history)] == [result]

    def test_what_the_database_said_may_quote_rows_and_is_not_told(self) -> None:
        row = self.row(finished_at=None, logs='Database error:\ninvalid input syntax: "123-45"')
        (one,) = understand(Tool.PRISMA, [row], folder(self.FILE)).recorded
        assert one.problem.startswith("Prisma has it as failed: the column logs ")
        assert "123-45" not in one.problem

    def test_one_that_was_rolled_back_is_nothing(self) -> None:
        rows = [self.row(finished_at=None, rolled_back_at=AT)]
        assert understand(Tool.PRISMA, rows, folder(self.FILE)).recorded == ()

    def test_old_checksums_have_no_leading_zeros(self) -> None:
        old = "".join(f"{byte:x}" for byte in hashlib.sha256(ONE.content).digest())
        assert len(old) < 64
        (one,) = understand(Tool.PRISMA, [self.row(checksum=old)], folder(self.FILE)).recorded
        assert one.agrees is True

    def test_one_that_was_declared_applied_is_told(self) -> None:
        history = understand(Tool.PRISMA, [self.row(steps=0)], folder(self.FILE))
        assert "1 of them Prisma did not run" in history.notes[1]


class TestDrizzle:
    def test_the_hash_decides_and_the_journal_finds_what_was_changed(self, tmp_path: Path) -> None:
        (tmp_path / "meta").mkdir()
        (tmp_path / "meta" / "_journal.json").write_text(
            '{"entries": [{"tag": "0001_b", "when": 1700000000000}]}'
        )
        one, two = at_path(ONE, "0000_a.sql"), at_path(TWO, "0001_b.sql")
        files = replace(folder(one, two), directory=str(tmp_path))
        rows = [
            (hashlib.sha256(ONE.content).hexdigest(), 1600000000000, None, None),
            ("0" * 64, 1700000000000, None, None),
            ("1" * 64, 1800000000000, None, None),
        ]
        assert [each[1::2] for each in shown(understand(Tool.DRIZZLE, rows, files))] == [
            ("0000_a.sql", True),
            ("0001_b.sql", False),
            ("", None),
        ]

    @pytest.mark.parametrize("journal", [None, "[]", "{", '{"entries": [{}]}'])
    def test_without_a_journal_a_changed_file_is_unknown(
        self, tmp_path: Path, journal: str | None
    ) -> None:
        if journal is not None:
            (tmp_path / "meta").mkdir()
            (tmp_path / "meta" / "_journal.json").write_text(journal)
        files = replace(folder(at_path(ONE, "0000_a.sql")), directory=str(tmp_path))
        history = understand(Tool.DRIZZLE, [("0" * 64, 1700000000000, None, None)], files)
        assert [each[1] for each in shown(history)] == [""]

    def test_a_name_goes_before_the_hash(self) -> None:
        digest = hashlib.sha256(ONE.content).hexdigest()
        rows = [(digest, 1, "002", AT), (digest, 1, "009", AT)]
        history = understand(Tool.DRIZZLE, rows, folder(ONE, TWO))
        assert shown(history) == [
            ("002", "002_m002.sql", Result.DONE, False),
            ("009", "", Result.DONE, None),
        ]
        assert history.recorded[0].finished_at == AT


class TestAtlas:
    FILES = (ONE, TWO, THREE)

    def rows(self, files: Iterable[MigrationFile], **changes: Any) -> list[Any]:
        files = list(files)
        sums = atlas_sums((file.up.path, file.content) for file in files)
        values = {"type": 2, "applied": 1, "total": 1, "at": AT, "took_ns": 10**9, "error": None}
        return [
            (file.version, "m", *(values | changes).values(), sums[file.up.path]) for file in files
        ]

    def test_one_that_was_mended_and_finished_keeps_its_error_and_its_first_hash(self) -> None:
        failed = migration("002", "SELECT 1/0;\n")
        one, _, three = self.rows(self.FILES)
        (_, two) = self.rows([ONE, failed], error="division by zero")
        history = understand(Tool.ATLAS, [one, two, three], folder(*self.FILES))
        assert [each[2:] for each in shown(history)] == [
            (Result.DONE, True),
            (Result.DONE, None),
            (Result.DONE, True),
        ]

    def test_what_follows_a_baseline_is_compared(self) -> None:
        (_, two, three) = self.rows(self.FILES)
        baseline = (*two[:2], 1, *two[3:-1], "")
        for file, agrees in ((THREE, True), (migration("003", "SELECT 0;\n"), None)):
            history = understand(Tool.ATLAS, [baseline, three], folder(ONE, TWO, file))
            assert [each[3] for each in shown(history)] == [None, None, agrees]

    def test_nothing_after_the_first_that_differs_can_be_compared(self) -> None:
        changed = migration("002", "SELECT 0;\n")
        history = understand(Tool.ATLAS, self.rows(self.FILES), folder(ONE, changed, THREE))
        assert [each[3] for each in shown(history)] == [True, False, None]

    def test_a_file_in_between_that_was_not_applied_may_be_what_differs(self) -> None:
        history = understand(Tool.ATLAS, self.rows([ONE, THREE]), folder(*self.FILES))
        assert [each[3] for each in shown(history)] == [True, None]

    def test_one_that_is_not_complete_is_interrupted(self) -> None:
        rows = self.rows([ONE], applied=2, total=3, error='Error:\npq: "123-45"')
        (one,) = understand(Tool.ATLAS, rows, folder(ONE)).recorded
        assert (one.result, one.statements_done, one.statements) == (Result.INTERRUPTED, 2, 3)
        assert one.problem.startswith("Atlas did 2 of its 3 statements: the column error ")
        assert "123-45" not in one.problem

    def test_a_baseline_claims_all_up_to_it(self) -> None:
        history = understand(Tool.ATLAS, self.rows([TWO], type=1), folder(*self.FILES))
        assert [each[0] for each in shown(history)] == ["001", "002"]
        assert "baseline" in history.notes[1]

    def test_its_hash_is_the_files_name_and_bytes(self) -> None:
        digest = hashlib.sha256(b"001_m001.sqlSELECT 1;\n").digest()
        assert self.rows([ONE])[0][-1] == base64.b64encode(digest).decode()


class TestVersionsOnly:
    def test_dbmates_are_text(self) -> None:
        history = understand(Tool.DBMATE, [("3",), ("001",)], folder(ONE, THREE))
        assert [each[:2] for each in shown(history)] == [("001", "001_m001.sql"), ("3", "")]

    def test_rails_are_numbers(self) -> None:
        history = understand(Tool.RAILS, [("3",), ("001",), ("x",)], folder(ONE, THREE))
        assert [each[:2] for each in shown(history)] == [
            ("001", "001_m001.sql"),
            ("3", "003_m003.sql"),
            ("x", ""),
        ]

    def test_diesels_own_first_row_is_no_migration(self) -> None:
        rows = [("00000000000000", AT), ("001", AT), ("9", AT)]
        history = understand(Tool.DIESEL, rows, folder(ONE))
        assert [each[:2] for each in shown(history)] == [("001", "001_m001.sql"), ("9", "")]
