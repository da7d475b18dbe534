"""The control store's promises, on SQLite and on PostgreSQL."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from opentelemetry.trace import NoOpTracer

from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.attempt import Attempt
from dbopsd.operations.duty import DutyKey
from dbopsd.operations.errors import (
    ControlStoreNewer,
    ControlStoreUnavailable,
    OperationDone,
    OperationInTheWay,
    OperationNotDone,
    OperationNotFound,
    RequestIdReused,
)
from dbopsd.operations.kind import Kind
from dbopsd.operations.record import (
    Comparison,
    Condition,
    Failure,
    NewOperation,
    Operation,
    Progress,
    State,
    WorkerState,
)
from dbopsd.operations.store import attempts, duties, liveness, requests
from dbopsd.operations.store.attempts import Losses, Report, WorkerLost
from dbopsd.operations.store.store import ControlStore
from dbopsd.operations.store.tables import SCHEMA, VERSION, operations, store_version, workers
from tests.support.patience import eventually, eventually_blocking

New = Callable[..., NewOperation]
FAILURE = Failure("ABORTED", "BROKEN", "it broke", {"what": "all"})


def register(control: ControlStore, worker: str = "w-1", replaces: str = "") -> str:
    liveness.register(control, worker, host="here", pid=1, version="0", replaces=replaces)
    return worker


def begun(control: ControlStore, operation: Operation, worker: str = "w-1") -> Operation:
    found = attempts.begin(control, operation.id, worker)
    assert found is not None
    return found.operation


def pending_work(control: ControlStore) -> list[str]:
    return [each.workflow_id for each in control.client.list_workflows(load_input=False)]


def test_an_operation_is_kept_as_it_was_asked_for(control: ControlStore, new: New) -> None:
    made = requests.create(control, new(request='{"a":1}', timeout_s=60, role=3))

    found = requests.get(control, made.id)
    assert found == made
    assert (found.state, found.request, found.role) == (State.QUEUED, '{"a":1}', 3)
    assert found.deadline == pytest.approx(found.create_time + 60, abs=0.1)
    assert made.id.startswith("demo-")
    assert pending_work(control) == [made.id]


def test_a_request_id_is_one_operation_however_often_and_from_wherever(
    open_control: Callable[[], ControlStore], new: New
) -> None:
    stores = [open_control() for _ in range(4)]
    stores[0].open()
    barrier = threading.Barrier(16)

    def ask(number: int) -> Operation:
        barrier.wait()
        return requests.create(stores[number % 4], new(request_id="once"))

    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(ask, range(16)))

    assert len({each.id for each in made}) == 1
    assert pending_work(stores[0]) == [made[0].id]


def test_a_request_id_does_not_serve_two_requests(control: ControlStore, new: New) -> None:
    made = requests.create(control, new(request_id="once"))

    with pytest.raises(RequestIdReused, match=made.id):
        requests.create(control, new(request_id="once", request='{"other":1}'))
    with pytest.raises(RequestIdReused):
        requests.check(control, new(request_id="once", database="other"))
    another = requests.create(control, new(request_id="once", requester="bob"))
    assert another.id != made.id


def test_a_request_id_is_another_operation_for_whoever_is_proved_otherwise(
    control: ControlStore, new: New
) -> None:
    made = {
        requests.create(control, new(request_id="once", origin=origin)).id
        for origin in ("token", "certificate", "clock", "token")
    }

    assert len(made) == 3


def end_work(control: ControlStore, operation: Operation) -> None:
    """As if a worker had run the operation to its end, for DBOS as well."""
    client = control.client
    client.cancel_workflow(operation.id)
    assert [each.status for each in client.list_workflows()] == ["CANCELLED"]


def test_deleting_an_operation_deletes_its_work_with_it(control: ControlStore, new: New) -> None:
    kept, deleted = requests.create(control, new()), requests.create(control, new())
    requests.request_cancel(control, deleted.id)

    requests.delete(control, deleted.id)

    assert pending_work(control) == [kept.id]
    inputs = control.client._sys_db.tables.workflow_input
    with control.client._sys_db.engine.begin() as connection:
        assert connection.execute(sa.select(inputs.c.workflow_uuid)).scalars().all() == [kept.id]


def test_nothing_is_deleted_unless_all_of_it_is(control: ControlStore, new: New) -> None:
    made = requests.create(control, new())
    requests.request_cancel(control, made.id)

    with pytest.raises(ZeroDivisionError), control.transaction() as connection:
        connection.execute(sa.delete(operations))
        requests.forget_work(control, connection, [made.id])
        raise ZeroDivisionError

    assert requests.get(control, made.id).state is State.CANCELLED
    assert pending_work(control) == [made.id]


def test_work_that_was_left_behind_does_not_stand_in_for_new_work(
    control: ControlStore, new: New
) -> None:
    asked = new(request_id="once", locks=frozenset({"x"}))
    old = requests.create(control, asked)
    end_work(control, old)
    # As an interrupted deletion left it once.
    with control.transaction() as connection:
        connection.execute(sa.delete(operations))
        requests.release_locks(connection, old.id)

    made = requests.create(control, asked)

    assert (made.id, made.state) == (old.id, State.QUEUED)
    (work,) = control.client.list_workflows()
    assert (work.workflow_id, work.status, work.queue_name) == (old.id, "ENQUEUED", requests.QUEUE)
    with pytest.raises(OperationInTheWay, match=made.id):
        requests.create(control, new(locks=frozenset({"x"})))


@pytest.mark.parametrize("control_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "fields", [{"request_id": "once"}, {"locks": frozenset({"x"})}], ids=["request_id", "lock"]
)
def test_what_vanishes_while_it_is_in_the_way_is_no_error(
    open_control: Callable[[], ControlStore], new: New, fields: dict[str, object]
) -> None:
    other, control = open_control(), open_control()
    control.open()
    in_the_way = [requests.create(other, new(**fields))]

    def vanish(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        # Between the conflict and the question what it was with, as another process might.
        if in_the_way and statement.startswith("SELECT") and "dbopsd." in statement:
            gone = in_the_way.pop().id
            requests.request_cancel(other, gone)
            requests.delete(other, gone)

    sa.event.listen(control.engine, "before_cursor_execute", vanish)
    made = requests.create(control, new(**fields))

    assert not in_the_way
    assert made.state is State.QUEUED
    assert pending_work(control) == [made.id]


@pytest.mark.parametrize("control_url", ["postgresql"], indirect=True)
def test_what_comes_and_goes_for_ever_is_given_up(
    open_control: Callable[[], ControlStore], new: New
) -> None:
    other, control = open_control(), open_control()
    control.open()
    asked = new(locks=frozenset({"x"}))

    def come_and_go(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("INSERT INTO dbopsd.locks"):
            requests.create(other, asked)
        if statement.startswith("SELECT dbopsd.locks"):
            (there,) = requests.list_page(other, (), databases=None, after=None, limit=2)
            requests.request_cancel(other, there.id)
            requests.delete(other, there.id)

    sa.event.listen(control.engine, "before_cursor_execute", come_and_go)
    with pytest.raises(ControlStoreUnavailable, match="comes and goes"):
        requests.create(control, asked)
    assert pending_work(control) == []


def test_operations_that_share_a_lock_exclude_each_other(control: ControlStore, new: New) -> None:
    backup = new(kind="backup", locks=frozenset({"cluster"}))
    restore = new(kind="restore", locks=frozenset({"cluster", "schema"}))
    first = requests.create(control, backup)

    with pytest.raises(OperationInTheWay) as refused:
        requests.create(control, restore)
    assert refused.value.operation == first.id
    with pytest.raises(OperationInTheWay):
        requests.check(control, restore)
    elsewhere = requests.create(control, replace(restore, database="other"))
    assert elsewhere.database == "other"
    # What was refused holds nothing, not even the lock that was free.
    requests.create(control, new(kind="migrate", locks=frozenset({"schema"})))
    assert len(pending_work(control)) == 3


def test_of_many_that_exclude_each_other_one_is_let_in(
    open_control: Callable[[], ControlStore], new: New
) -> None:
    stores = [open_control() for _ in range(3)]
    stores[0].open()
    barrier = threading.Barrier(12)

    def ask(number: int) -> str:
        barrier.wait()
        # Locks in an order of each one's own: no two may wait for each other.
        names = frozenset({"a", "b", "c"} - {"abc"[number % 3]})
        try:
            return requests.create(stores[number % 3], new(locks=names)).id
        except OperationInTheWay as refused:
            return f"refused for {refused.operation}"

    with ThreadPoolExecutor(12) as threads:
        said = list(threads.map(ask, range(12)))

    let_in = [each for each in said if not each.startswith("refused")]
    assert len(let_in) == 1
    assert set(said) == {let_in[0], f"refused for {let_in[0]}"}


def test_a_lock_is_free_again_at_the_end_however_it_came(control: ControlStore, new: New) -> None:
    register(control)
    exclusive = new(locks=frozenset({"x"}))

    succeeded = begun(control, requests.create(control, exclusive))
    assert attempts.finish(control, succeeded, state=State.SUCCEEDED, result="{}")
    failed = begun(control, requests.create(control, exclusive))
    assert attempts.finish(control, failed, state=State.FAILED, failure=FAILURE)
    queued = requests.create(control, exclusive)
    requests.request_cancel(control, queued.id)
    late = requests.create(control, replace(exclusive, timeout_s=-1))
    assert [each.id for each in attempts.overdue(control)] == [late.id]
    assert attempts.expire(control, late.id, FAILURE)

    assert requests.create(control, exclusive).state is State.QUEUED


def test_the_list_has_the_newest_first_page_by_page(control: ControlStore, new: New) -> None:
    made = [requests.create(control, new(database=f"d{number % 2}")) for number in range(7)]
    newest_first = [each.id for each in sorted(made, key=lambda o: (o.create_time, o.id))][::-1]

    first = requests.list_page(control, (), databases=None, after=None, limit=4)
    after = (first[-1].create_time, first[-1].id)
    second = requests.list_page(control, (), databases=None, after=after, limit=4)

    assert [each.id for each in first + second] == newest_first
    of_one = requests.list_page(control, (), databases={"d1"}, after=None, limit=100)
    assert {each.database for each in of_one} == {"d1"}
    assert len(of_one) == 3


def test_operations_are_counted_by_database_kind_and_state(control: ControlStore, new: New) -> None:
    assert requests.count_by_state(control) == {}
    register(control)
    begun(control, requests.create(control, new(kind="a")))
    for _ in range(2):
        requests.create(control, new(kind="b"))
    requests.create(control, new(kind="b", database="other"))

    assert requests.count_by_state(control) == {
        "main": {("a", "RUNNING"): 1, ("b", "QUEUED"): 2},
        "other": {("b", "QUEUED"): 1},
    }


@pytest.mark.parametrize(
    ("field", "comparison", "value", "expected"),
    [
        ("done", "=", True, {"ended"}),
        ("done", "=", False, {"running", "queued"}),
        ("done", "!=", True, {"running", "queued"}),
        ("state", "=", "RUNNING", {"running"}),
        ("state", "!=", "RUNNING", {"ended", "queued"}),
        ("kind", "=", "ended", {"ended"}),
        ("requester", "!=", "alice", set()),
        ("create_time", "<", 1.0, set()),
        ("create_time", ">=", 1.0, {"ended", "running", "queued"}),
    ],
)
def test_the_list_is_filtered(
    control: ControlStore,
    new: New,
    field: str,
    comparison: str,
    value: object,
    expected: set[str],
) -> None:
    register(control)
    ended = begun(control, requests.create(control, new(kind="ended")))
    attempts.finish(control, ended, state=State.SUCCEEDED, result="{}")
    begun(control, requests.create(control, new(kind="running")))
    requests.create(control, new(kind="queued"))

    condition = Condition(field, Comparison(comparison), value)  # type: ignore[arg-type]
    found = requests.list_page(control, [condition], databases=None, after=None, limit=100)

    assert {each.kind for each in found} == expected


def test_an_operation_that_waits_is_cancelled_at_once(control: ControlStore, new: New) -> None:
    made = requests.create(control, new())

    cancelled = requests.request_cancel(control, made.id)

    assert cancelled.state is State.CANCELLED
    assert cancelled.failure is not None
    assert cancelled.failure.reason == "OPERATION_CANCELLED"
    with pytest.raises(OperationDone, match="CANCELLED"):
        requests.request_cancel(control, made.id)
    register(control)
    assert attempts.begin(control, made.id, "w-1") is None


def test_an_operation_holds_the_locks_of_a_kind_that_is_part_of_its_work(
    control: ControlStore, new: New
) -> None:
    register(control)
    running = begun(control, requests.create(control, new(kind="rollback")))
    names = frozenset({"x", "y"})
    backup = new(kind="backup", locks=frozenset({"y"}))
    other = requests.create(control, backup)
    with pytest.raises(OperationInTheWay, match=rf"backup cannot start .* while .*{other.id}"):
        attempts.hold_locks(control, running, "backup", names)
    requests.create(control, new(kind="drill", locks=frozenset({"x"})))  # all of them or none

    requests.request_cancel(control, other.id)
    for _ in range(2):
        assert attempts.hold_locks(control, running, "backup", {"y"})
    with pytest.raises(OperationInTheWay, match=running.id):
        requests.create(control, backup)
    overtaken = replace(running, attempt=running.attempt - 1)
    attempts.let_go(control, overtaken, {"y"})
    with pytest.raises(OperationInTheWay, match=running.id):
        requests.create(control, backup)
    attempts.let_go(control, running, {"y"})
    requests.request_cancel(control, requests.create(control, backup).id)

    assert not attempts.hold_locks(control, overtaken, "backup", {"y"})
    assert attempts.hold_locks(control, running, "backup", {"y"})
    attempts.finish(control, running, state=State.FAILED, failure=FAILURE)
    requests.create(control, backup)


async def test_an_attempt_waits_for_the_locks_of_another_kind(
    control: ControlStore, new: New, control_url: str | None, tmp_path: Path
) -> None:
    register(control)
    running = begun(control, requests.create(control, new(kind="rollback")))
    kind: Kind[Any, Any] = Kind("backup", object, object, cast("Any", None), frozenset({"x"}))
    other = requests.create(control, new(kind="backup", locks=kind.locks))
    threads = AsyncControlStore(control_url, tmp_path / "control" / "c.db", NoOpTracer())
    attempt = Attempt(
        running,
        cast("Any", None),
        scratch=tmp_path,
        state_dir=tmp_path,
        tracer=NoOpTracer(),
        failure_of=lambda error: Failure("INTERNAL", "INTERNAL", str(error)),
        control=threads,
    )
    try:
        with pytest.raises(OperationInTheWay, match=other.id):
            async with attempt.locks_of(kind, wait_s=0):
                raise AssertionError("it has what another has")

        async def free_it() -> None:
            await eventually(
                lambda: attempt.how_far().stage == f"waiting for operations/{other.id}"
            )
            requests.request_cancel(control, other.id)

        freeing = asyncio.create_task(free_it())
        async with attempt.locks_of(kind, wait_s=60):
            await freeing
            with pytest.raises(OperationInTheWay, match=running.id):
                requests.create(control, new(kind="backup", locks=kind.locks))
        requests.create(control, new(kind="backup", locks=kind.locks))
        register(control, "w-2", replaces="w-1")
        begun(control, running, "w-2")
        with pytest.raises(asyncio.CancelledError):
            async with attempt.locks_of(kind, wait_s=60):
                raise AssertionError("others have the operation")
        assert attempt.interruption
    finally:
        threads.close()


def test_an_operation_that_runs_is_cancelled_by_its_worker(control: ControlStore, new: New) -> None:
    register(control)
    running = begun(control, requests.create(control, new(locks=frozenset({"x"}))))

    for _ in range(2):
        assert requests.request_cancel(control, running.id).state is State.CANCELLING
    standing = attempts.attempt_statuses(control, "w-1", {running.id: 1})[running.id]
    assert (standing.ours, standing.cancelling) == (True, True)
    with pytest.raises(OperationInTheWay):
        requests.create(control, new(locks=frozenset({"x"})))
    with pytest.raises(OperationNotDone):
        requests.delete(control, running.id)
    attempts.finish(control, running, state=State.CANCELLED, failure=FAILURE)
    assert requests.get(control, running.id).failure == FAILURE


def test_a_cancelled_operation_that_lost_its_worker_stays_cancelled(
    control: ControlStore, new: New
) -> None:
    register(control)
    running = begun(control, requests.create(control, new()))
    requests.request_cancel(control, running.id)
    register(control, "w-2", replaces="w-1")

    taken = attempts.begin(control, running.id, "w-2")

    assert taken is not None
    assert (taken.operation.state, taken.operation.attempt) == (State.CANCELLING, 2)
    assert taken.losses == Losses(1, last_was_alone=True)


def test_what_is_not_known_is_not_found(control: ControlStore) -> None:
    for ask in (requests.get, requests.request_cancel, requests.delete):
        with pytest.raises(OperationNotFound, match="nothing"):
            ask(control, "nothing")
    register(control)
    assert attempts.begin(control, "nothing", "w-1") is None
    gone = attempts.attempt_statuses(control, "w-1", {"nothing": 1})["nothing"]
    assert not gone.ours


def test_a_worker_that_counts_as_lost_writes_nothing_any_more(
    control: ControlStore, new: New
) -> None:
    register(control)
    old = begun(control, requests.create(control, new()))
    other = requests.create(control, new())
    register(control, "w-2", replaces="w-1")
    newer = begun(control, old, "w-2")

    assert not liveness.beat(control, "w-1").known
    with pytest.raises(WorkerLost):
        attempts.begin(control, other.id, "w-1")
    attempts.report(control, "w-1", [Report(old.id, 1, "old news", Progress(1))])
    assert not attempts.finish(control, old, state=State.SUCCEEDED, result='"old"')
    assert not attempts.attempt_statuses(control, "w-1", {old.id: 1})[old.id].ours
    assert attempts.finish(control, newer, state=State.SUCCEEDED, result='"new"')
    found = requests.get(control, old.id)
    assert (found.result, found.stage, found.attempt) == ('"new"', "", 2)


def test_an_earlier_attempt_of_the_same_worker_writes_nothing_any_more(
    control: ControlStore, new: New
) -> None:
    register(control)
    first = begun(control, requests.create(control, new()))
    # Let go and claimed again by the same worker, while the first attempt was held up.
    second = begun(control, first)
    assert (first.attempt, second.attempt) == (1, 2)

    attempts.report(control, "w-1", [Report(first.id, 1, "old news", Progress(1))])
    assert not attempts.attempt_statuses(control, "w-1", {first.id: 1})[first.id].ours
    assert not attempts.finish(control, first, state=State.FAILED, failure=FAILURE)
    found = requests.get(control, first.id)
    assert (found.state, found.stage, found.attempt) == (State.RUNNING, "", 2)
    assert attempts.finish(control, second, state=State.SUCCEEDED, result="{}")


def test_an_operation_is_kept_for_so_many_seconds_after_its_end(
    control: ControlStore, new: New
) -> None:
    register(control)
    old, recent, running = (begun(control, requests.create(control, new())) for _ in range(3))
    for each in (old, recent):
        attempts.finish(control, each, state=State.SUCCEEDED, result="{}")
    with control.transaction() as connection:
        connection.execute(
            sa.update(operations)
            .where(operations.c.id == old.id)
            .values(end_time=control.now() - 2000)
        )

    assert attempts.forget(control, retention_s=1000) == 0
    assert attempts.forget(control, retention_s=1.5) == 1
    with pytest.raises(OperationNotFound):
        requests.get(control, old.id)
    assert requests.get(control, recent.id).state is State.SUCCEEDED
    assert requests.get(control, running.id).state is State.RUNNING


def test_a_worker_is_lost_unless_it_was_heard_of_meanwhile(control: ControlStore) -> None:
    register(control, "w-silent")
    register(control, "w-loud")
    heard = liveness.beat(control, "nobody").heartbeats
    assert heard.keys() == {"w-silent", "w-loud"}
    with control.transaction() as connection:
        connection.execute(
            sa.update(workers)
            .where(workers.c.id == "w-loud")
            .values(heartbeat_time=heard["w-loud"] + 1)
        )

    assert liveness.declare_silent(control, "w-silent", heard["w-silent"])
    assert not liveness.declare_silent(control, "w-loud", heard["w-loud"])
    assert not liveness.declare_silent(control, "w-silent", heard["w-silent"]), "it is already"

    assert liveness.beat(control, "nobody").heartbeats.keys() == {"w-loud"}
    assert liveness.beat(control, "w-loud").known
    assert not liveness.beat(control, "w-silent").known
    states = {each.id: each.state for each in liveness.all_workers(control)}
    assert states == {"w-loud": WorkerState.ACTIVE, "w-silent": WorkerState.LOST}


def test_a_worker_that_went_is_forgotten_after_a_day(control: ControlStore) -> None:
    for name in ("w-there", "w-gone", "w-gone-long-ago"):
        register(control, name)
    for name in ("w-gone", "w-gone-long-ago"):
        liveness.leave(control, name, WorkerState.STOPPED)
    with control.transaction() as connection:
        connection.execute(
            sa.update(workers)
            .where(workers.c.id != "w-gone")
            .values(heartbeat_time=control.now() - 25 * 3_600_000)
        )

    liveness.forget_gone(control)

    assert [each.id for each in liveness.all_workers(control)] == ["w-gone", "w-there"]


def test_a_worker_that_stops_is_there_until_it_has_stopped(control: ControlStore, new: New) -> None:
    register(control)
    running = begun(control, requests.create(control, new()))

    liveness.leave(control, "w-1", WorkerState.STOPPING)
    assert liveness.beat(control, "nobody").heartbeats.keys() == {"w-1"}
    assert [each.operations for each in liveness.all_workers(control)] == [(running.id,)]
    with pytest.raises(WorkerLost):
        attempts.begin(control, requests.create(control, new()).id, "w-1")
    liveness.leave(control, "w-1", WorkerState.STOPPED)
    assert liveness.beat(control, "nobody").heartbeats == {}
    register(control, "w-2")
    taken = attempts.begin(control, running.id, "w-2")
    assert taken is not None
    assert taken.losses.count == 0, (
        "a worker that stopped in order is not held against the operation"
    )


def test_each_change_is_a_revision(control: ControlStore, new: New) -> None:
    register(control)
    made = requests.create(control, new())
    running = begun(control, made)
    progress = Progress(3, 10, "By", 1.5)

    attempts.report(control, "w-1", [Report(made.id, 1, "copying", progress)])
    changed, deleted = requests.get_newer(control, {made.id: running.revision, "gone": 1})

    assert deleted == {"gone"}
    assert [(each.stage, each.progress) for each in changed] == [("copying", progress)]
    assert changed[0].revision > running.revision
    assert requests.get_newer(control, {made.id: changed[0].revision}) == ([], set())


def test_how_far_it_had_come_is_written_with_the_end(control: ControlStore, new: New) -> None:
    register(control)
    running = begun(control, requests.create(control, new()))
    last = Report(running.id, 1, "copied", Progress(10, 10, "By", 1.5))

    assert attempts.finish(control, running, state=State.SUCCEEDED, result="{}", report=last)
    # What the worker was about to write when it ended comes too late.
    attempts.report(control, "w-1", [Report(running.id, 1, "copying", Progress(9, 10, "By", 1.5))])

    ended = requests.get(control, running.id)
    assert (ended.stage, ended.progress) == (last.stage, last.progress)


def test_what_ended_is_kept_for_its_time(control: ControlStore, new: New) -> None:
    register(control)
    ended = begun(control, requests.create(control, new()))
    attempts.finish(control, ended, state=State.SUCCEEDED, result="{}")
    running = begun(control, requests.create(control, new()))

    assert attempts.forget(control, 60) == 0
    eventually_blocking(lambda: attempts.forget(control, 0) == 1)

    with pytest.raises(OperationNotFound):
        requests.get(control, ended.id)
    assert pending_work(control) == [running.id]


def test_a_store_of_a_newer_version_is_left_alone(
    open_control: Callable[[], ControlStore], new: New
) -> None:
    newer = open_control()
    newer.open()
    with newer.transaction() as connection:
        connection.execute(sa.update(store_version).values(version=VERSION + 1))
    older = open_control()

    with pytest.raises(ControlStoreNewer, match=f"version is {VERSION + 1}"):
        requests.create(older, new())

    with newer.transaction() as connection:
        connection.execute(sa.update(store_version).values(version=VERSION))
    assert requests.create(older, new()).state is State.QUEUED


def test_an_open_store_notices_that_a_newer_dbopsd_took_it_over(
    open_control: Callable[..., ControlStore], new: New
) -> None:
    other, patient, hasty = open_control(), open_control(), open_control(look_s=0.1)
    for each in (other, patient, hasty):
        requests.create(each, new())
    with other.transaction() as connection:
        connection.execute(sa.update(store_version).values(version=VERSION + 1))

    assert requests.create(patient, new()).state is State.QUEUED, "it looks every few seconds"

    def refused() -> bool:
        with suppress(ControlStoreNewer):
            requests.create(hasty, new())
            return False
        return True

    eventually_blocking(refused)
    assert refused(), "not once only"
    with other.transaction() as connection:
        connection.execute(sa.update(store_version).values(version=VERSION))
    assert requests.create(hasty, new()).state is State.QUEUED


def test_a_store_that_was_made_anew_gets_its_tables_again(control: ControlStore, new: New) -> None:
    made = requests.create(control, new())
    with control.engine.begin() as connection:
        if control.is_sqlite:
            for table in (operations, store_version):
                connection.execute(sa.schema.DropTable(table))
        else:
            connection.execute(sa.schema.DropSchema(SCHEMA, cascade=True))

    with pytest.raises(ControlStoreUnavailable):
        requests.get(control, made.id)
    with pytest.raises(OperationNotFound):
        requests.get(control, made.id)


def test_what_is_acknowledged_is_on_the_disk_and_each_statement_sees_what_is_committed(
    control: ControlStore,
) -> None:
    with control.transaction() as connection:
        if control.is_sqlite:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            return
        for setting, value in (
            ("synchronous_commit", "on"),
            ("transaction_isolation", "read committed"),
        ):
            assert connection.exec_driver_sql(f"SHOW {setting}").scalar() == value


def test_many_processes_make_the_tables_at_once(open_control: Callable[[], ControlStore]) -> None:
    stores = [open_control() for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda store: store.open(), stores))
    assert liveness.all_workers(stores[0]) == []


def losses(control: ControlStore, operation: Operation) -> Losses:
    return attempts.losses(control, operation.id)


def lose(control: ControlStore, number: int) -> str:
    """Have the worker of that number vanish; the next one."""
    return register(control, f"w-{number + 1}", replaces=f"w-{number}")


def test_a_worker_that_vanishes_counts_in_the_stage_it_vanished_in(
    control: ControlStore, new: New
) -> None:
    register(control)
    running = begun(control, requests.create(control, new()))
    for number, stage in ((1, "copying"), (2, "copying"), (3, "verifying")):
        attempts.report(control, f"w-{number}", [Report(running.id, running.attempt, stage, None)])
        lose(control, number)
        running = begun(control, running, f"w-{number + 1}")

    assert losses(control, running) == Losses(1, last_was_alone=True)
    attempts.report(control, "w-4", [Report(running.id, running.attempt, "copying", None)])
    assert losses(control, running).count == 2

    early = begun(control, requests.create(control, new()), "w-4")
    lose(control, 4)
    early = begun(control, early, "w-5")
    assert losses(control, early).count == 1
    attempts.report(control, "w-5", [Report(early.id, early.attempt, "copying", None)])
    assert losses(control, early).count == 1, "it may have been in this stage"
    assert losses(control, requests.create(control, new())) == Losses(0, last_was_alone=False)


def test_a_worker_that_vanishes_with_several_is_nobodys_fault_alone(
    control: ControlStore, new: New
) -> None:
    register(control)
    made = [requests.create(control, new()) for _ in range(3)]
    several = [begun(control, each) for each in made[:2]]
    lose(control, 1)
    for each in several:
        assert losses(control, each) == Losses(1, last_was_alone=False)
    assert losses(control, made[2]).count == 0, "it had not begun"

    begun(control, made[0], "w-2")
    heard = liveness.beat(control, "nobody").heartbeats["w-2"]
    assert liveness.declare_silent(control, "w-2", heard)
    assert losses(control, made[0]) == Losses(2, last_was_alone=True)
    assert losses(control, made[1]) == Losses(1, last_was_alone=False), "it was on none of the two"


def test_a_store_of_the_version_before_is_upgraded(
    open_control: Callable[[], ControlStore], new: New
) -> None:
    before = open_control()
    made = requests.create(before, new())
    prefix = "" if before.is_sqlite else "dbopsd."
    with before.transaction() as connection:
        for statement in (
            f"DROP TABLE {prefix}duties",
            f"ALTER TABLE {prefix}operations DROP COLUMN lost_by_stage",
            f"ALTER TABLE {prefix}operations DROP COLUMN lost_alone",
            f"ALTER TABLE {prefix}operations ADD COLUMN lost INTEGER NOT NULL DEFAULT 0",
            f"UPDATE {prefix}store_version SET version = 1",
        ):
            connection.exec_driver_sql(statement)
    before.close()

    control = open_control()

    assert requests.get(control, made.id) == made
    register(control)
    running = begun(control, requests.create(control, new()))
    lose(control, 1)
    assert losses(control, running) == Losses(1, last_was_alone=True)
    duties.declare(control, [DutyKey("main", "receive-wal")])
    assert len(duties.list_duties(control)) == 1


@pytest.mark.parametrize("control_url", ["sqlite"], indirect=True)
def test_opening_the_store_again_leaves_sqlites_locks_alone(
    control: ControlStore, new: New, tmp_path: Path
) -> None:
    path = tmp_path / "control" / "c.db"
    requests.create(control, new())
    # As by a thread that waited while another one opened it: connections are in use.
    control._ready = False
    control.open()

    def count() -> str:
        """As another process sees it; the last one to close the file removes its log."""
        look = f"import sqlite3; c = sqlite3.connect({str(path)!r});"
        look += " print(c.execute('SELECT count(*) FROM operations').fetchone()[0]); c.close()"
        done = subprocess.run([sys.executable, "-c", look], capture_output=True, check=True)
        return done.stdout.decode().strip()

    assert count() == "1"
    requests.create(control, new())
    assert count() == "2"
