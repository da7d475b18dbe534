"""The calls of an import, with both clients, against a real server."""

import asyncio

import pytest
from dbops.v1 import migrate_pb2
from dbops_client import AsyncDbopsClient, ConfigurationError, DbopsClient, NotFoundError
from google.protobuf.duration_pb2 import Duration

from tests.unit.client.messages import operation

Run = migrate_pb2.RunImportRequest
NOT_NOW = ("UNAVAILABLE", "not now")
METHODS = {
    "plan_import": "PlanImport",
    "run_import": "RunImport",
    "verify_import": "VerifyImport",
    "revert_import": "RevertImport",
}
ARGUMENTS = {"plan_import": "/srv/app.db", "run_import": "/srv/app.db"}


@pytest.fixture(params=["sync", "asyncio"])
def call(request, operations_server):
    """`call(method, …)`: the result of a client's method, called for database main."""
    target = operations_server.target

    def arguments(method, args):
        return args or ("main", ARGUMENTS.get(method, "run-import-1"))

    def call_sync(method, *args, **kwargs):
        with DbopsClient(target, token="t0ken") as client:
            return getattr(client, method)(*arguments(method, args), **kwargs)

    async def call_async(method, *args, **kwargs):
        async with AsyncDbopsClient(target, token="t0ken") as client:
            return await getattr(client, method)(*arguments(method, args), **kwargs)

    if request.param == "sync":
        return call_sync
    return lambda *args, **kwargs: asyncio.run(call_async(*args, **kwargs))


def sent(operations_server, method):
    (request,) = operations_server.named(METHODS.get(method, method))
    return request


@pytest.mark.parametrize("method", ["plan_import", "run_import"])
def test_what_is_not_said_is_not_sent(operations_server, call, method):
    found = call(method, request_id="mine")
    assert found.name in operations_server.operations
    request = sent(operations_server, method)
    assert request == type(request)(name="databases/main", source="/srv/app.db", request_id="mine")
    ((_, _, metadata),) = operations_server.calls
    assert metadata["authorization"] == "Bearer t0ken"


def test_all_that_may_be_said_is_sent(operations_server, call):
    call(
        "run_import",
        "databases/main",
        "app.db",
        schema="app",
        target="EXISTING",
        mode="UPSERT",
        delete_missing=True,
        tables=("a", "b"),
        exclude_tables=["c"],
        bad_rows="QUARANTINE",
        integrity="FULL",
        identifier_case="LOWER",
        mapping="[tables]",
        max_examples=0,
        processes=3,
        skip_verification=True,
        request_id="mine",
        operation_timeout_s=1.5,
    )
    assert sent(operations_server, "run_import") == Run(
        name="databases/main",
        source="app.db",
        schema="app",
        target=Run.EXISTING,
        mode=Run.UPSERT,
        delete_missing=True,
        tables=["a", "b"],
        exclude_tables=["c"],
        bad_rows=Run.QUARANTINE,
        integrity=Run.FULL,
        identifier_case=Run.LOWER,
        mapping="[tables]",
        max_examples=0,
        processes=3,
        skip_verification=True,
        request_id="mine",
        timeout=Duration(seconds=1, nanos=500_000_000),
    )


@pytest.mark.parametrize("name", ["run-import-1", "operations/run-import-1"])
def test_an_import_is_named_by_its_operation(operations_server, call, name):
    call("verify_import", "main", name, source="other.db", max_examples=7, request_id="a")
    assert sent(operations_server, "verify_import") == migrate_pb2.VerifyImportRequest(
        name="databases/main",
        operation="operations/run-import-1",
        source="other.db",
        max_examples=7,
        request_id="a",
    )
    call("revert_import", "main", name, request_id="b")
    assert sent(operations_server, "revert_import") == migrate_pb2.RevertImportRequest(
        name="databases/main", operation="operations/run-import-1", request_id="b"
    )


@pytest.mark.parametrize("method", METHODS)
def test_each_try_has_the_same_request_id_and_each_call_another(operations_server, call, method):
    operations_server.fail(METHODS[method], NOT_NOW, NOT_NOW)
    first = call(method)
    tries = operations_server.named(METHODS[method])
    assert (len(tries), len({request.request_id for request in tries})) == (3, 1)
    assert list(operations_server.operations) == [first.name]
    assert call(method).name != first.name


@pytest.mark.parametrize("method", METHODS)
def test_validating_starts_nothing(operations_server, call, method):
    answer = call(method, validate_only=True)
    assert (answer.name, answer.done, operations_server.operations) == ("", True, {})


@pytest.mark.parametrize("method", METHODS)
def test_what_the_server_refuses_is_raised(operations_server, call, method):
    operations_server.fail(METHODS[method], ("NOT_FOUND", "no such", "DATABASE_NOT_FOUND"))
    with pytest.raises(NotFoundError) as caught:
        call(method)
    assert caught.value.reason == "DATABASE_NOT_FOUND"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "MERGE"}, "mode cannot be sent"),
        ({"tables": "user"}, "tables is a sequence of names"),
        ({"exclude_tables": "user"}, "exclude_tables is a sequence of names"),
        ({"processes": 2**40}, "processes cannot be sent"),
        ({"schema": "\udcff"}, "schema cannot be sent"),
        ({"max_examples": "many"}, "max_examples cannot be sent"),
        ({"colour": "red"}, "colour cannot be sent"),
        ({"operation_timeout_s": 0}, "operation_timeout_s is 0"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(operations_server, call, options, said):
    with pytest.raises(ConfigurationError, match=said):
        call("run_import", **options)
    assert operations_server.calls == []


def test_a_result_is_the_report(operations_server, call):
    report = migrate_pb2.ImportReport(outcome=migrate_pb2.ImportReport.SUCCEEDED, rows=3)
    operations_server.endings["RunImport"] = operation(response=report)
    started = call("run_import")
    ended = call("wait_operation", started.name)
    assert ended.result(migrate_pb2.ImportReport) == report


def test_a_long_report_arrives(operations_server, call):
    report = migrate_pb2.ImportReport(notes=["a note of a hundred bytes".ljust(100)] * 60_000)
    assert report.ByteSize() > 4 * 2**20
    operations_server.endings["RunImport"] = operation(response=report)
    started = call("run_import")
    assert call("get_operation", started.name).result(migrate_pb2.ImportReport) == report
