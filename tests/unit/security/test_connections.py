"""Which connections are closed when a listener is full."""

import contextlib

import pytest

from dbopsd.security.addresses import network_of
from dbopsd.security.connections import Connections, Standing


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def connections() -> Connections:
    return Connections(20, Clock())


def peers(address: str, count: int, first: int = 1) -> list[tuple[str, int]]:
    return [(address, first + number) for number in range(count)]


def open_all(connections: Connections, *groups: list[tuple[str, int]]) -> None:
    for group in groups:
        for peer in group:
            connections.opened(peer)


def use(connections: Connections, group: list[tuple[str, int]], standing: Standing) -> None:
    for peer in group:
        with connections.call(peer, standing):
            pass


def test_none_is_closed_while_there_is_room(connections):
    open_all(connections, peers("192.0.2.1", 20))
    assert connections.surplus() == []
    assert len(connections) == 20


def test_what_was_never_used_goes_first_and_the_oldest_of_it(connections):
    idle, used = peers("192.0.2.1", 11), peers("192.0.2.1", 10, 100)
    use(connections, used, Standing.ANONYMOUS)
    open_all(connections, idle)
    assert connections.surplus() == idle[:2]
    assert len(connections) == 19


def test_a_new_connection_stays_when_all_others_look_well_used(connections):
    """Whoever makes one call over each connection must not keep the next caller out."""
    use(connections, peers("192.0.2.1", 20), Standing.ANONYMOUS)
    connections.opened(("198.51.100.7", 1))
    closed = connections.surplus()
    assert ("198.51.100.7", 1) not in closed
    assert closed == peers("192.0.2.1", 2)


def test_callers_with_a_credential_outlast_the_others(connections):
    known = peers("192.0.2.1", 10)
    use(connections, known, Standing.AUTHENTICATED)
    strangers = peers("192.0.2.1", 200, 100)
    for number, peer in enumerate(strangers):
        connections.opened(peer)
        if number % 2:
            use(connections, [peer], Standing.ANONYMOUS)
        assert not set(connections.surplus()) & set(known)
    assert len(connections) <= 20


def test_the_network_with_most_loses_first(connections):
    many, few = peers("192.0.2.1", 15), peers("198.51.100.7", 3)
    open_all(connections, few, many, peers("203.0.113.1", 3))
    assert connections.surplus() == many[:2]


def test_several_large_networks_are_cut_to_one_level():
    connections = Connections(100, Clock())
    open_all(
        connections,
        peers("192.0.2.1", 60),
        peers("198.51.100.7", 40),
        peers("203.0.113.1", 1),
    )
    closed = connections.surplus()
    assert {address for address, _ in closed} == {"192.0.2.1"}
    open_all(connections, peers("198.51.100.7", 40, 100))
    closed = connections.surplus()
    assert not [peer for peer in closed if peer[0] == "203.0.113.1"]
    left = 101 - 6 + 40 - len(closed)
    assert len(connections) == left == 95


def test_addresses_of_one_ipv6_network_count_together(connections):
    for number in range(18):
        connections.opened((f"2001:db8::{number:x}", 1))
    alone = [("2001:db8:0:1::1", 1), ("192.0.2.1", 1), ("198.51.100.7", 1)]
    open_all(connections, alone)
    assert not set(connections.surplus()) & set(alone)


def test_a_running_call_is_ended_only_for_want_of_idle_ones(connections):
    with contextlib.ExitStack() as running:
        watching = peers("192.0.2.1", 6)
        for peer in watching:
            running.enter_context(connections.call(peer, Standing.ANONYMOUS))
        use(connections, peers("192.0.2.1", 15, 100), Standing.ANONYMOUS)
        assert connections.surplus() == peers("192.0.2.1", 2, 100)


def test_a_running_call_of_a_known_caller_is_never_ended(connections):
    with contextlib.ExitStack() as running:
        for peer in peers("192.0.2.1", 30):
            running.enter_context(connections.call(peer, Standing.AUTHENTICATED))
        assert connections.surplus() == []
        connections.opened(("192.0.2.1", 100))
        assert connections.surplus() == [("192.0.2.1", 100)]


def test_a_call_that_outlives_its_connection_ends_quietly(connections):
    peer = ("192.0.2.1", 1)
    with connections.call(peer, Standing.ANONYMOUS):
        connections.sync([])
    assert len(connections) == 0


def test_sync_keeps_what_is_known_of_those_that_are_open(connections):
    known, gone, new = ("192.0.2.1", 1), ("192.0.2.1", 2), ("192.0.2.1", 3)
    use(connections, [known, gone], Standing.AUTHENTICATED)
    connections.sync([known, new])
    assert len(connections) == 2
    open_all(connections, peers("192.0.2.1", 19, 10))
    assert connections.surplus()[0] == new


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::1", "2001:db8::/64"),
        ("", ""),
    ],
)
def test_networks(address, network):
    assert network_of(address) == network
