"""The methods of MigrateService about versioned migrations that start no operation."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from dbops.v1 import migrations_pb2

from dbopsd.errors import DatabaseNotFound, InvalidField
from dbopsd.migrate.versions.model.errors import MigrationsNotConfigured
from dbopsd.migrate.versions.model.migration import (
    Migration,
    MigrationList,
    MigrationProblem,
    MigrationSet,
    Phase,
    State,
)
from dbopsd.migrate.versions.model.requests import Resolution
from dbopsd.rpc.audit_fields import WITHHELD, compile_quoting
from tests.unit.rpc.migrate_service import migrate_service

MAIN = "databases/main"
APPLIED = Migration(
    "default",
    "001",
    "users",
    State.APPLIED,
    checksum="ab",
    applied_checksum="cd",
    transactional=True,
    phase=Phase.EXPAND,
    has_rollback=True,
    path="001_users.sql",
    apply_time=datetime(2026, 11, 30, 12, tzinfo=UTC),
    duration_s=0.5,
    applied_by="ann",
    operation="operations/apply-1",
    statements_done=3,
    statements=3,
)
REPEATABLE = Migration("default", "", "views", State.PENDING, repeatable=True)
PROBLEM = MigrationProblem(
    "NOT_UTF8", "byte 7 is not UTF-8", "default", "002", "002_x.sql", 1, 7, blocking=True
)


NOTHING = MigrationList()


@dataclass
class Reader:
    """Answers with a list, and keeps what it was asked."""

    found: MigrationList = NOTHING
    asked: list[Any] = field(default_factory=list)

    async def list(self, database: str, set_: str) -> MigrationList:
        self.asked.append((database, set_))
        return self.found

    async def resolve(
        self, database: str, set_: str, version: str, resolution: Resolution, **given: Any
    ) -> Migration:
        self.asked.append((database, set_, version, resolution, given))
        return APPLIED


def service(reader: Any = None) -> Any:
    return migrate_service(["main"], reader).servicer


def listing(count: int) -> MigrationList:
    states = (State.APPLIED, State.PENDING)
    return MigrationList(
        tuple(
            replace(APPLIED, version=f"{number:04}", state=states[number % 2])
            for number in range(count)
        )
    )


async def listed(reader: Reader, **fields: Any) -> migrations_pb2.ListMigrationsResponse:
    request = migrations_pb2.ListMigrationsRequest(parent=MAIN, **fields)
    found: migrations_pb2.ListMigrationsResponse = await service(reader).ListMigrations(
        request, None
    )
    return found


class TestList:
    async def test_everything_is_sent(self) -> None:
        sets = (MigrationSet("default", "dbops", "/srv/m", "001", 1),)
        reader = Reader(
            MigrationList((APPLIED, REPEATABLE), "001", 1, (PROBLEM,), "ff", True, sets)
        )
        found = await listed(reader, set="default")
        assert reader.asked == [("main", "default")]
        first, second = found.migrations
        assert (first.version, first.state, first.phase) == ("001", 2, 1)
        assert first.apply_time.ToDatetime(tzinfo=UTC) == APPLIED.apply_time
        assert (first.duration.ToMilliseconds(), first.statements_done) == (500, 3)
        assert (second.name, second.repeatable) == ("views", True)
        assert not second.HasField("apply_time")
        assert (found.current_version, found.pending, found.drifted) == ("001", 1, True)
        assert (found.problems[0].line, found.problems[0].blocking) == (1, True)
        assert (found.sets[0].layout, found.sets[0].directory) == ("dbops", "/srv/m")
        assert (found.fingerprint, found.next_page_token) == ("ff", "")

    async def test_a_page_has_a_thousand_if_it_is_not_said(self) -> None:
        reader = Reader(listing(1001))
        first = await listed(reader)
        assert len(first.migrations) == 1000
        second = await listed(reader, page_token=first.next_page_token)
        assert [each.version for each in second.migrations] == ["1000"]
        assert second.next_page_token == ""

    async def test_what_comes_in_between_moves_nothing(self) -> None:
        reader = Reader(listing(4))
        first = await listed(reader, page_size=2)
        earlier = replace(APPLIED, version="0000a")
        migrations = reader.found.migrations
        reader.found = MigrationList((migrations[0], earlier, *migrations[1:]))
        second = await listed(reader, page_size=2, page_token=first.next_page_token)
        assert [each.version for each in second.migrations] == ["0002", "0003"]

    async def test_pages_of_a_state_hold_its_migrations_once_each(self) -> None:
        reader = Reader(listing(9))
        seen, token = [], ""
        for _ in range(9):
            page = await listed(reader, states=["PENDING"], page_size=2, page_token=token)
            seen += [each.version for each in page.migrations]
            token = page.next_page_token
            if not token:
                break
        assert seen == ["0001", "0003", "0005", "0007"]

    async def test_what_is_pending_is_said_whatever_is_shown(self) -> None:
        found = await listed(Reader(MigrationList((APPLIED,), pending=3)), states=["FAILED"])
        assert (len(found.migrations), found.pending) == (0, 3)

    @pytest.mark.parametrize("number", [0, 99])
    async def test_a_state_that_is_none(self, number: int) -> None:
        with pytest.raises(InvalidField, match="is not known here"):
            await listed(Reader(), states=[number])

    async def test_a_token_of_another_list(self) -> None:
        first = await listed(Reader(listing(3)), page_size=1)
        with pytest.raises(InvalidField, match="page_token"):
            await listed(Reader(listing(3)), set="other", page_token=first.next_page_token)
        with pytest.raises(InvalidField, match="page_token"):
            await listed(Reader(MigrationList()), page_token=first.next_page_token)

    async def test_a_database_that_is_none_and_one_without_migrations(self) -> None:
        request = migrations_pb2.ListMigrationsRequest(parent="databases/x")
        with pytest.raises(DatabaseNotFound):
            await service(Reader()).ListMigrations(request, None)
        with pytest.raises(MigrationsNotConfigured, match=r"set databases\.main\.migrations_dir"):
            await service().ListMigrations(migrations_pb2.ListMigrationsRequest(parent=MAIN), None)


class TestResolve:
    async def resolve(self, reader: Reader, **fields: Any) -> Any:
        asked = {"version": "001", "resolution": "APPLIED", "reason": "by hand", **fields}
        request = migrations_pb2.ResolveMigrationRequest(name=MAIN, **asked)
        return await service(reader).ResolveMigration(request, None)

    async def test_everything_arrives(self) -> None:
        reader = Reader()
        found = await self.resolve(
            reader, set="a", resolution="NOT_APPLIED", validate_only=True, request_id="id-1"
        )
        assert found.version == "001"
        ((database, set_, version, resolution, given),) = reader.asked
        assert (database, set_, version, resolution) == (
            "main",
            "a",
            "001",
            Resolution.NOT_APPLIED,
        )
        assert given == {
            "reason": "by hand",
            "who": given["who"],
            "validate_only": True,
            "request_id": "id-1",
        }

    @pytest.mark.parametrize("request_id", ["x" * 65, "a\nb", "ü"])
    async def test_a_request_id_that_is_none(self, request_id: str) -> None:
        with pytest.raises(InvalidField, match="request_id"):
            await self.resolve(Reader(), request_id=request_id)

    async def test_a_version_that_is_longer_than_any(self) -> None:
        with pytest.raises(InvalidField, match="255"):
            await self.resolve(Reader(), set="a", version="1" * 256)

    @pytest.mark.parametrize("reason", [" ", "x" * 501, "two\nlines"])
    async def test_a_reason_that_is_none(self, reason: str) -> None:
        with pytest.raises(InvalidField, match="printable"):
            await self.resolve(Reader(), reason=reason)

    async def test_a_resolution_that_is_none(self) -> None:
        with pytest.raises(InvalidField, match="resolution"):
            await self.resolve(Reader(), resolution=9)


def quoted(request: Any) -> dict[str, str]:
    return dict(compile_quoting(request.DESCRIPTOR)(request).resource)


class TestAudit:
    def test_the_log_says_why_findings_were_overridden(self) -> None:
        request = migrations_pb2.ApplyMigrationsRequest(
            name=MAIN, set="a", override_findings="the table is empty"
        )
        assert quoted(request) == {
            "name": MAIN,
            "set": "a",
            "override_findings": "the table is empty",
        }
        request.override_findings = "two\nlines"
        assert quoted(request)["override_findings"] == WITHHELD

    def test_the_log_says_which_migration_was_resolved_and_why(self) -> None:
        request = migrations_pb2.ResolveMigrationRequest(
            name=MAIN, version="20260108_x", reason="by hand"
        )
        assert quoted(request) == {"name": MAIN, "version": "20260108_x", "reason": "by hand"}
        request.version = "'; DROP"
        assert quoted(request)["version"] == WITHHELD

    def test_the_log_says_what_was_baselined_and_why(self) -> None:
        request = migrations_pb2.BaselineMigrationsRequest(name=MAIN, to="004", reason="a dump")
        assert quoted(request) == {"name": MAIN, "to": "004", "reason": "a dump"}
        request.reason = "x" * 501
        assert quoted(request)["reason"] == WITHHELD
