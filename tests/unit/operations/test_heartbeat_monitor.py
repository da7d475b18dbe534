"""Who counts as silent, by the listener's clock alone."""

from dbopsd.operations.heartbeat_monitor import HeartbeatMonitor


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_only_who_says_nothing_new_for_so_long_is_silent() -> None:
    clock = Clock()
    monitor = HeartbeatMonitor(15, clock=clock)

    for second in range(16):
        clock.now = 1000.0 + second
        heard = monitor.listen({"quiet": 7, "loud": 100 + second})
        assert heard == ({} if second < 15 else {"quiet": 7})


def test_a_heartbeat_that_goes_back_is_a_sign_of_life() -> None:
    clock = Clock()
    monitor = HeartbeatMonitor(15, clock=clock)
    monitor.listen({"a": 1_000_000})
    clock.now += 14
    # The control store's clock was set.
    monitor.listen({"a": 5})
    clock.now += 14

    assert monitor.listen({"a": 5}) == {}
    clock.now += 1
    assert monitor.listen({"a": 5}) == {"a": 5}


def test_a_time_without_listening_counts_for_nobody() -> None:
    clock = Clock()
    monitor = HeartbeatMonitor(15, clock=clock)
    monitor.listen({"a": 1})
    clock.now += 100
    monitor.reset()

    assert monitor.listen({"a": 1}) == {}
    clock.now += 15
    assert monitor.listen({"a": 1}) == {"a": 1}


def test_who_was_gone_in_between_is_listened_to_anew() -> None:
    clock = Clock()
    monitor = HeartbeatMonitor(15, clock=clock)
    monitor.listen({"a": 1})
    clock.now += 10
    monitor.listen({})
    clock.now += 10

    assert monitor.listen({"a": 1}) == {}
