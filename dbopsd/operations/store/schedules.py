"""Schedules: DBOS's own, with what came of the last time that each was due."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from croniter import croniter

from dbopsd.operations.errors import ScheduleNotFound
from dbopsd.operations.record import Schedule
from dbopsd.operations.store.engine import translated
from dbopsd.operations.store.requests import insert
from dbopsd.operations.store.store import APPLICATION, ControlStore
from dbopsd.operations.store.tables import schedule_runs

SCHEDULED: Final = "scheduled"
"""The workflow that DBOS's cron starts: it asks for the schedule's operation."""

_PAUSED: Final = "PAUSED"


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
    return get_schedule(store, name)


def missed(store: ControlStore, *, grace_s: float) -> list[tuple[Schedule, datetime]]:
    """The schedules whose last time passed more than `grace_s` seconds ago and started nothing.

    Of several such times of one schedule it is the last. One of which nothing is known yet is due
    from now on.
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
        zone = ZoneInfo(schedule.time_zone)
        before = datetime.fromtimestamp(now - grace_s, zone)
        last: datetime = croniter(schedule.cron, before).get_prev(datetime)
        if schedule.name in due_after and last.timestamp() > due_after[schedule.name]:
            late.append((schedule, last))
    return late


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
