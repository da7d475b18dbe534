"""When a broken watch is taken up again."""

import grpc
import pytest
from dbops_client import DeadlineExceededError, InternalError, UnavailableError
from dbops_client._reconnect import Reconnect

UNAVAILABLE = UnavailableError(grpc.StatusCode.UNAVAILABLE, "gone")
LATE = DeadlineExceededError(grpc.StatusCode.DEADLINE_EXCEEDED, "silent")
INTERNAL = InternalError(grpc.StatusCode.INTERNAL, "broken")


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def longest(low, high):
    return high


def test_the_wait_doubles_up_to_five_seconds(clock):
    reconnect = Reconnect(60, clock=clock, jitter=longest)
    waits = [reconnect.delay_s(UNAVAILABLE) for _ in range(7)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_chance_has_half_of_the_wait(clock):
    bounds = []
    reconnect = Reconnect(60, clock=clock, jitter=lambda *b: bounds.append(b) or b[0])
    reconnect.delay_s(UNAVAILABLE)
    reconnect.delay_s(UNAVAILABLE)
    assert bounds == [(0.1, 0.2), (0.2, 0.4)]


def test_an_outage_longer_than_the_limit_is_given_up(clock):
    reconnect = Reconnect(30, clock=clock, jitter=longest)
    assert reconnect.delay_s(UNAVAILABLE) is not None
    clock.now_s += 29
    assert reconnect.delay_s(UNAVAILABLE) is not None
    clock.now_s += 1
    assert reconnect.delay_s(UNAVAILABLE) is None


def test_a_message_ends_the_outage(clock):
    reconnect = Reconnect(30, clock=clock, jitter=longest)
    for _ in range(5):
        reconnect.delay_s(UNAVAILABLE)
    clock.now_s += 29
    reconnect.connected()
    clock.now_s += 29
    assert reconnect.delay_s(UNAVAILABLE) == 0.2


def test_no_limit_means_no_reconnect(clock):
    assert Reconnect(0, clock=clock).delay_s(UNAVAILABLE) is None


def test_silence_is_waited_out_only_from_a_server_that_once_answered(clock):
    reconnect = Reconnect(30, clock=clock)
    assert reconnect.delay_s(LATE) is None
    reconnect.connected()
    assert reconnect.delay_s(LATE) is not None


def test_no_other_error_is_waited_out(clock):
    reconnect = Reconnect(30, clock=clock)
    reconnect.connected()
    assert reconnect.delay_s(INTERNAL) is None
