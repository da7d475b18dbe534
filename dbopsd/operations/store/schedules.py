"""Schedules: DBOS's own, with what came of the last time that each was due."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from croniter import croniter

from dbopsd.operations.errors import ScheduleNotFound
from dbopsd.operations.record import NewOperation, Operation, Schedule
from dbopsd.operations.store.notifications import Topic
from dbopsd.operations.store.requests import create, engine_tables, insert
from dbopsd.operations.store.sql_engine import translated
from dbopsd.operations.store.store import APPLICATION, ControlStore
from dbopsd.operations.store.tables import schedule_runs

SCHEDULED: Final = "scheduled"
"""The workflow that DBOS's cron starts: it asks for the schedule's operation."""

_PAUSED: Final = "PAUSED"


class _NotDue(Exception):
    """A schedule is to start nothing for that time."""


def apply(store: ControlStore, wanted: Sequence[Schedule]) -> None:
    """Make DBOS's schedules those that are `wanted`; whether one is paused stays as it is.

    One that is new, or whose times changed, is next due at its next time: nothing is made up for.
    Interrupted anywhere, it is done by being called again.
    """
    store.open()
    with translated(store.where):
        found = {each["schedule_name"]: each for each in store.client.list_schedules()}
    # Before DBOS knows of them: or whoever looks in between finds new times with an old past.
    with store.transaction() as connection:
        for schedule in wanted:
            before = found.get(schedule.name)
            times = (schedule.cron, schedule.time_zone)
            if before is None or (before["schedule"], before["cron_timezone"]) != times:
                _note(store, connection, schedule.name, None, "", "")
    with translated(store.where):
        store.client.apply_schedules(
            [
                {
                    "schedule_name": schedule.name,
                    "workflow_name": SCHEDULED,
                    "schedule": schedule.cron,
                    "cron_timezone": schedule.time_zone,
                    "application_name": APPLICATION,
                    "context": {
                        "database": schedule.database,
                        "id": schedule.id,
                        "kind": schedule.kind,
                        "request": schedule.request,
                    },
                }
                for schedule in wanted
            ]
        )
        for name in found.keys() - {schedule.name for schedule in wanted}:
            store.client.delete_schedule(name)
    with store.transaction() as connection:
        store.publish(connection, Topic.SCHEDULES)
        connection.execute(
            sa.delete(schedule_runs).where(
                schedule_runs.c.schedule.not_in([schedule.name for schedule in wanted])
            )
        )


def list_schedules(store: ControlStore, database: str | None = None) -> list[Schedule]:
    """The schedules of a database, or of every one, by name."""
    prefix = None if database is None else f"databases/{database}/schedules/"
    store.open()
    with translated(store.where):
        found = store.client.list_schedules(schedule_name_prefix=prefix)
    with store.transaction() as connection:
        runs = {row.schedule: row for row in connection.execute(sa.select(schedule_runs))}
    schedules = [_schedule_of(each, runs.get(each["schedule_name"])) for each in found]
    return sorted(schedules, key=lambda schedule: schedule.name)


def get_schedule(store: ControlStore, name: str) -> Schedule:
    """The schedule of that resource name. Raises `ScheduleNotFound`."""
    store.open()
    with translated(store.where):
        found = store.client.get_schedule(name)
    if found is None:
        raise ScheduleNotFound(name)
    with store.transaction() as connection:
        run = connection.execute(
            sa.select(schedule_runs).where(schedule_runs.c.schedule == name)
        ).first()
    return _schedule_of(found, run)


def pause(store: ControlStore, name: str) -> Schedule:
    """Have it start nothing. Raises `ScheduleNotFound`."""
    get_schedule(store, name)
    with translated(store.where):
        store.client.pause_schedule(name)
    store.publish_now(Topic.SCHEDULES)
    return get_schedule(store, name)


def resume(store: ControlStore, name: str) -> Schedule:
    """Have it go on with its next time. Raises `ScheduleNotFound`."""
    if not get_schedule(store, name).paused:
        return get_schedule(store, name)
    # First: or what it would have started while paused counts as missed.
    with store.transaction() as connection:
        connection.execute(
            sa.update(schedule_runs)
            .where(schedule_runs.c.schedule == name)
            .values(due_after=store.now())
        )
    with translated(store.where):
        store.client.resume_schedule(name)
    store.publish_now(Topic.SCHEDULES)
    return get_schedule(store, name)


def missed(store: ControlStore, *, grace_s: float) -> list[tuple[Schedule, datetime]]:
    """The schedules whose last time passed more than `grace_s` seconds ago and started nothing.

    One whose last time is more recent is left to the clock, whatever was missed before it: or the
    clock would start a second operation beside the one that makes up for it. One of which nothing
    is known yet is due from now on.
    """
    found = [schedule for schedule in list_schedules(store) if not schedule.paused]
    with store.transaction() as connection:
        for schedule in found:
            connection.execute(
                insert(store, schedule_runs)
                .values(
                    schedule=schedule.name,
                    due_after=store.now(),
                    time=None,
                    operation="",
                    problem="",
                )
                .on_conflict_do_nothing()
            )
        now = connection.execute(sa.select(store.now())).scalar_one() / 1000
        due_after = {
            row.schedule: row.due_after / 1000
            for row in connection.execute(
                sa.select(schedule_runs.c.schedule, schedule_runs.c.due_after)
            )
        }
    late = []
    for schedule in found:
        at = datetime.fromtimestamp(now, ZoneInfo(schedule.time_zone))
        last: datetime = croniter(schedule.cron, at).get_prev(datetime)
        time_s = last.timestamp()
        known = schedule.name in due_after
        if known and due_after[schedule.name] < time_s < now - grace_s:
            late.append((schedule, last))
    return late


def start(
    store: ControlStore, schedule: Schedule, due: datetime, new: NewOperation, *, grace_s: float
) -> Operation | None:
    """Start the schedule's operation of that time and note it, both or neither; None: not to be.

    It is not where that time or a later one is dealt with, where the schedule is paused, and where
    the time is more than `grace_s` seconds old and a later one has come as well: of all that a
    worker slept through, the last is made up for. Raises what `create` does.
    """
    due_ms = round(due.timestamp() * 1000)
    at = due.astimezone(ZoneInfo(schedule.time_zone))
    following: datetime = croniter(schedule.cron, at).get_next(datetime)

    def claim(connection: sa.Connection) -> None:
        # A write first: whoever else comes with a time of this schedule waits here for the end of
        # this transaction, and then finds what it left.
        claimed = connection.execute(
            sa.update(schedule_runs)
            .where(schedule_runs.c.schedule == schedule.name, schedule_runs.c.due_after < due_ms)
            .values(due_after=due_ms, time=due_ms, operation=new.id, problem="")
        ).rowcount
        now = connection.execute(sa.select(store.now())).scalar_one() / 1000
        superseded = following.timestamp() <= now and due.timestamp() < now - grace_s
        if not claimed or superseded or _is_paused(store, connection, schedule.name):
            raise _NotDue

    try:
        return create(store, new, first=claim)
    except _NotDue:
        return None


def _is_paused(store: ControlStore, connection: sa.Connection, name: str) -> bool:
    """Also where there is no such schedule any more."""
    known = engine_tables(store, connection).workflow_schedules
    status = connection.execute(sa.select(known.c.status).where(known.c.schedule_name == name))
    return status.scalar() in (None, _PAUSED)


def note_run(
    store: ControlStore, name: str, time: datetime, *, operation: str, problem: str
) -> None:
    """Record what came of the time `time` of a schedule, unless a later one is recorded."""
    with store.transaction() as connection:
        _note(store, connection, name, round(time.timestamp() * 1000), operation, problem)


def _note(
    store: ControlStore,
    connection: sa.Connection,
    name: str,
    time_ms: int | None,
    operation: str,
    problem: str,
) -> None:
    """`time_ms` None: it was due at no time yet, and from now on."""
    due_after: Any = store.now() if time_ms is None else time_ms
    statement = insert(store, schedule_runs).values(
        schedule=name, due_after=due_after, time=time_ms, operation=operation, problem=problem
    )
    later = schedule_runs.c.due_after <= statement.excluded.due_after
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[schedule_runs.c.schedule],
            set_={
                column: statement.excluded[column]
                for column in ("due_after", "time", "operation", "problem")
            },
            where=later,
        )
    )


def _schedule_of(found: Any, run: Any) -> Schedule:
    context = found["context"]
    zone = ZoneInfo(found["cron_timezone"] or "UTC")
    paused = found["status"] == _PAUSED
    upcoming: datetime = croniter(found["schedule"], datetime.now(zone)).get_next(datetime)
    return Schedule(
        id=context["id"],
        database=context["database"],
        kind=context["kind"],
        request=context["request"],
        cron=found["schedule"],
        time_zone=str(zone),
        paused=paused,
        next_time=None if paused else upcoming.timestamp(),
        last_time=None if run is None or run.time is None else run.time / 1000,
        last_operation="" if run is None else run.operation,
        last_problem="" if run is None else run.problem,
    )
