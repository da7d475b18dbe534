"""The synchronous client, against a server played on a grpcio-testing channel."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from dbops_client import (
    CallCancelledError,
    DbopsClient,
    DeadlineExceededError,
    InternalError,
    NotFoundError,
    UnavailableError,
)

from tests.unit.client.messages import Database, database, database_not_found, health, watched

TRACE = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@pytest.fixture
def client(played):
    with DbopsClient(channel=played.channel, token="t0ken", timeout_s=60) as client:
        yield client


@pytest.fixture
def threads():
    with ThreadPoolExecutor() as executor:
        yield executor


def test_databases_come_over_all_pages(played, client):
    played.databases = [database(f"db{n}") for n in range(5)]
    metadata = iter([TRACE])
    names = [each.name for each in client.databases.list(page_size=2, metadata=metadata)]
    assert names == [f"databases/db{n}" for n in range(5)]
    assert [request.page_token for _, request, _ in played.calls] == ["", "2", "4"]
    assert {request.page_size for _, request, _ in played.calls} == {2}
    assert all(sent["traceparent"] == TRACE[1] for _, _, sent in played.calls)


def test_pages_are_asked_for_when_they_are_reached(played, client):
    played.databases = [database(f"db{n}") for n in range(5)]
    listing = client.databases.list(page_size=2)
    assert played.calls == []
    next(listing)
    assert len(played.calls) == 1


@pytest.mark.parametrize("name", ["main", "databases/main"])
def test_health_is_asked_by_either_name(played, client, name):
    played.healths["databases/main"] = health(state=Database.DEGRADED)
    assert client.health.get(name) == health(state=Database.DEGRADED)


def test_token_and_trace_context_go_along(played, client):
    client.health.get("main", metadata=[TRACE])
    ((_, _, sent),) = played.calls
    assert sent["authorization"] == "Bearer t0ken"
    assert sent["traceparent"] == TRACE[1]


def test_a_refusal_is_its_own_exception(played, client):
    played.failure = database_not_found("shop")
    with pytest.raises(NotFoundError) as caught:
        client.health.get("shop")
    assert caught.value.reason == "DATABASE_NOT_FOUND"
    assert caught.value.metadata == {"database": "shop"}
    assert isinstance(caught.value.__cause__, grpc.RpcError)


def test_a_watch_yields_what_the_server_sends(played, client, threads):
    with client.health.watch("main", every_probe=True, metadata=[TRACE]) as watch:
        first = threads.submit(next, watch)
        request, sent, stream = played.next_stream()
        stream.send_response(watched())
        assert first.result(10) == health()
        assert (request.name, request.every_probe) == ("databases/main", True)
        assert (sent["authorization"], sent["traceparent"]) == ("Bearer t0ken", TRACE[1])
        stream.send_response(watched(state=Database.UNHEALTHY))
        assert next(watch).state == Database.UNHEALTHY


def test_nothing_is_sent_before_the_first_iteration(played, client):
    client.health.watch("main")
    assert played.streams.empty()


def test_a_watch_outlives_an_unavailable_server(played, client, threads):
    watch = client.health.watch("main")
    both = threads.submit(lambda: [next(watch), next(watch)])
    played.end_stream(grpc.StatusCode.UNAVAILABLE, "restarting")
    played.send_and_end(watched())
    played.send_and_end(watched(state=Database.DEGRADED))
    assert [each.state for each in both.result(10)] == [Database.HEALTHY, Database.DEGRADED]


def test_a_watch_gives_up_in_the_end_and_is_closed(played, client, threads):
    watch = client.health.watch("main", reconnect_for_s=0)
    failing = threads.submit(next, watch)
    played.end_stream(grpc.StatusCode.UNAVAILABLE, "stopped")
    with pytest.raises(UnavailableError, match="stopped"):
        failing.result(10)
    assert list(watch) == []


def test_another_error_ends_a_watch_at_once(played, client, threads):
    failing = threads.submit(next, client.health.watch("main"))
    played.end_stream(grpc.StatusCode.INTERNAL, "broken")
    with pytest.raises(InternalError, match="broken"):
        failing.result(10)


def test_a_cancelled_call_is_not_a_reason_to_come_back(played, client, threads):
    failing = threads.submit(next, client.health.watch("main"))
    played.end_stream(grpc.StatusCode.CANCELLED, "by an administrator")
    with pytest.raises(CallCancelledError):
        failing.result(10)


def test_a_silent_server_does_not_hold_the_caller(played, client, threads):
    failing = threads.submit(next, client.health.watch("main", timeout_s=0.05))
    _, _, stream = played.next_stream()
    with pytest.raises(DeadlineExceededError, match=r"no first message within 0\.05 s"):
        failing.result(10)
    stream.cancelled()  # the server is told, too


def test_after_the_first_message_silence_is_not_an_error(played, client, threads):
    watch = client.health.watch("main", timeout_s=0.05)
    first = threads.submit(next, watch)
    _, _, stream = played.next_stream()
    stream.send_response(watched())
    first.result(10)
    second = threads.submit(next, watch)
    with pytest.raises(TimeoutError):
        second.result(0.2)
    stream.send_response(watched(state=Database.UNKNOWN))
    assert second.result(10).state == Database.UNKNOWN


def test_another_thread_can_close_a_watch(played, client, threads):
    watch = client.health.watch("main")
    all_of_it = threads.submit(list, watch)
    _, _, stream = played.next_stream()
    watch.close()
    assert all_of_it.result(10) == []
    stream.cancelled()


def test_the_first_message_disarms_the_deadline(played, client, threads):
    before = set(threading.enumerate())
    watch = client.health.watch("main", timeout_s=1000)
    first = threads.submit(next, watch)
    _, _, stream = played.next_stream()
    armed = {t for t in threading.enumerate() if isinstance(t, threading.Timer)} - before
    stream.send_response(watched())
    first.result(10)
    for timer in armed:
        timer.join(10)
    assert len(armed) == 1
    assert not any(timer.is_alive() for timer in armed)
    watch.close()
