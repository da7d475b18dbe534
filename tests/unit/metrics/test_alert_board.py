"""Who watches alerts sees those of now, each change, and the newest state in any case."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from dbopsd.metrics.alerts.alert import Alert, AlertState
from dbopsd.metrics.alerts.board import AlertBoard, covers
from dbopsd.metrics.alerts.rules import Severity
from dbopsd.operations.alert_records import Silence

NOW = 1000.0


def alert(rule: str = "Load", database: str = "main", **changes: object) -> Alert:
    base = Alert(rule, database, (("db", "a"),), Severity.WARNING, "s", "r", 1.0, 10.0, 20.0)
    return replace(base, **changes)  # type: ignore[arg-type]


def silence(**changes: object) -> Silence:
    base = Silence("1", "Load", "", (), NOW + 100, "c", "me", NOW)
    return replace(base, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def watching(
    board: AlertBoard, databases: frozenset[str] | None = None
) -> AsyncIterator["asyncio.Queue[Alert]"]:
    """What a watcher gets that reads at once."""
    got: asyncio.Queue[Alert] = asyncio.Queue()

    async def read() -> None:
        async for each in board.watch(databases):
            if each is not None:
                got.put_nowait(each)

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    try:
        yield got
    finally:
        board.drain()
        await task


async def next_of(got: "asyncio.Queue[Alert]") -> tuple[str, AlertState]:
    found = await asyncio.wait_for(got.get(), 10)
    return found.rule, found.state


async def test_a_watcher_gets_those_of_now_and_each_change() -> None:
    board = AlertBoard()
    board.publish("main", [alert(), alert("Old", resolved_at=30.0)], NOW)
    async with watching(board) as got:
        assert await next_of(got) == ("Load", AlertState.FIRING)
        board.publish("main", [alert(), alert("New", fired_at=None)], NOW)
        assert await next_of(got) == ("New", AlertState.PENDING)
        board.publish("main", [alert(), alert("New")], NOW)
        assert await next_of(got) == ("New", AlertState.FIRING)
        board.publish("main", [alert().resolved(NOW), alert("New")], NOW)
        assert await next_of(got) == ("Load", AlertState.RESOLVED)
        assert got.empty()


async def test_a_value_alone_is_no_change() -> None:
    board = AlertBoard()
    assert board.publish("main", [alert()], NOW)
    assert not board.publish("main", [alert(value=5.0, summary="other")], NOW)
    assert board.alerts()[0].value == 5.0


async def test_one_that_was_pending_and_is_gone_is_said_to_be_over() -> None:
    board = AlertBoard()
    board.publish("main", [alert(fired_at=None)], NOW)
    async with watching(board) as got:
        assert await next_of(got) == ("Load", AlertState.PENDING)
        board.publish("main", [], NOW)
        over = await asyncio.wait_for(got.get(), 10)
        assert (over.state, over.fired_at) == (AlertState.RESOLVED, None)
        assert board.alerts() == []
        board.publish("main", [alert(fired_at=None, started_at=50.0)], NOW)
        assert await next_of(got) == ("Load", AlertState.PENDING)


async def test_one_who_reads_slowly_gets_the_newest_state_once() -> None:
    board = AlertBoard()
    board.publish("main", [alert()], NOW)
    watch = board.watch(None)
    assert await anext(watch) == alert()
    assert await anext(watch) is None
    for number in range(100):
        board.publish("main", [alert(started_at=float(number))], NOW)
    board.publish("main", [alert().resolved(NOW)], NOW)
    assert await anext(watch) == alert().resolved(NOW)
    board.drain()
    assert [each async for each in watch] == []


async def test_what_changes_while_others_are_sent_is_sent_after_them() -> None:
    board = AlertBoard()
    watch = board.watch(None)
    assert await anext(watch) is None
    board.publish("main", [alert("One"), alert("Two")], NOW)
    assert await anext(watch) == alert("One")
    board.publish("main", [alert("One").resolved(NOW), alert("Two")], NOW)
    assert await anext(watch) == alert("Two")
    assert await anext(watch) == alert("One").resolved(NOW)
    board.drain()
    assert [each async for each in watch] == []


async def test_only_the_databases_asked_for_are_seen() -> None:
    board = AlertBoard()
    board.publish("main", [alert()], NOW)
    board.publish("other", [alert(database="other")], NOW)
    assert [each.database for each in board.alerts({"other"})] == ["other"]
    async with watching(board, frozenset({"other"})) as got:
        assert (await asyncio.wait_for(got.get(), 10)).database == "other"
        board.publish("main", [alert("More")], NOW)
        board.publish("other", [alert(database="other").resolved(NOW)], NOW)
        assert await next_of(got) == ("Load", AlertState.RESOLVED)
        assert got.empty()


async def test_a_silence_covers_what_fires_and_ends() -> None:
    board = AlertBoard()
    board.publish("main", [alert(), alert("Soon", fired_at=None)], NOW)
    async with watching(board) as got:
        await next_of(got), await next_of(got)
        board.silence([silence(rule="*")], NOW)
        assert await next_of(got) == ("Load", AlertState.SILENCED)
        assert got.empty()
        assert [each.silence for each in board.alerts()] == ["", "1"]
        board.publish("main", [alert(), alert("Soon", fired_at=None)], NOW + 101)
        assert await next_of(got) == ("Load", AlertState.FIRING)


def test_a_silence_covers_by_rule_database_and_labels() -> None:
    assert covers(silence(), alert(), NOW)
    assert not covers(silence(), alert("Other"), NOW)
    assert not covers(silence(), alert(), NOW + 100)
    assert not covers(silence(database="other"), alert(), NOW)
    assert covers(silence(rule="*", database="main", labels=(("db", "a"),)), alert(), NOW)
    assert not covers(silence(labels=(("db", "b"),)), alert(), NOW)


def test_the_most_pressing_comes_first() -> None:
    board = AlertBoard()
    board.publish(
        "main",
        [
            alert("Resolved", resolved_at=30.0, severity=Severity.CRITICAL),
            alert("Pending", fired_at=None, severity=Severity.CRITICAL),
            alert("Warning"),
            alert("Critical", severity=Severity.CRITICAL),
        ],
        NOW,
    )
    assert [each.rule for each in board.alerts()] == ["Critical", "Warning", "Pending", "Resolved"]


def test_a_notification_is_remembered() -> None:
    board = AlertBoard()
    board.publish("main", [alert()], NOW)
    board.notified([alert().key, "unknown"], NOW)
    board.publish("main", [alert(value=3.0)], NOW + 10)
    assert board.alerts()[0].notified_at == NOW
