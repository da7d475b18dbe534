"""Long-running operations as callers meet them: a daemon, its two workers, and the demo's kinds."""

import re
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from dbopsd.operations.store.sql_engine import sqlite_url
from tests.support.daemon import Daemon
from tests.support.demo import ledger
from tests.support.demo.client import (
    DemoClient,
    State,
    failure_of,
    metadata_of,
    refusal_of,
    response_of,
)
from tests.support.demo.daemon import demo_daemon, worker_processes
from tests.support.demo.generated import demo_pb2
from tests.support.demo.kind import SECRET
from tests.support.family import alive
from tests.support.otlp import OtlpReceiver, ReceivedSpan
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer
from tests.support.soak import Soak

EACH, TOTAL = 3, 5
LONG_S = 600.0
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = (("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01"),)
NIGHTLY = """
[databases.main.schedules.nightly]
kind = "demo"
cron = "0 3 * * *"
request = { steps = 1 }
"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def demo(
    server: PostgresServer, receiver: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Daemon, DemoClient]]:
    telemetry = f"""
[telemetry]
otlp_endpoint = "{receiver.grpc_endpoint}"
metrics_interval_s = 0.5
"""
    limits = {"worker_concurrency": EACH, "total_concurrency": TOTAL, "clean_up_timeout_s": 2}
    path = tmp_path_factory.mktemp("demo") / "ledger"
    with demo_daemon(
        server.dsn(),
        workers=2,
        operations=limits,
        more=telemetry + NIGHTLY,
        environment={"OTEL_BSP_SCHEDULE_DELAY": "100"},
    ) as running:
        running.wait_until_serving()
        with DemoClient(running.grpc_address, path) as client:
            eventually_blocking(lambda: len(client.workers()) == 2, 60, "both workers are there")
            yield running, client
        assert running.terminate() == 0
        assert worker_processes(running) == []


@pytest.fixture
def client(demo: tuple[Daemon, DemoClient]) -> DemoClient:
    return demo[1]


@pytest.fixture
def busy(client: DemoClient) -> Iterator[None]:
    """As many operations run as may run."""
    names = [client.start(step_seconds=LONG_S) for _ in range(TOTAL)]
    for name in names:
        client.runs(name)
    yield
    for name in names:
        client.cancel(name)
    for name in names:
        client.becomes(name, State.CANCELLED)


def test_a_cancelled_operation_ends_within_two_seconds_with_all_its_programs(
    client: DemoClient,
) -> None:
    name = client.start(child=True, step_seconds=LONG_S)
    client.runs(name)
    of_it = name.removeprefix("operations/")
    eventually_blocking(lambda: len(alive(of_it)) > 3, 5, "its programs run")

    client.cancel(name)

    ended = client.becomes(name, State.CANCELLED, 2)
    assert alive(of_it) == []
    assert failure_of(ended) == ("CANCELLED", "OPERATION_CANCELLED")
    assert [entry.what for entry in client.entries(name)] == [ledger.BEGIN, ledger.CLEANED]
    with pytest.raises(grpc.RpcError) as refused:
        client.cancel(name)
    assert refusal_of(refused.value) == ("FAILED_PRECONDITION", "OPERATION_DONE")


def test_a_queued_operation_is_cancelled_without_being_begun(
    client: DemoClient, receiver: OtlpReceiver, busy: None
) -> None:
    name = client.start(exclusive=True)

    client.cancel(name)

    assert client.metadata(name).state == State.CANCELLED
    assert client.metadata(name).attempt == 0
    assert client.entries(name) == []
    _is_counted("demo-exclusive", "CANCELLED", receiver)


def test_a_cancel_while_cleaning_up_is_as_late_as_it_looks(client: DemoClient) -> None:
    name = client.start(fail_at_step=1, mishap="clean up lasts")
    client.runs(name)

    for _ in range(2):
        client.cancel(name)
        assert client.metadata(name).state == State.CANCELLING

    ended = client.becomes(name, State.FAILED)
    assert failure_of(ended) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert [entry.what for entry in client.entries(name)] == [ledger.BEGIN, ledger.CLEANED]


def test_a_deadline_ends_what_runs(client: DemoClient) -> None:
    name = client.start(child=True, step_seconds=LONG_S, timeout_s=1)

    ended = client.becomes(name, State.FAILED, 10)

    assert failure_of(ended) == ("DEADLINE_EXCEEDED", "OPERATION_TIMED_OUT")
    assert "exceeded its timeout of 1 s" in ended.error.message
    assert alive(name.removeprefix("operations/")) == []
    metadata = metadata_of(ended)
    took_s = (metadata.end_time.ToNanoseconds() - metadata.create_time.ToNanoseconds()) / 1e9
    assert 1 <= took_s < 4


def test_a_deadline_ends_what_waits(client: DemoClient, receiver: OtlpReceiver, busy: None) -> None:
    name = client.start(exclusive=True, timeout_s=0.5)

    ended = client.becomes(name, State.FAILED, 6)

    assert failure_of(ended) == ("DEADLINE_EXCEEDED", "OPERATION_TIMED_OUT")
    assert client.entries(name) == []
    _is_counted("demo-exclusive", "FAILED", receiver)


def _is_counted(kind: str, state: str, receiver: OtlpReceiver) -> None:
    """No other test ends an operation of that kind in that state, on this daemon."""

    def counted(receiver: OtlpReceiver) -> bool:
        wanted = {"dbops.operation.kind": kind, "dbops.operation.state": state}
        return any(
            {each.key: each.value.string_value for each in point.attributes} == wanted
            for metric in receiver.metrics("dbops.operation.count")
            for point in metric.points
        )

    receiver.wait_for(counted, 10)


def test_a_failure_is_told_with_its_reason_and_cleaned_up(client: DemoClient) -> None:
    name = client.start(steps=2, fail_at_step=2)

    ended = client.becomes(name, State.FAILED)

    assert failure_of(ended) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert "fail_at_step" in ended.error.message
    said = [entry.what for entry in client.entries(name)]
    assert said == [ledger.BEGIN, ledger.END, ledger.BEGIN, ledger.CLEANED]


def test_a_failure_is_told_with_the_result_that_its_kind_gives_it(client: DemoClient) -> None:
    name = client.start(steps=2, mishap="more than a line")

    ended = client.becomes(name, State.FAILED)

    assert failure_of(ended) == ("UNIMPLEMENTED", "FIELD_NOT_SUPPORTED")
    assert "took more than a line" in ended.error.message
    response = demo_pb2.DemoResponse()
    (found,) = [each for each in ended.error.details if each.Unpack(response)]
    assert found.type_url.endswith("/dbops.demo.v1.DemoResponse")
    assert (response.steps_done, list(response.step_attempts)) == (2, [1, 1])
    assert client.entries(name)[-1].what == ledger.CLEANED


@pytest.mark.parametrize("mishap", ["surprise", "wrong result"])
def test_what_nobody_foresaw_is_told_to_the_log_alone(
    demo: tuple[Daemon, DemoClient], mishap: str
) -> None:
    running, client = demo
    name = client.start(mishap=mishap, metadata=TRACEPARENT)

    ended = client.becomes(name, State.FAILED)

    assert failure_of(ended) == ("INTERNAL", "INTERNAL")
    assert SECRET not in str(ended)
    assert TRACE_ID in ended.error.message
    assert client.entries(name)[-1].what == ledger.CLEANED
    assert SECRET in running.log_text()


def test_what_cannot_be_cleaned_up_is_said_in_time(client: DemoClient) -> None:
    name = client.start(fail_at_step=1, mishap="clean up fails")

    ended = client.becomes(name, State.FAILED, 8)

    assert failure_of(ended) == ("FAILED_PRECONDITION", "CLEAN_UP_FAILED")
    assert "is nailed down" in ended.error.message
    assert "is this step" in ended.error.message


def test_no_more_run_at_once_than_may(client: DemoClient) -> None:
    names = [client.start(step_seconds=0.4) for _ in range(4 * TOTAL)]
    for name in names:
        client.becomes(name, State.SUCCEEDED, 60)

    wanted = {name.removeprefix("operations/") for name in names}
    of_worker: Counter[int] = Counter()
    most_each = most = 0
    for entry in ledger.read(client.ledger):
        if entry.operation in wanted:
            of_worker[entry.pid] += 1 if entry.what == ledger.BEGIN else -1
            most_each = max(most_each, *of_worker.values())
            most = max(most, of_worker.total())
    assert most_each == EACH
    assert most == TOTAL


def test_one_trace_from_the_call_to_the_last_program(
    client: DemoClient, receiver: OtlpReceiver
) -> None:
    receiver.clear()
    name = client.start(traced=True, metadata=TRACEPARENT)
    client.becomes(name, State.SUCCEEDED)
    assert client.metadata(name).trace_id == TRACE_ID

    def spans(receiver: OtlpReceiver) -> dict[str, ReceivedSpan]:
        found = {each.name: each for each in receiver.spans() if each.trace_id == TRACE_ID}
        return found if "operation demo" in found and len(found) >= 6 else {}

    found = receiver.wait_for(spans, 10)
    call = found["dbops.demo.v1.DemoService/RunDemo"]
    attempt = found["operation demo"]
    step, program = found["step step-1"], found["exec note of the trace"]
    statement = found["SELECT traced"]
    assert call.parent_span_id == "b7ad6b7169203331"
    assert (attempt.kind, attempt.parent_span_id) == ("CONSUMER", call.span_id)
    assert attempt.attributes["dbops.operation.attempt"] == 1
    assert step.parent_span_id == attempt.span_id
    assert program.parent_span_id == statement.parent_span_id == step.span_id
    assert statement.attributes["db.system.name"] == "postgresql"
    kept = [each for each in receiver.spans("INSERT control store") if each.trace_id == TRACE_ID]
    assert call.span_id in {each.parent_span_id for each in kept}
    assert attempt.resource["process.pid"] != call.resource["process.pid"]
    handed = Path(f"{client.ledger}.traceparent").read_text()
    assert handed == f"00-{TRACE_ID}-{program.span_id}-01"


def kinds(metric: Any) -> set[str]:
    return {
        attribute.value.string_value
        for point in metric.points
        for attribute in point.attributes
        if attribute.key == "dbops.operation.kind"
    }


def test_operations_are_measured(client: DemoClient, receiver: OtlpReceiver) -> None:
    receiver.clear()
    client.becomes(client.start(), State.SUCCEEDED)
    for metric, unit in {
        "dbops.operation.count": "{operation}",
        "dbops.operation.attempts": "{attempt}",
        "dbops.operation.wait_time": "s",
        "dbops.operation.duration": "s",
    }.items():
        # Others' operations of before are in what is sent, too.
        found = receiver.wait_for(
            lambda r, metric=metric: [each for each in r.metrics(metric) if "demo" in kinds(each)],
            10,
        )[0]
        assert found.unit == unit


def test_the_log_is_ours_alone(demo: tuple[Daemon, DemoClient]) -> None:
    running, client = demo
    name = client.start(step_seconds=LONG_S)
    client.runs(name)
    client.cancel(name)
    client.becomes(name, State.CANCELLED)
    assert re.findall(r".* (?:dbos|sqlalchemy\S*|asyncio): .*", running.log_text()) == []


def test_a_schedule_is_listed_and_run_when_asked(client: DemoClient) -> None:
    schedule = client.schedules()["nightly"]
    assert (schedule.cron, schedule.time_zone, schedule.paused) == ("0 3 * * *", "UTC", False)
    upcoming = schedule.next_time.ToDatetime(tzinfo=UTC)
    assert (upcoming.hour, upcoming.minute) == (3, 0)
    assert timedelta() < upcoming - datetime.now(UTC) <= timedelta(days=1)

    started = client.schedule_does("RunSchedule", "nightly")

    ended = client.becomes(started.name, State.SUCCEEDED)
    assert metadata_of(ended).requester == "anonymous"
    assert response_of(ended).steps_done == 1


def _table(name: str, cron: str) -> str:
    kind = "demo-exclusive" if name == "refused" else "demo"
    return f'[databases.main.schedules.{name}]\nkind = "{kind}"\ncron = "{cron}"\n'


@pytest.mark.thorough
def test_schedules_follow_the_configuration_and_make_up_for_a_missed_time_once(
    server: PostgresServer, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    state_dir, ledger_path = tmp_path / "state", tmp_path / "ledger"
    before = [("kept", "0 3 * * *"), ("moved", "0 4 * * *"), ("gone", "0 5 * * *")]
    before += [("paused", "0 6 * * *"), ("refused", "0 7 * * *")]
    config = "\n".join(_table(*each) for each in before)
    with demo_daemon(server.dsn(), state_dir=state_dir, more=config) as running:
        running.wait_until_serving()
        with DemoClient(running.grpc_address, ledger_path) as client:
            eventually_blocking(lambda: len(client.schedules()) == 5, 60, "schedules are there")
            assert client.schedule_does("PauseSchedule", "paused").paused
            in_the_way = client.start(exclusive=True, step_seconds=LONG_S)
            client.runs(in_the_way)
            assert [each.name for each in client.operations()] == [in_the_way]
        assert running.terminate() == 0
    _was_last_here(state_dir, days_ago=3)

    after = [each for each in before if each[0] != "gone"]
    after[1] = ("moved", "0 9 * * *")
    config = "\n".join(_table(*each) for each in after)
    config += f'[telemetry]\notlp_endpoint = "{receiver.grpc_endpoint}"\n'
    with demo_daemon(
        server.dsn(),
        state_dir=state_dir,
        workers=2,
        more=config,
        environment={"OTEL_BSP_SCHEDULE_DELAY": "100"},
    ) as running:
        running.wait_until_serving()
        with DemoClient(running.grpc_address, ledger_path) as client:
            ran = eventually_blocking(
                lambda: [each for each in client.operations() if each.done], 60, "kept is made up"
            )
            schedules = client.schedules()
            assert schedules.keys() == {"kept", "moved", "paused", "refused"}
            assert schedules["moved"].cron == "0 9 * * *"
            assert schedules["paused"].paused
            assert not schedules["paused"].HasField("next_time")
            (made_up,) = ran
            assert metadata_of(made_up).requester == "databases/main/schedules/kept"
            assert schedules["kept"].last_operation == made_up.name
            _is_of_one_trace(made_up, receiver)
            last = schedules["kept"].last_time.ToDatetime(tzinfo=UTC)
            assert (last.hour, last.minute) == (3, 0)
            assert timedelta() < datetime.now(UTC) - last < timedelta(days=1)
            assert not client.schedule_does("ResumeSchedule", "paused").paused
            # Both workers look for missed times several times more.
            eventually_blocking(lambda: len(client.workers()) >= 3, 60, "both workers are there")
            refused = eventually_blocking(
                lambda: client.schedules()["refused"].last_problem, 20, "the refusal is kept"
            )
            assert in_the_way in refused
            assert client.schedules()["refused"].last_operation == ""
            assert [each.name for each in client.operations()] == [made_up.name, in_the_way]
        running.signal(signal.SIGTERM)
        assert running.wait() == 0


def _is_of_one_trace(made_up: Any, receiver: OtlpReceiver) -> None:
    """It starts with the clock, as no call is there to start with."""
    trace_id = metadata_of(made_up).trace_id

    def spans(receiver: OtlpReceiver) -> dict[str, ReceivedSpan]:
        found = {each.name: each for each in receiver.spans() if each.trace_id == trace_id}
        return found if {"schedule demo", "operation demo"} <= found.keys() else {}

    found = receiver.wait_for(spans, 10)
    clock, attempt = found["schedule demo"], found["operation demo"]
    assert (clock.kind, clock.parent_span_id) == ("PRODUCER", "")
    assert clock.attributes["dbops.schedule.name"] == "databases/main/schedules/kept"
    assert clock.attributes["dbops.operation.name"] in made_up.name
    assert attempt.parent_span_id == clock.span_id


def _was_last_here(state_dir: Path, *, days_ago: int) -> None:
    """As if nobody had looked at a schedule for so long."""
    engine = sa.create_engine(sqlite_url(state_dir / "control" / "control.db"))
    with engine.begin() as connection:
        milliseconds = days_ago * 86_400_000
        moved = connection.execute(
            sa.text("UPDATE schedule_runs SET due_after = due_after - :ms"), {"ms": milliseconds}
        )
        assert moved.rowcount > 0
    engine.dispose()


@pytest.mark.thorough
@pytest.mark.soak
def test_the_clock_starts_one_operation_a_minute_however_many_workers_there_are(
    server: PostgresServer, tmp_path: Path, soak: Soak
) -> None:
    # The clock's minutes are as long as they are.
    minutes_seen = 2 if soak.long else 1
    every_minute = _table("minutely", "* * * * *")
    with (
        demo_daemon(server.dsn(), workers=2, more=every_minute) as running,
        DemoClient(running.wait_until_serving().grpc_address, tmp_path / "ledger") as client,
    ):
        eventually_blocking(
            lambda: len(client.operations()) >= minutes_seen, 150, "a minute has begun"
        )
        created = [metadata_of(each).create_time.ToDatetime() for each in client.operations()]
        minutes = Counter(time.replace(second=0, microsecond=0) for time in created)
        assert set(minutes.values()) == {1}
        assert all(time.second < 15 for time in created)
