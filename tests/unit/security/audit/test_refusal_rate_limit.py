"""How many lines callers get that nobody knows."""

import pytest

from dbopsd.security.audit.refusal_rate_limit import RefusalRateLimit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def allowance(clock) -> RefusalRateLimit:
    return RefusalRateLimit(clock)


def taken(allowance: RefusalRateLimit, address: str, of: int = 50) -> int:
    return sum(allowance.take(address) for _ in range(of))


def test_ten_and_then_one_a_second(allowance, clock):
    assert taken(allowance, "192.0.2.1") == 10
    clock.now += 0.9
    assert taken(allowance, "192.0.2.1") == 0
    clock.now += 2.2
    assert taken(allowance, "192.0.2.1") == 3
    clock.now += 3600
    assert taken(allowance, "192.0.2.1") == 10


def test_each_address_has_its_own(allowance):
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "/run/x.sock", ""):
        assert taken(allowance, address) == 10


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8::1", "2001:db8::ffff:1:2:3"), ("192.0.2.1", "::ffff:192.0.2.1")],
)
def test_two_addresses_of_one_caller(allowance, one, other):
    assert taken(allowance, one) == 10
    assert taken(allowance, other) == 0


def test_more_addresses_than_are_remembered_share_what_one_has(allowance, clock):
    many = [f"10.{high}.{low}.1" for high in range(16) for low in range(128)]
    assert sum(taken(allowance, address, 10) for address in many) == 1025 * 10
    clock.now += 9
    assert taken(allowance, "192.0.2.1") == 9
    # Whoever has come back to all of theirs is forgotten for the next one.
    clock.now += 2
    assert taken(allowance, "192.0.2.2") == 10
