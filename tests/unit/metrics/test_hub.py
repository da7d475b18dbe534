"""Snapshots and those who watch them."""

import asyncio

import pytest

from dbopsd.errors import DatabaseNotFound
from dbopsd.metrics.hub import MetricsHub, Wanted, changed_samples
from dbopsd.metrics.model import Collection, CollectorState, CollectorStatus
from dbopsd.metrics.selection import EVERYTHING, Selection
from tests.support.patience import eventually
from tests.unit.metrics.made import COMMITS, UP, collection, snapshot

ALL = Wanted("main", EVERYTHING, 0.0)


@pytest.fixture
def hub() -> MetricsHub:
    return MetricsHub(["main", "other"])


def publish(hub: MetricsHub, value: float, name: str = "up") -> None:
    hub.publish("main", {name: collection(name, (UP, (), value))})


def values(shown) -> list[float]:
    return [each.value for each in shown.samples()]


async def soon(watch):
    async with asyncio.timeout(10):
        return await anext(watch)


def test_a_database_that_is_not_configured_has_no_snapshot(hub):
    with pytest.raises(DatabaseNotFound):
        hub.snapshot("nope")


def test_publishing_replaces_the_collections_of_these_names_alone(hub):
    publish(hub, 1.0)
    hub.publish("main", {"commits": collection("commits", (COMMITS, ("a",), 5.0))})
    publish(hub, 0.0)
    assert values(hub.snapshot("main")) == [5.0, 0.0]
    assert values(hub.snapshot("other")) == []


async def test_a_watcher_gets_what_there_is_and_each_new_one(hub):
    publish(hub, 1.0)
    watch = hub.watch(ALL)
    first = await soon(watch)
    assert (values(first.update.snapshot), first.missed) == ([1.0], 0)
    publish(hub, 2.0)
    second = await soon(watch)
    assert (values(second.update.snapshot), second.missed) == ([2.0], 0)
    assert second.update.previous is first.update.snapshot
    await watch.aclose()


async def test_a_slow_watcher_gets_the_newest_and_holds_up_nobody(hub):
    publish(hub, 0.0)
    quick, slow = hub.watch(ALL), hub.watch(ALL)
    await soon(quick)
    await soon(slow)
    for number in range(1, 6):
        publish(hub, float(number))
        assert values((await soon(quick)).update.snapshot) == [float(number)]
    seen = await soon(slow)
    assert (values(seen.update.snapshot), seen.missed) == ([5.0], 4)
    await quick.aclose()
    await slow.aclose()


async def test_many_watchers_have_their_turns_and_others_run_in_between(hub):
    publish(hub, 0.0)
    watches = [hub.watch(ALL) for _ in range(400)]
    await asyncio.gather(*map(soon, watches))
    loop, turns = asyncio.get_running_loop(), []

    async def follow(watch):
        seen = await soon(watch)
        turns.append(loop.time())
        return seen

    following = [asyncio.create_task(follow(watch)) for watch in watches]
    await asyncio.sleep(0)
    publish(hub, 1.0)
    seen = await asyncio.gather(*following)
    assert {(id(each.update), each.missed) for each in seen} == {(id(seen[0].update), 0)}
    # Eight at a time, of which each lets others run.
    assert len({round(turn, 4) for turn in turns}) >= 20
    assert turns[-1] - turns[0] >= 0.05
    for watch in watches:
        await watch.aclose()


async def test_who_wants_the_same_shares_each_update(hub):
    publish(hub, 0.0)
    wanted = Wanted("main", Selection.of(["pg_up"]), 0.0)
    watches = [hub.watch(Wanted("main", Selection.of(["pg_up"]), 0.0)) for _ in range(10)]
    watches.append(hub.watch(wanted))
    assert len({id((await soon(watch)).update) for watch in watches}) == 1
    publish(hub, 1.0)
    assert len({id((await soon(watch)).update) for watch in watches}) == 1
    for watch in watches:
        await watch.aclose()


async def test_nothing_is_left_of_watchers_that_have_gone(hub):
    before = asyncio.all_tasks()
    for _ in range(20):
        watch = hub.watch(ALL)
        await soon(watch)
        await watch.aclose()
    await eventually(lambda: asyncio.all_tasks() == before)


async def test_an_interval_is_kept_and_shows_the_newest_at_its_end(hub):
    publish(hub, 0.0)
    watch = hub.watch(Wanted("main", EVERYTHING, 0.3))
    await soon(watch)
    began = asyncio.get_running_loop().time()
    for number in range(1, 4):
        publish(hub, float(number))
        await asyncio.sleep(0.01)
    seen = await soon(watch)
    assert asyncio.get_running_loop().time() - began >= 0.25
    assert (values(seen.update.snapshot), seen.missed) == ([3.0], 0)
    await watch.aclose()


async def test_what_a_watcher_did_not_ask_for_is_no_news(hub):
    """A filter on what is seldom sampled is answered as seldom, and costs as little."""
    hub.publish("main", {"commits": collection("commits", (COMMITS, ("a",), 1.0))})
    publish(hub, 0.0)
    watch = hub.watch(Wanted("main", Selection.of([COMMITS.name]), 0.0))
    await soon(watch)
    following = asyncio.ensure_future(anext(watch))
    for number in range(1, 4):
        publish(hub, float(number))
        await asyncio.sleep(0.01)
    assert not following.done()
    # The same value, taken again, is news.
    hub.publish("main", {"commits": collection("commits", (COMMITS, ("a",), 1.0))})
    seen = await asyncio.wait_for(following, 10)
    assert (values(seen.update.snapshot), seen.missed) == ([1.0], 0)
    # And so is a collector that fails, though it has no sample that was asked for.
    failed = CollectorStatus("up", CollectorState.FAILED, "QUERY_TIMEOUT")
    hub.publish("main", {"up": Collection(failed)})
    statuses = (await soon(watch)).update.snapshot.collections
    assert statuses["up"].status.reason == "QUERY_TIMEOUT"
    await watch.aclose()


async def test_every_watch_ends_when_the_daemon_drains(hub):
    publish(hub, 0.0)
    watches = [hub.watch(ALL), hub.watch(Wanted("main", EVERYTHING, 3600.0))]
    for watch in watches:
        await soon(watch)
    publish(hub, 1.0)
    await soon(watches[0])
    hub.drain()
    for watch in watches:
        with pytest.raises(StopAsyncIteration):
            await soon(watch)


async def test_a_database_that_is_not_configured_is_not_watched(hub):
    with pytest.raises(DatabaseNotFound):
        await anext(hub.watch(Wanted("nope", EVERYTHING, 1.0)))


def test_changes_are_what_is_new_another_or_gone():
    same = collection("same", (UP, (), 1.0))
    before = snapshot(
        "main",
        same,
        collection("commits", (COMMITS, ("a",), 1.0), (COMMITS, ("b",), 1.0), (COMMITS, ("c",), 1)),
    )
    now = snapshot(
        "main",
        same,
        collection("commits", (COMMITS, ("a",), 1.0), (COMMITS, ("b",), 2.0), (COMMITS, ("d",), 0)),
    )
    changed, gone = changed_samples(now, before)
    assert [(each.series.labels, each.value) for each in changed] == [(("b",), 2.0), (("d",), 0)]
    assert [each.series.labels for each in gone] == [("c",)]
