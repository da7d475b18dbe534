"""`dbops.v1.MigrateService` on a control store, without any worker."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from dbops.v1 import migrate_pb2, migrate_pb2_grpc
from google.longrunning import operations_pb2 as longrunning_pb2
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from pydantic import TypeAdapter

from dbopsd.app.features import IMPORTER, MIGRATIONS
from dbopsd.config import ServerConfig
from dbopsd.health.board import HealthBoard
from dbopsd.migrate.importer.model.plan import Fate, PlannedObject
from dbopsd.migrate.importer.model.report import (
    Difference,
    ImportPlan,
    ImportReport,
    ImportStage,
    Outcome,
    PlannedColumnReport,
    PlannedTableReport,
    RejectCount,
    RejectedValue,
    RevertedTable,
    RevertReport,
    TableReport,
    VerifyReport,
)
from dbopsd.migrate.importer.model.requests import (
    BadRows,
    IdentifierCase,
    ImportRequest,
    Integrity,
    Mode,
    RevertImportRequest,
    RunImportRequest,
    Target,
    VerifyImportRequest,
)
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.record import Failure, Operation
from dbopsd.rpc.server import RpcServer
from dbopsd.security.access import Access
from tests.unit.rpc.answers import refused
from tests.unit.rpc.api import AUTH, metadata_of
from tests.unit.rpc.conftest import Kept
from tests.unit.rpc.desk import Desk
from tests.unit.rpc.migrate_service import migrate_service

METHODS = (*IMPORTER.methods, *MIGRATIONS.methods)
MAIN = "databases/main"
FILE = "/srv/app.db"
Run = migrate_pb2.RunImportRequest
TABLE = TableReport(
    "user",
    "users",
    rows=10,
    copied_rows=9,
    copied_bytes=1234,
    rejected_rows=1,
    changed_values=2,
    copy_duration_s=1.5,
    verified_rows=9,
    differing_rows=3,
    merged_rows=4,
    deleted_rows=5,
)
TABLE_MESSAGE = migrate_pb2.ImportedTable(
    source="user",
    target="users",
    rows=10,
    copied_rows=9,
    copied_bytes=1234,
    rejected_rows=1,
    changed_values=2,
    copy_duration=Duration(seconds=1, nanos=500_000_000),
    verified_rows=9,
    differing_rows=3,
    merged_rows=4,
    deleted_rows=5,
)
OBJECT = PlannedObject("index", "by_name", Fate.CHANGED, "NOCASE", "CREATE INDEX …", "user")
OBJECT_MESSAGE = migrate_pb2.ImportObject(
    kind="index",
    name="by_name",
    fate=migrate_pb2.ImportObject.CHANGED,
    reason="NOCASE",
    ddl="CREATE INDEX …",
    table="user",
)
DIFFERENCE = Difference("user", "name", "id=1", "'a'", "'b'")
DIFFERENCE_MESSAGE = migrate_pb2.ImportDifference(
    table="user", column="name", key="id=1", source="'a'", target="'b'"
)


class Imports:
    """Calls MigrateService as `caller`, and moves its operations on as a worker would."""

    def __init__(self, channel: grpc.aio.Channel, desk: Desk, caller: str = "admin") -> None:
        self._with: Any = {"metadata": (("authorization", f"Bearer {caller}"),)}
        self._service = migrate_pb2_grpc.MigrateServiceStub(channel)
        self._operations = longrunning_pb2_grpc.OperationsStub(channel)
        self._channel = channel
        self.desk = desk

    def as_caller(self, caller: str) -> "Imports":
        return Imports(self._channel, self.desk, caller)

    def plan(self, **fields: Any) -> Any:
        request = migrate_pb2.PlanImportRequest(**{"name": MAIN, "source": FILE, **fields})
        return self._service.PlanImport(request, **self._with)

    def run(self, **fields: Any) -> Any:
        request = Run(**{"name": MAIN, "source": FILE, **fields})
        return self._service.RunImport(request, **self._with)

    def verify(self, **fields: Any) -> Any:
        fields = {"name": MAIN, "operation": "operations/run-import-1", **fields}
        return self._service.VerifyImport(migrate_pb2.VerifyImportRequest(**fields), **self._with)

    def revert(self, **fields: Any) -> Any:
        fields = {"name": MAIN, "operation": "operations/run-import-1", **fields}
        return self._service.RevertImport(migrate_pb2.RevertImportRequest(**fields), **self._with)

    def call(self, method: str, **fields: Any) -> Any:
        return getattr(self, method)(**fields)

    async def get(self, name: str) -> Any:
        request = longrunning_pb2.GetOperationRequest(name=name)
        return await self._operations.GetOperation(request, **self._with)

    async def kept(self, started: longrunning_pb2.Operation) -> Operation:
        return await self.desk.operations.get(started.name.removeprefix("operations/"))

    async def asked(self, started: longrunning_pb2.Operation, request_type: Any) -> Any:
        """The request as a worker reads it."""
        kept = await self.kept(started)
        return TypeAdapter(request_type).validate_json(kept.request)

    async def ended_with(self, started: longrunning_pb2.Operation, result: Any) -> Any:
        begun = await self.desk.begin(await self.kept(started))
        await self.desk.succeed(begun, TypeAdapter(type(result)).dump_json(result).decode())
        return await self.get(started.name)


@pytest.fixture
async def imports(databases: HealthBoard, kept: Kept, tmp_path: Path) -> AsyncIterator[Imports]:
    """To a server whose callers are those of `AUTH`."""
    threads = AsyncControlStore(None, tmp_path / "control" / "control.db", kept.telemetry.tracer)
    desk = Desk(threads, [method.kind for method in METHODS])
    config = ServerConfig(grpc_listen="127.0.0.1:0")
    rpc = RpcServer(
        config,
        databases,
        kept.telemetry,
        access=Access.load(config, AUTH),
        operations=desk.operations,
        services=[migrate_service(["main"])],
        operation_methods=METHODS,
    )
    port = await rpc.start()
    databases.accept()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Imports(channel, desk)
    desk.operations.drain()
    await rpc.stop(0)
    await desk.operations.close()


class TestWhatIsAsked:
    async def test_what_is_not_set_is_the_default(self, imports: Imports) -> None:
        started = await imports.plan()
        assert metadata_of(started).kind == "plan-import"
        assert await imports.asked(started, ImportRequest) == ImportRequest(FILE)
        started = await imports.run()
        assert metadata_of(started).kind == "run-import"
        assert await imports.asked(started, RunImportRequest) == RunImportRequest(FILE)

    async def test_everything_arrives(self, imports: Imports) -> None:
        fields = {
            "schema": "app",
            "target": Run.EXISTING,
            "mode": Run.UPSERT,
            "tables": ["a", "b"],
            "exclude_tables": ["c"],
            "bad_rows": Run.QUARANTINE,
            "integrity": Run.FULL,
            "identifier_case": Run.LOWER,
            "mapping": "[tables]",
            "max_examples": 0,
        }
        expected = {
            "schema": "app",
            "target": Target.EXISTING,
            "mode": Mode.UPSERT,
            "tables": ("a", "b"),
            "exclude_tables": ("c",),
            "bad_rows": BadRows.QUARANTINE,
            "integrity": Integrity.FULL,
            "identifier_case": IdentifierCase.LOWER,
            "mapping": "[tables]",
            "max_examples": 0,
        }
        started = await imports.plan(**fields)
        assert await imports.asked(started, ImportRequest) == ImportRequest(FILE, **expected)
        started = await imports.run(processes=3, skip_verification=True, **fields)
        assert await imports.asked(started, RunImportRequest) == RunImportRequest(
            FILE, processes=3, skip_verification=True, **expected
        )

    @pytest.mark.parametrize(
        ("field", "numbers", "meant"),
        [
            ("mode", (0, 1, 2, 3), (Mode.REPLACE, *Mode)),
            ("target", (0, 1, 2), (Target.CREATE, *Target)),
            ("bad_rows", (0, 1, 2), (BadRows.FAIL, *BadRows)),
            ("integrity", (0, 1, 2, 3), (Integrity.QUICK, *Integrity)),
            ("identifier_case", (0, 1, 2), (IdentifierCase.PRESERVE, *IdentifierCase)),
        ],
    )
    async def test_each_value_of_an_enum_means_its_own(
        self, imports: Imports, field: str, numbers: Any, meant: Any
    ) -> None:
        values = Run.DESCRIPTOR.fields_by_name[field].enum_type.values
        assert [value.number for value in values] == list(numbers)
        found = []
        for number in numbers:
            asked = await imports.asked(await imports.plan(**{field: number}), ImportRequest)
            found.append(getattr(asked, field))
        assert tuple(found) == meant
        assert [each.name for each in found[1:]] == [value.name for value in values[1:]]

    async def test_an_import_is_named_by_its_operation(self, imports: Imports) -> None:
        started = await imports.verify(source="/srv/other.db", max_examples=7)
        assert await imports.asked(started, VerifyImportRequest) == VerifyImportRequest(
            "run-import-1", "/srv/other.db", 7
        )
        started = await imports.verify()
        assert await imports.asked(started, VerifyImportRequest) == VerifyImportRequest(
            "run-import-1"
        )
        started = await imports.revert()
        assert await imports.asked(started, RevertImportRequest) == RevertImportRequest(
            "run-import-1"
        )

    @pytest.mark.parametrize("method", ["plan", "run", "verify", "revert"])
    async def test_each_takes_an_id_a_deadline_and_validate_only(
        self, imports: Imports, method: str
    ) -> None:
        timeout = Duration(seconds=60, nanos=500_000_000)
        asked = {"request_id": "r-1", "timeout": timeout}
        validated = await imports.call(method, validate_only=True, **asked)
        assert (validated.name, validated.done) == ("", True)
        first = await imports.call(method, **asked)
        assert (await imports.call(method, **asked)).name == first.name
        found = metadata_of(first)
        took = found.deadline_time.ToNanoseconds() - found.create_time.ToNanoseconds()
        assert abs(took - timeout.ToNanoseconds()) < 2_000


class TestRefused:
    @pytest.mark.parametrize("validate_only", [False, True])
    @pytest.mark.parametrize(
        ("method", "fields", "field"),
        [
            ("plan", {"name": ""}, "name"),
            ("plan", {"name": "main"}, "name"),
            ("run", {"source": ""}, "source"),
            ("run", {"source": " "}, "source"),
            ("run", {"schema": " "}, "schema"),
            ("run", {"schema": "a\0b"}, "schema"),
            ("run", {"schema": "ü" * 32}, "schema"),
            ("run", {"schema": "pg_temp"}, "schema"),
            ("run", {"schema": "information_schema"}, "schema"),
            ("plan", {"mode": 4}, "mode"),
            ("plan", {"target": 3}, "target"),
            ("plan", {"bad_rows": -1}, "bad_rows"),
            ("plan", {"integrity": 9}, "integrity"),
            ("plan", {"identifier_case": 3}, "identifier_case"),
            ("run", {"delete_missing": True}, "delete_missing"),
            ("run", {"delete_missing": True, "mode": Run.APPEND}, "delete_missing"),
            (
                "run",
                {"delete_missing": True, "mode": Run.UPSERT, "bad_rows": Run.QUARANTINE},
                "delete_missing",
            ),
            ("plan", {"schema": "dbops"}, "schema"),
            ("run", {"schema": "dbops_old_7f3a"}, "schema"),
            ("plan", {"tables": ["a", ""]}, "tables[1]"),
            ("plan", {"exclude_tables": [""]}, "exclude_tables[0]"),
            ("plan", {"max_examples": -1}, "max_examples"),
            ("run", {"max_examples": 10_001}, "max_examples"),
            ("verify", {"max_examples": 10_001}, "max_examples"),
            ("run", {"processes": -1}, "processes"),
            ("run", {"processes": 65}, "processes"),
            ("verify", {"operation": ""}, "operation"),
            ("verify", {"operation": "run-import-1"}, "operation"),
            ("revert", {"operation": "operations/a/b"}, "operation"),
            ("revert", {"timeout": Duration()}, "timeout"),
            ("run", {"request_id": "é"}, "request_id"),
        ],
    )
    async def test_a_field_that_cannot_be(
        self, imports: Imports, method: str, fields: Any, field: str, validate_only: bool
    ) -> None:
        answer = await refused(imports.call(method, validate_only=validate_only, **fields))
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_FIELD",
        )
        assert answer.metadata["field"] == field

    @pytest.mark.parametrize("fields", [{"schema": "x" * 63}, {"max_examples": 10_000}])
    async def test_the_largest_that_can_be(self, imports: Imports, fields: Any) -> None:
        assert (await imports.plan(**fields)).name
        assert (await imports.run(processes=64, **fields)).name

    async def test_a_database_that_there_is_not(self, imports: Imports) -> None:
        answer = await refused(imports.plan(name="databases/x"))
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "DATABASE_NOT_FOUND",
        )

    async def test_a_second_import_beside_the_first(self, imports: Imports) -> None:
        first = await imports.run()
        answer = await refused(imports.run(schema="other"))
        assert answer.reason == "OPERATION_IN_THE_WAY"
        assert answer.metadata["operation"] == first.name

    @pytest.mark.parametrize("method", ["plan", "run", "verify", "revert"])
    async def test_who_may_what(self, imports: Imports, method: str) -> None:
        changes = method in ("run", "revert")
        for caller in ("viewer", "other-viewer", "main-viewer"):
            answer = await refused(imports.as_caller(caller).call(method))
            assert answer.code is grpc.StatusCode.PERMISSION_DENIED, caller
        for caller in ("operator", "main-operator"):
            call = imports.as_caller(caller).call(method)
            if changes:
                assert (await refused(call)).code is grpc.StatusCode.PERMISSION_DENIED, caller
            else:
                assert (await call).name
        assert (await imports.as_caller("main-admin").call(method)).name


class TestWhatIsTold:
    async def test_a_plan(self, imports: Imports) -> None:
        column = PlannedColumnReport("id", "id", "bigint", "integer", "INTEGER PRIMARY KEY")
        plan = ImportPlan(
            source=FILE,
            schema="app",
            mapping="[tables.user]",
            tables=[PlannedTableReport("user", "users", 10, [column])],
            objects=[OBJECT],
            notes=["a note"],
            rows=10,
            source_size_bytes=4096,
            estimated_duration_s=0.25,
            estimated_bytes=8192,
        )
        ended = await imports.ended_with(await imports.plan(), plan)
        found = migrate_pb2.ImportPlan()
        assert ended.response.Unpack(found)
        assert found == migrate_pb2.ImportPlan(
            source=FILE,
            schema="app",
            mapping="[tables.user]",
            tables=[
                migrate_pb2.PlannedImportTable(
                    source="user",
                    target="users",
                    rows=10,
                    columns=[
                        migrate_pb2.PlannedImportColumn(
                            source="id",
                            target="id",
                            type="bigint",
                            conversion="integer",
                            evidence="INTEGER PRIMARY KEY",
                        )
                    ],
                )
            ],
            objects=[OBJECT_MESSAGE],
            notes=["a note"],
            rows=10,
            source_size_bytes=4096,
            estimated_duration=Duration(nanos=250_000_000),
            estimated_bytes=8192,
        )

    @staticmethod
    def report(outcome: Outcome) -> ImportReport:
        return ImportReport(
            import_id="run-import-1",
            outcome=outcome,
            source=FILE,
            schema="app",
            tables=[TABLE],
            objects=[OBJECT],
            reject_counts=[RejectCount("user", "age", "NOT_AN_INTEGER", 1)],
            rejects=[RejectedValue("user", "age", "id=7", "NOT_AN_INTEGER", "'old'")],
            differences=[DIFFERENCE],
            notes=["a note"],
            problem="one value does not arrive",
            rows=10,
            copied_rows=9,
            rejected_rows=1,
            verified_rows=8,
            stages=[ImportStage("snapshot", 0.5), ImportStage("copy", 2.0)],
            rejects_table="app.rejects",
            rejects_file="/srv/rejects/run-import-1.jsonl",
            previous_schema="app_before",
        )

    @staticmethod
    def message(outcome: Any) -> migrate_pb2.ImportReport:
        return migrate_pb2.ImportReport(
            operation="operations/run-import-1",
            outcome=outcome,
            source=FILE,
            schema="app",
            tables=[TABLE_MESSAGE],
            objects=[OBJECT_MESSAGE],
            reject_counts=[
                migrate_pb2.RejectCount(
                    table="user", column="age", reason="NOT_AN_INTEGER", count=1
                )
            ],
            rejects=[
                migrate_pb2.RejectedValue(
                    table="user", column="age", key="id=7", reason="NOT_AN_INTEGER", value="'old'"
                )
            ],
            differences=[DIFFERENCE_MESSAGE],
            notes=["a note"],
            problem="one value does not arrive",
            rows=10,
            copied_rows=9,
            rejected_rows=1,
            verified_rows=8,
            stages=[
                migrate_pb2.ImportStage(stage="snapshot", duration=Duration(nanos=500_000_000)),
                migrate_pb2.ImportStage(stage="copy", duration=Duration(seconds=2)),
            ],
            rejects_table="app.rejects",
            rejects_file="/srv/rejects/run-import-1.jsonl",
            previous_schema="app_before",
        )

    @pytest.mark.parametrize("outcome", Outcome)
    async def test_a_report(self, imports: Imports, outcome: Outcome) -> None:
        ended = await imports.ended_with(await imports.run(), self.report(outcome))
        found = migrate_pb2.ImportReport()
        assert ended.response.Unpack(found)
        assert found == self.message(migrate_pb2.ImportReport.Outcome.Value(outcome.name))

    async def test_the_report_of_one_that_failed_is_among_the_errors_details(
        self, imports: Imports
    ) -> None:
        started = await imports.run()
        report = TypeAdapter(ImportReport).dump_json(self.report(Outcome.FAILED)).decode()
        failure = Failure("FAILED_PRECONDITION", "ROWS_REJECTED", "one row", result=report)
        await imports.desk.fail(await imports.desk.begin(await imports.kept(started)), failure)
        ended = await imports.get(started.name)
        found = migrate_pb2.ImportReport()
        assert any(detail.Unpack(found) for detail in ended.error.details)
        assert found == self.message(migrate_pb2.ImportReport.FAILED)

    @pytest.mark.parametrize("fate", Fate)
    async def test_each_fate(self, imports: Imports, fate: Fate) -> None:
        plan = ImportPlan(FILE, "app", "", objects=[PlannedObject("view", "v", fate)])
        ended = await imports.ended_with(await imports.plan(), plan)
        found = migrate_pb2.ImportPlan()
        assert ended.response.Unpack(found)
        assert migrate_pb2.ImportObject.Fate.Name(found.objects[0].fate) == fate.name

    async def test_a_verification(self, imports: Imports) -> None:
        report = VerifyReport(
            "run-import-1", FILE, "app", False, [TABLE], [DIFFERENCE], 9, differing_rows=3
        )
        ended = await imports.ended_with(await imports.verify(), report)
        found = migrate_pb2.VerifyImportResponse()
        assert ended.response.Unpack(found)
        assert found == migrate_pb2.VerifyImportResponse(
            operation="operations/run-import-1",
            source=FILE,
            schema="app",
            equal=False,
            verified_rows=9,
            differing_rows=3,
            tables=[TABLE_MESSAGE],
            differences=[DIFFERENCE_MESSAGE],
        )

    async def test_a_reversion(self, imports: Imports) -> None:
        rows = [RevertedTable("users", removed_rows=3, restored_rows=4)]
        report = RevertReport("run-import-1", "app", ["users"], ["users", "orders"], rows)
        ended = await imports.ended_with(await imports.revert(), report)
        found = migrate_pb2.RevertImportResponse()
        assert ended.response.Unpack(found)
        assert found == migrate_pb2.RevertImportResponse(
            operation="operations/run-import-1",
            schema="app",
            restored_tables=["users"],
            removed_tables=["users", "orders"],
            tables=[migrate_pb2.RevertedTable(target="users", removed_rows=3, restored_rows=4)],
        )
