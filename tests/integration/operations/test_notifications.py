"""What the processes of a control store publish, on SQLite and on PostgreSQL."""

import asyncio
import os
import select
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from opentelemetry.trace import NoOpTracer

from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.notification_listener import NotificationListener
from dbopsd.operations.record import NewOperation, Schedule
from dbopsd.operations.store import requests, schedules
from dbopsd.operations.store.notifications import FifoNotifications, Subscription, Topic
from dbopsd.operations.store.store import ControlStore
from tests.support.patience import eventually

New = Callable[..., NewOperation]


@pytest.fixture
def subscription(open_control: Callable[[], ControlStore]) -> Iterator[Subscription]:
    """Another process's."""
    with closing(open_control().subscribe("w-other")) as made:
        yield made


def heard(subscription: Subscription, timeout_s: float = 5.0) -> set[Topic]:
    """What arrives first, in that time."""
    readable, _, _ = select.select([subscription], [], [], timeout_s)
    return subscription.receive() if readable else set()


def test_what_is_published_is_heard_once_it_is_committed(
    control: ControlStore, subscription: Subscription
) -> None:
    with control.transaction() as connection:
        control.publish(connection, Topic.DUTIES)
        assert heard(subscription, 0.2) == set()
    assert heard(subscription) == {Topic.DUTIES}
    control.publish_now(Topic.WORK)
    assert heard(subscription) == {Topic.WORK}

    with pytest.raises(ZeroDivisionError), control.transaction() as connection:
        control.publish(connection, Topic.DUTIES)
        raise ZeroDivisionError
    assert heard(subscription, 0.2) == set()


def test_a_new_operation_is_published_and_so_is_what_becomes_of_a_schedule(
    control: ControlStore, subscription: Subscription, new: New
) -> None:
    requests.create(control, new())
    assert heard(subscription) == {Topic.WORK}

    schedule = Schedule("nightly", "main", "demo", "{}", "0 3 * * *", "UTC")
    for change in (
        lambda: schedules.apply(control, [schedule]),
        lambda: schedules.pause(control, schedule.name),
        lambda: schedules.resume(control, schedule.name),
    ):
        change()
        assert heard(subscription) == {Topic.SCHEDULES}


def test_every_listener_hears_it(open_control: Callable[[], ControlStore]) -> None:
    control = open_control()
    subscriptions = [open_control().subscribe(f"w-{number}") for number in range(3)]
    control.publish_now(Topic.WORK)
    for each in subscriptions:
        assert heard(each) == {Topic.WORK}
        each.close()
    control.publish_now(Topic.WORK)  # to nobody


def test_a_fifo_that_nobody_reads_any_more_is_removed(tmp_path: Path) -> None:
    fifos = FifoNotifications(tmp_path / "fifos")
    with closing(fifos.subscribe("w-alive")):
        os.mkfifo(tmp_path / "fifos" / "w-dead")
        (tmp_path / "fifos" / "w-file").write_text("somebody's")
        fifos.publish(Topic.WORK)
        with closing(fifos.subscribe("w-new")) as new:
            names = {path.name for path in (tmp_path / "fifos").iterdir()}
            assert names == {"w-alive", "w-new", "w-file"}
            fifos.publish(Topic.WORK)
            assert heard(new) == {Topic.WORK}
    assert (tmp_path / "fifos" / "w-file").read_text() == "somebody's"
    assert {path.name for path in (tmp_path / "fifos").iterdir()} == {"w-file"}


def test_whoever_publishes_never_waits_for_one_who_does_not_read(tmp_path: Path) -> None:
    fifos = FifoNotifications(tmp_path / "fifos")
    with closing(fifos.subscribe("w-busy")) as busy:
        for _ in range(70_000):  # more than a FIFO holds
            fifos.publish(Topic.WORK)
        assert heard(busy) == {Topic.WORK}


@pytest.mark.parametrize("control_url", ["postgresql"], indirect=True)
async def test_a_listener_that_was_cut_off_listens_anew_and_looks_for_what_it_missed(
    control_url: str, control: ControlStore, tmp_path: Path
) -> None:
    topics: list[Topic] = []
    threads = AsyncControlStore(control_url, tmp_path / "none", NoOpTracer())
    task = asyncio.create_task(NotificationListener(threads, "w-1", topics.append).run())
    try:
        await eventually(lambda: len(topics) == len(Topic), 10, "it listens")
        with control.transaction() as connection:
            ended = connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND query LIKE 'LISTEN %'"
                )
            )
            assert len(ended.all()) == 1
        await eventually(lambda: len(topics) == 2 * len(Topic), 10, "it listens anew")
        assert set(topics) == set(Topic)
        await asyncio.to_thread(control.publish_now, Topic.DUTIES)
        await eventually(lambda: topics[2 * len(Topic) :] == [Topic.DUTIES], 10, "it hears")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        threads.close()


@pytest.mark.parametrize("control_url", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_closed_is_not_lent(control: ControlStore) -> None:
    own = sa.text("SELECT pg_backend_pid()")
    with control.transaction() as connection:
        pid = connection.execute(own).scalar_one()
    other = sa.create_engine(control.engine.url)
    with other.begin() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.dispose()

    with control.transaction() as connection:
        assert connection.execute(own).scalar_one() != pid
