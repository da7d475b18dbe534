"""`client.imports`, with both clients, against a real server."""

import pytest
from dbops.v1 import migrate_pb2
from dbops_client import ConfigurationError, NotFoundError
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf.duration_pb2 import Duration

from tests.unit.client.imports import failed
from tests.unit.client.messages import operation

Run = migrate_pb2.RunImportRequest
NOT_NOW = ("UNAVAILABLE", "not now")
METHODS = {
    "imports.plan": "PlanImport",
    "imports.run": "RunImport",
    "imports.verify": "VerifyImport",
    "imports.revert": "RevertImport",
}
SUBJECTS = {
    "imports.plan": "/srv/app.db",
    "imports.run": "/srv/app.db",
    "imports.verify": "run-import-1",
    "imports.revert": "run-import-1",
}


@pytest.fixture
def start(call):
    """`start(method, …)`: the operation that a method starts, by default for database main."""

    def start(method, *args, **kwargs):
        return call(method, *(args or ("main", SUBJECTS[method])), **kwargs)

    return start


def sent(operations_server, method):
    (request,) = operations_server.named(METHODS.get(method, method))
    return request


@pytest.mark.parametrize("method", ["imports.plan", "imports.run"])
def test_what_is_not_said_is_not_sent(operations_server, start, method):
    found = start(method, request_id="mine")
    assert found.name in operations_server.operations
    request = sent(operations_server, method)
    assert request == type(request)(name="databases/main", source="/srv/app.db", request_id="mine")
    ((_, _, metadata),) = operations_server.calls
    assert metadata["authorization"] == "Bearer t0ken"


def test_all_that_may_be_said_is_sent(operations_server, start):
    start(
        "imports.run",
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
    assert sent(operations_server, "imports.run") == Run(
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
def test_an_import_is_named_by_its_operation(operations_server, start, name):
    start("imports.verify", "main", name, source="other.db", max_examples=7, request_id="a")
    assert sent(operations_server, "imports.verify") == migrate_pb2.VerifyImportRequest(
        name="databases/main",
        operation="operations/run-import-1",
        source="other.db",
        max_examples=7,
        request_id="a",
    )
    start("imports.revert", "main", name, request_id="b")
    assert sent(operations_server, "imports.revert") == migrate_pb2.RevertImportRequest(
        name="databases/main", operation="operations/run-import-1", request_id="b"
    )


@pytest.mark.parametrize("method", METHODS)
def test_each_try_has_the_same_request_id_and_each_call_another(operations_server, start, method):
    operations_server.fail(METHODS[method], NOT_NOW, NOT_NOW)
    first = start(method)
    tries = operations_server.named(METHODS[method])
    assert (len(tries), len({request.request_id for request in tries})) == (3, 1)
    assert list(operations_server.operations) == [first.name]
    assert start(method).name != first.name


@pytest.mark.parametrize("method", METHODS)
def test_validating_starts_nothing(operations_server, start, method):
    answer = start(method, validate_only=True)
    assert (answer.name, answer.done, operations_server.operations) == ("", True, {})


@pytest.mark.parametrize("method", METHODS)
def test_what_the_server_refuses_is_raised(operations_server, start, method):
    operations_server.fail(METHODS[method], ("NOT_FOUND", "no such", "DATABASE_NOT_FOUND"))
    with pytest.raises(NotFoundError) as caught:
        start(method)
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
def test_what_cannot_be_is_refused_before_anything_is_sent(operations_server, start, options, said):
    with pytest.raises(ConfigurationError, match=said):
        start("imports.run", **options)
    assert operations_server.calls == []


def test_the_result_is_the_report(operations_server, start):
    report = migrate_pb2.ImportReport(outcome=migrate_pb2.ImportReport.SUCCEEDED, rows=3)
    operations_server.endings["RunImport"] = operation(response=report)
    assert start("imports.run", then="result") == report


def test_a_failed_import_has_its_report_too(operations_server, start):
    report = migrate_pb2.ImportReport(outcome=migrate_pb2.ImportReport.FAILED, rows=3)
    operations_server.endings["RunImport"] = failed(report)
    ended = start("imports.run", then="wait")
    assert (ended.error.reason, ended.partial_result) == ("VALUES_REJECTED", report)


def test_a_long_report_arrives(operations_server, start):
    report = migrate_pb2.ImportReport(notes=["a note of a hundred bytes".ljust(100)] * 60_000)
    assert report.ByteSize() > 4 * 2**20
    operations_server.endings["RunImport"] = operation(response=report)
    assert start("imports.run", then="result") == report


def test_each_method_expects_the_result_that_the_contract_names(operations_server, start):
    for method, name in METHODS.items():
        rpc = migrate_pb2.DESCRIPTOR.services_by_name["MigrateService"].methods_by_name[name]
        named = rpc.GetOptions().Extensions[longrunning_pb2.operation_info].response_type
        result = getattr(migrate_pb2, named)()
        operations_server.endings[name] = operation(response=result)
        assert start(method, then="result") == result
