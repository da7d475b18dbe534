"""What follows from the answers of a cluster's hosts."""

import dataclasses
from typing import Any

import pytest

from dbopsd.db.cluster_view import ClusterView, HostAnswer, HostView, Identity
from dbopsd.db.errors import DifferentClusters, SplitBrain

STANDBY = HostAnswer(
    in_recovery=True,
    read_only=True,
    timeline=None,
    wal_position=100,
    receiver_pid=7,
    receiving=True,
    archive_only=False,
    status_interval_s=10.0,
    report_ages_s=[],
)
PRIMARY = dataclasses.replace(
    STANDBY,
    in_recovery=False,
    read_only=False,
    timeline="00000001",
    receiver_pid=None,
    report_ages_s=[0.1],
)
PROMOTED = dataclasses.replace(PRIMARY, timeline="0000000A")
FENCED = dataclasses.replace(PRIMARY, read_only=True)


def host(name: str, answer: HostAnswer | None, *, server: float = 0.0, **more: Any) -> HostView:
    """A host on a server of its own, unless `server` says when the server started."""
    identity = Identity(more.pop("system", 1), server or float(ord(name)))
    times = {"primary_from": 0.0, "primary_until": 10.0, **more}
    return HostView(name, identity=identity if answer else None, answer=answer, **times)


def view(*hosts: HostView, latched_s: float = 0.0) -> ClusterView:
    return ClusterView("main", hosts, latched_s)


def names(found: ClusterView) -> list[str]:
    return [each.name for each in found.primaries]


def test_a_primary_and_its_standby_are_all_well() -> None:
    found = view(host("a", PRIMARY), host("b", STANDBY))
    assert (names(found), found.refusal, found.missing, found.strangers) == (["a"], None, (), "")
    assert found.connected_standbys() == 1


def test_two_that_take_writes_are_a_split_brain_and_the_newer_timeline_is_named() -> None:
    refusal = view(host("a", PRIMARY), host("b", PROMOTED)).refusal
    assert isinstance(refusal, SplitBrain)
    assert refusal.hosts == "a (timeline 1) and b (timeline 10, the newest)"
    assert refusal.metadata == {"database": "main", "hosts": refusal.hosts}


def test_the_last_answer_of_a_primary_that_was_replaced_is_no_split_brain() -> None:
    found = view(
        host("a", PRIMARY, primary_until=10.0),
        host("b", PROMOTED, primary_from=10.1, primary_until=10.1),
    )
    assert (names(found), found.refusal) == (["b"], None)
    # Asked again, and it still takes writes.
    again = view(
        host("a", PRIMARY, primary_until=10.2),
        host("b", PROMOTED, primary_from=10.1, primary_until=10.3),
    )
    assert isinstance(again.refusal, SplitBrain)


@pytest.mark.parametrize("reason", ["is away", "does not answer"])
def test_a_primary_that_is_gone_does_not_count_unless_there_were_two(reason: str) -> None:
    hosts = (host("a", PRIMARY, gone=reason, silent_s=2.0), host("b", PROMOTED))
    assert names(view(*hosts)) == ["b"]
    assert [str(each) for each in view(*hosts).missing] == [f"a {reason}"]
    assert isinstance(view(*hosts, latched_s=5.0).refusal, SplitBrain)
    gone = dataclasses.replace(hosts[0], silent_s=5.0)
    assert view(gone, hosts[1], latched_s=5.0).refusal is None


def test_two_names_of_one_server_are_one_primary_and_no_standby() -> None:
    found = view(host("a", PRIMARY, server=1.0), host("b", PRIMARY, server=1.0), host("c", STANDBY))
    assert (names(found), found.refusal, found.missing) == (["a"], None, ())


def test_servers_of_two_clusters() -> None:
    found = view(host("a", PRIMARY, system=1), host("b", PRIMARY, system=2))
    assert isinstance(found.refusal, DifferentClusters)
    found = view(host("a", PRIMARY, system=1), host("b", STANDBY, system=2))
    assert (found.refusal, found.strangers) == (None, "a of 1; b of 2")
    unseen = view(host("a", PRIMARY, system=None), host("b", STANDBY, system=2))
    assert unseen.strangers == ""


def test_an_old_primary_that_is_read_only_takes_no_writes_and_is_no_standby() -> None:
    found = view(host("a", FENCED), host("b", PROMOTED))
    assert (names(found), found.refusal) == (["b"], None)
    assert [each.host for each in found.missing] == ["a"]


def test_a_standby_that_follows_nobody_is_missing() -> None:
    found = view(host("a", PRIMARY), host("b", STANDBY, astray="receives no WAL"))
    assert [str(each) for each in found.missing] == ["b receives no WAL"]


def test_what_was_not_looked_at_is_not_known_and_not_missing() -> None:
    found = view(host("a", PRIMARY), host("b", None))
    assert not found.known
    assert found.missing == ()
    optional = view(host("a", PRIMARY), host("b", None, expected=False, gone="is away"))
    assert optional.known
    assert optional.missing == ()


@pytest.mark.parametrize(
    ("interval_s", "ages", "connected", "late"),
    [
        (10.0, [0.0, 12.9], 2, ()),
        (10.0, [0.0, 13.1], 1, (13.1,)),
        (60.0, [50.0], 1, ()),
        (0.0, [500.0], 1, ()),
    ],
)
def test_a_standby_that_does_not_report_to_the_primary_is_late(
    interval_s: float, ages: list[float], connected: int, late: tuple[float, ...]
) -> None:
    primary = dataclasses.replace(PRIMARY, report_ages_s=ages, status_interval_s=interval_s)
    found = view(host("a", primary))
    assert (found.connected_standbys(), found.late_standbys()) == (connected, late)


def test_a_role_that_may_not_see_the_standbys_does_not_count_them() -> None:
    found = view(host("a", dataclasses.replace(PRIMARY, report_ages_s=None)))
    assert (found.connected_standbys(), found.late_standbys()) == (None, ())
