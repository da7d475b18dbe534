"""The board: what watchers are told, and when the daemon counts as ready."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from dbopsd.errors import DatabaseNotFound
from dbopsd.health.board import DatabaseInfo, HealthBoard, Readiness
from dbopsd.health.report import Report, State
from tests.unit.health.results import report

H, D, U, X = State.HEALTHY, State.DEGRADED, State.UNHEALTHY, State.UNKNOWN


def board_of(
    *states: State, requires: Readiness = "all", names: tuple[str, ...] = ("main", "other")
) -> HealthBoard:
    named = dict(zip(names, states, strict=False))
    return HealthBoard(
        [DatabaseInfo(name, ("localhost:5432",), "postgres", False) for name in named],
        {name: report(state, name) for name, state in named.items()},
        readiness_requires=requires,
    )


async def next_of(stream: AsyncIterator[Report]) -> Report:
    return await asyncio.wait_for(anext(stream), 5)


async def nothing_comes(stream: AsyncIterator[Report]) -> asyncio.Task[Report]:
    """The pending read of `stream`, which has had every chance to end."""
    pending = asyncio.ensure_future(anext(stream))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not pending.done()
    return pending


async def test_a_watch_tells_the_present_state_at_once_and_then_changes_only() -> None:
    board = board_of(H)
    stream = board.watch("main")
    assert (await next_of(stream)).state is H
    pending = await nothing_comes(stream)
    board.publish(report(H, answered_at=2.0))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not pending.done()
    board.publish(report(D))
    assert (await asyncio.wait_for(pending, 5)).state is D


async def test_a_watch_of_every_probe_tells_each_report() -> None:
    board = board_of(H)
    stream = board.watch("main", every_probe=True)
    await next_of(stream)
    for answered_at in (2.0, 3.0):
        board.publish(report(H, answered_at=answered_at))
        assert (await next_of(stream)).answered_at == answered_at
    await asyncio.wait_for(_settle(await nothing_comes(stream)), 5)


async def _settle(task: asyncio.Task[Report]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_slow_reader_gets_the_newest_state() -> None:
    board = board_of(H)
    stream = board.watch("main")
    await next_of(stream)
    for state in (D, X, U):
        board.publish(report(state))
    assert (await next_of(stream)).state is U
    # There and back while nobody looked is no change.
    board.publish(report(H))
    board.publish(report(U))
    pending = await nothing_comes(stream)
    board.drain()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(pending, 5)


async def test_another_databases_change_tells_nothing() -> None:
    board = board_of(H, H)
    stream = board.watch("main", every_probe=True)
    await next_of(stream)
    board.publish(report(U, "other"))
    await _settle(await nothing_comes(stream))


async def test_many_watchers_are_all_told() -> None:
    board = board_of(H)
    streams = [board.watch("main") for _ in range(100)]
    for stream in streams:
        await next_of(stream)
    pending = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0)
    board.publish(report(U))
    assert {each.state for each in await asyncio.wait_for(asyncio.gather(*pending), 5)} == {U}


async def test_every_watch_ends_when_the_daemon_drains() -> None:
    board = board_of(H)
    reports = asyncio.ensure_future(_all_of(board))
    await asyncio.sleep(0)
    board.drain()
    assert [each.state for each in await asyncio.wait_for(reports, 5)] == [H]
    # One that begins later still has the present state.
    assert len(await asyncio.wait_for(_all_of(board), 5)) == 1


async def _all_of(board: HealthBoard) -> list[Report]:
    return [each async for each in board.watch("main")]


async def test_an_unknown_database_is_an_error() -> None:
    board = board_of(H)
    with pytest.raises(DatabaseNotFound):
        board.report("nope")
    with pytest.raises(DatabaseNotFound):
        await anext(board.watch("nope"))


@pytest.mark.parametrize(
    ("requires", "states", "ready"),
    [
        ("all", (H, D), True),
        ("all", (H, U), False),
        ("all", (U, H), False),
        ("all", (X, H), False),
        ("any", (U, H), True),
        ("any", (H, U), True),
        ("any", (U, U), False),
        ("all", (H, X), False),
        ("any", (U, D), True),
        ("any", (U, X), False),
        ("none", (U, U), True),
    ],
)
def test_readiness_follows_the_databases(
    requires: Readiness, states: tuple[State, ...], ready: bool
) -> None:
    board = board_of(*states, requires=requires)
    assert not board.ready, "before the listeners are open"
    board.accept()
    assert board.ready is ready
    board.leave()
    assert not board.ready
    assert board.leaving


async def test_a_watch_goes_on_while_the_daemon_is_about_to_stop() -> None:
    board = board_of(H)
    board.accept()
    stream = board.watch("main")
    await next_of(stream)
    board.leave()
    pending = await nothing_comes(stream)
    board.publish(report(U))
    assert (await asyncio.wait_for(pending, 5)).state is U
    board.drain()
    assert not board.ready
    assert board.leaving


def test_databases_come_by_name() -> None:
    board = board_of(H, H, names=("zebra", "ant"))
    assert [info.name for info in board.databases] == ["ant", "zebra"]
