"""Schedules in the control store: what is wanted, what was missed, and what came of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from dbopsd.operations.errors import OperationInTheWay, ScheduleNotFound
from dbopsd.operations.record import NewOperation, Schedule
from dbopsd.operations.store import requests, schedules
from dbopsd.operations.store.store import ControlStore
from dbopsd.operations.store.tables import schedule_runs

HOURLY = Schedule(
    id="hourly", database="main", kind="demo", request='{"a":1}', cron="0 * * * *", time_zone="UTC"
)
NIGHTLY = replace(HOURLY, id="nightly", cron="30 2 * * *", time_zone="Europe/Berlin")
HOUR_MS = 3_600_000
GRACE_S = 15.0


def last_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def last_looked_at(control: ControlStore, *, hours_ago: float) -> None:
    """As if nobody had looked at any schedule for so long."""
    with control.transaction() as connection:
        connection.execute(
            sa.update(schedule_runs).values(due_after=control.now() - int(hours_ago * HOUR_MS))
        )


def missed(control: ControlStore) -> list[tuple[str, datetime]]:
    return [(each.id, due) for each, due in schedules.missed(control, grace_s=0)]


def test_schedules_are_those_that_are_wanted(control: ControlStore) -> None:
    schedules.apply(control, [HOURLY, NIGHTLY])
    found = schedules.list_schedules(control, "main")

    assert [each.name for each in found] == [HOURLY.name, NIGHTLY.name]
    (hourly, nightly) = found
    assert replace(hourly, next_time=None) == HOURLY
    assert nightly.next_time is not None
    upcoming = datetime.fromtimestamp(nightly.next_time, UTC)
    assert upcoming.minute == 30
    assert upcoming.hour in (0, 1), "02:30 in Berlin"
    assert schedules.list_schedules(control, "mai") == []

    changed = replace(HOURLY, cron="15 * * * *", request='{"a":2}')
    schedules.apply(control, [changed])
    (found_changed,) = schedules.list_schedules(control)
    assert replace(found_changed, next_time=None) == changed
    with pytest.raises(ScheduleNotFound):
        schedules.get_schedule(control, NIGHTLY.name)
    schedules.apply(control, [])
    assert schedules.list_schedules(control) == []
    with control.transaction() as connection:
        assert connection.execute(sa.select(schedule_runs)).all() == []


def test_what_was_missed_is_due_once_however_often_it_was(control: ControlStore) -> None:
    schedules.apply(control, [HOURLY])
    assert missed(control) == []
    last_looked_at(control, hours_ago=72.5)

    # Another start of a worker changes nothing.
    schedules.apply(control, [HOURLY])
    assert missed(control) == [("hourly", last_hour())]
    assert missed(control) == [("hourly", last_hour())], "until it is dealt with"
    schedules.note_run(control, HOURLY.name, last_hour(), operation="demo-1", problem="")

    assert missed(control) == []
    found = schedules.get_schedule(control, HOURLY.name)
    assert found.last_time == last_hour().timestamp()
    assert found.last_operation == "demo-1"


def test_what_has_just_come_due_is_left_to_the_clock(control: ControlStore) -> None:
    schedules.apply(control, [HOURLY])
    last_looked_at(control, hours_ago=2.5)
    since_s = (datetime.now(UTC) - last_hour()).total_seconds()

    # And what was missed before it is not made up for beside it.
    assert schedules.missed(control, grace_s=since_s + 60) == []
    assert missed(control) == [("hourly", last_hour())]


@pytest.mark.parametrize("field", ["cron", "time_zone"])
def test_a_schedule_whose_times_changed_makes_nothing_up(control: ControlStore, field: str) -> None:
    schedules.apply(control, [NIGHTLY])
    last_looked_at(control, hours_ago=72)
    changed = {"cron": "30 4 * * *"} if field == "cron" else {"time_zone": "Asia/Tokyo"}

    schedules.apply(control, [replace(NIGHTLY, **changed)])  # type: ignore[arg-type]

    assert missed(control) == []


def test_a_paused_schedule_starts_nothing_and_makes_nothing_up(
    control: ControlStore, open_control: Callable[[], ControlStore]
) -> None:
    schedules.apply(control, [HOURLY])
    paused = schedules.pause(control, HOURLY.name)
    assert (paused.paused, paused.next_time) == (True, None)
    last_looked_at(control, hours_ago=5)

    # Also after a restart with the same, and with another configuration.
    schedules.apply(open_control(), [HOURLY])
    assert schedules.get_schedule(control, HOURLY.name).paused
    schedules.apply(open_control(), [replace(HOURLY, cron="5 * * * *")])
    assert schedules.get_schedule(control, HOURLY.name).paused
    assert missed(control) == []
    last_looked_at(control, hours_ago=5)

    resumed = schedules.resume(control, HOURLY.name)
    assert not resumed.paused
    assert resumed.next_time is not None
    assert missed(control) == []
    assert schedules.resume(control, HOURLY.name).next_time == resumed.next_time
    for method in (schedules.pause, schedules.resume):
        with pytest.raises(ScheduleNotFound):
            method(control, "databases/main/schedules/unknown")


def test_a_schedule_of_which_nothing_is_known_is_due_from_now_on(control: ControlStore) -> None:
    schedules.apply(control, [HOURLY])
    with control.transaction() as connection:
        connection.execute(sa.delete(schedule_runs))

    assert missed(control) == []
    last_looked_at(control, hours_ago=2.5)
    assert missed(control) == [("hourly", last_hour())]


def test_a_problem_is_kept_until_the_next_time(control: ControlStore) -> None:
    schedules.apply(control, [HOURLY])
    last_looked_at(control, hours_ago=10)
    earlier = last_hour() - timedelta(hours=1)

    schedules.note_run(control, HOURLY.name, earlier, operation="", problem="it was in the way")
    assert schedules.get_schedule(control, HOURLY.name).last_problem == "it was in the way"
    schedules.note_run(control, HOURLY.name, last_hour(), operation="demo-2", problem="")
    # One that comes late says nothing any more.
    schedules.note_run(control, HOURLY.name, earlier, operation="demo-1", problem="late")

    found = schedules.get_schedule(control, HOURLY.name)
    assert (found.last_operation, found.last_problem) == ("demo-2", "")
    assert found.last_time == last_hour().timestamp()


def start(
    control: ControlStore,
    new: Callable[..., NewOperation],
    due: datetime,
    *,
    grace_s: float = GRACE_S,
    **fields: object,
) -> str | None:
    """The id of what is started for that time, as each worker starts it."""
    asked = new(request_id=f"{HOURLY.name}@{due.timestamp():.0f}", requester=HOURLY.name, **fields)
    started = schedules.start(control, HOURLY, due, asked, grace_s=grace_s)
    return None if started is None else started.id


@pytest.mark.parametrize("newest_first", [False, True])
def test_of_all_the_times_that_a_worker_slept_through_the_last_is_run(
    control: ControlStore, new: Callable[..., NewOperation], newest_first: bool
) -> None:
    schedules.apply(control, [HOURLY])
    last_looked_at(control, hours_ago=5.5)
    # DBOS's cron comes with each of them, in this order mostly.
    slept_through = [last_hour() - timedelta(hours=hours) for hours in (4, 3, 2, 1, 0)]
    if newest_first:
        slept_through.reverse()

    started = [start(control, new, due) for due in slept_through]
    again = [start(control, new, due) for due in slept_through]

    ids = [each for each in started if each is not None]
    assert [slept_through[started.index(each)] for each in ids] == [last_hour()]
    assert set(again) == {None}
    assert missed(control) == []
    found = schedules.get_schedule(control, HOURLY.name)
    assert (found.last_operation, found.last_time) == (ids[0], last_hour().timestamp())
    everything = requests.list_page(control, [], databases=None, after=None, limit=100)
    assert [each.id for each in everything] == ids


def test_many_that_wake_at_once_start_one(
    open_control: Callable[[], ControlStore], new: Callable[..., NewOperation]
) -> None:
    stores = [open_control() for _ in range(4)]
    schedules.apply(stores[0], [HOURLY])
    last_looked_at(stores[0], hours_ago=3.5)
    times = [last_hour() - timedelta(hours=hours) for hours in (2, 1, 0)]
    calls = [(store, due) for due in times for store in stores]

    with ThreadPoolExecutor(len(calls)) as threads:
        started = list(threads.map(lambda call: start(call[0], new, call[1]), calls))

    assert len([each for each in started if each is not None]) == 1


def test_a_time_that_is_late_within_the_grace_is_run_although_the_next_has_come(
    control: ControlStore, new: Callable[..., NewOperation]
) -> None:
    schedules.apply(control, [HOURLY])
    last_looked_at(control, hours_ago=3.5)
    before = last_hour() - timedelta(hours=1)

    assert start(control, new, before, grace_s=3 * 3600) is not None
    assert start(control, new, last_hour(), grace_s=3 * 3600) is not None


def test_a_time_is_not_run_while_paused_nor_for_a_schedule_that_is_gone(
    control: ControlStore, new: Callable[..., NewOperation]
) -> None:
    schedules.apply(control, [HOURLY])
    last_looked_at(control, hours_ago=1.5)
    schedules.pause(control, HOURLY.name)
    assert start(control, new, last_hour()) is None
    schedules.resume(control, HOURLY.name)
    assert start(control, new, last_hour()) is None, "it was due while paused"

    last_looked_at(control, hours_ago=1.5)
    assert start(control, new, last_hour()) is not None
    last_looked_at(control, hours_ago=1.5)
    schedules.apply(control, [])
    assert start(control, new, last_hour()) is None


def test_a_time_whose_operation_is_refused_is_not_taken_for_run(
    control: ControlStore, new: Callable[..., NewOperation]
) -> None:
    schedules.apply(control, [HOURLY])
    last_looked_at(control, hours_ago=1.5)
    requests.create(control, new(locks=frozenset({"demo"})))

    with pytest.raises(OperationInTheWay):
        start(control, new, last_hour(), locks=frozenset({"demo"}))

    assert schedules.get_schedule(control, HOURLY.name).last_operation == ""
    assert missed(control) == [("hourly", last_hour())]
