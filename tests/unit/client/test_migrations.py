"""`client.migrations`, of both clients, against a real server."""

import pytest
from dbops.v1 import migrations_pb2
from dbops_client import ConfigurationError

from tests.unit.client.messages import operation
from tests.unit.client.migrations import ADOPTED, Report, listing, migration, report


def test_a_list_holds_every_page_and_what_is_said_of_all(call, operations_server):
    versions = [f"{number:03}" for number in range(5)]
    operations_server.migrations = listing(*(migration(each) for each in versions), pending=7)
    found = call("migrations.list", "main", set="a", states=["FAILED", "PENDING"], page_size=2)
    assert [each.version for each in found.migrations] == versions
    assert (found.pending, found.next_page_token) == (7, "")
    requests = operations_server.named("ListMigrations")
    assert [each.page_token for each in requests] == ["", "2", "4"]
    for each in requests:
        assert (each.parent, each.set, list(each.states)) == ("databases/main", "a", [6, 1])


def test_an_apply_that_failed_has_its_report(call, operations_server):
    told = report(Report.FAILED)
    ended = operation(error=("ABORTED", "in the way", "LOCK_NOT_ACQUIRED"))
    ended.error.details.add().Pack(told)
    operations_server.endings["ApplyMigrations"] = ended
    found = call("migrations.apply", "main", lock_wait_s=2.5, request_id="r-1", then="wait")
    assert (found.error.reason, found.partial_result) == ("LOCK_NOT_ACQUIRED", told)
    (request,) = operations_server.named("ApplyMigrations")
    assert (request.lock_wait.ToMilliseconds(), request.request_id) == (2500, "r-1")


def test_a_wait_for_locks_is_a_time(call, operations_server):
    with pytest.raises(ConfigurationError, match="lock_wait_s is 0"):
        call("migrations.rollback", "main", lock_wait_s=0)
    assert operations_server.calls == []


def test_what_another_tool_did_is_adopted(call, operations_server):
    operations_server.endings["AdoptMigrations"] = operation(response=ADOPTED)
    assert call("migrations.adopt", "main", "FLYWAY", table="a.b", then="result") == ADOPTED
    (request,) = operations_server.named("AdoptMigrations")
    assert (request.tool, request.table) == (migrations_pb2.AdoptMigrationsRequest.FLYWAY, "a.b")


def test_a_migration_is_resolved_once_however_often_it_is_sent(call, operations_server):
    operations_server.fail("ResolveMigration", ("UNAVAILABLE", "away"))
    found = call("migrations.resolve", "main", "007", "NOT_APPLIED", "undone")
    assert found.version == "007"
    first, second = operations_server.named("ResolveMigration")
    assert first == second
    assert (first.resolution, first.reason) == (2, "undone")
