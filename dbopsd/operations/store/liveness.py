"""Heartbeats of workers, by the store's clock."""

from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from dbopsd.operations.record import State, WorkerInfo, WorkerState
from dbopsd.operations.store.attempts import count_loss
from dbopsd.operations.store.requests import engine_tables, insert
from dbopsd.operations.store.rows import worker_of
from dbopsd.operations.store.schedules import SCHEDULED
from dbopsd.operations.store.store import ControlStore
from dbopsd.operations.store.tables import duties, operations, workers

_KEPT_MS: Final = 24 * 60 * 60 * 1000
_THERE: Final = (WorkerState.ACTIVE.value, WorkerState.STOPPING.value)


def register(
    store: ControlStore, worker: str, *, host: str, pid: int, version: str, replaces: str
) -> None:
    """Say that a worker is there, and that the one it `replaces` (empty: none) is not."""
    with store.transaction() as connection:
        now = store.now()
        connection.execute(
            insert(store, workers)
            .values(
                id=worker,
                state=WorkerState.ACTIVE.value,
                host=host,
                pid=pid,
                version=version,
                start_time=now,
                heartbeat_time=now,
            )
            .on_conflict_do_nothing()
        )
        gone = connection.execute(
            sa.update(workers)
            .where(workers.c.id == replaces, workers.c.state.in_(_THERE))
            .values(state=WorkerState.LOST.value)
        ).rowcount
        if gone:
            count_loss(connection, replaces)
        if replaces:
            # Whoever started this worker has seen the other process end.
            connection.execute(
                sa.update(duties).where(duties.c.holder == f"workers/{replaces}").values(holder="")
            )


@dataclass(slots=True)
class Pulse:
    """What a worker learns of the control store with each of its heartbeats."""

    known: bool = True
    """False: this worker counts as gone already."""
    heartbeats: dict[str, int] = field(default_factory=dict)
    """The last heartbeat of each worker that is there, in ms since 1970, by its id."""
    claims: dict[str, str] = field(default_factory=dict)
    """The worker that has claimed it, by the id of each piece of work that is claimed."""
    queued: bool = False
    """Operations wait for a worker."""
    overdue: bool = False
    """The deadline of an operation passed before any worker began with it."""
    ticks: bool = False
    """Schedules have come due."""


def beat(store: ControlStore, worker: str) -> Pulse:
    """Say that the worker is there, and look for what there is to do: one statement each.

    All that a worker at rest asks regularly, in one transaction.
    """
    with store.transaction() as connection:
        beaten = connection.execute(
            sa.update(workers)
            .where(workers.c.id == worker, workers.c.state.in_(_THERE))
            .values(heartbeat_time=store.now())
        ).rowcount
        pulse = Pulse(known=bool(beaten))
        work = engine_tables(store, connection).workflow_status
        for row in connection.execute(_look(store, work)):
            match row.what:
                case "heartbeat":
                    pulse.heartbeats[row.name] = row.number
                case "claim":
                    pulse.claims[row.name] = row.worker
                case _:
                    setattr(pulse, row.what, bool(row.number))
    return pulse


def _look(store: ControlStore, work: Any) -> sa.CompoundSelect[Any]:
    """One query, whose rows have in `what` what they tell of."""
    none = sa.literal("", sa.Text)
    queued = operations.c.state == State.QUEUED.value

    def count(what: str, column: sa.ColumnElement[Any], *where: sa.ColumnElement[bool]) -> Any:
        return sa.select(sa.literal(what, sa.Text), none, none, sa.func.count(column)).where(*where)

    return sa.union_all(
        sa.select(
            sa.literal("heartbeat", sa.Text).label("what"),
            workers.c.id.label("name"),
            none.label("worker"),
            workers.c.heartbeat_time.label("number"),
        ).where(workers.c.state.in_(_THERE)),
        sa.select(
            sa.literal("claim", sa.Text),
            work.c.workflow_uuid,
            sa.func.coalesce(work.c.executor_id, none),
            sa.literal(0, sa.BigInteger),
        ).where(work.c.status == "PENDING"),
        count("queued", operations.c.id, queued),
        count("overdue", operations.c.id, queued, operations.c.deadline < store.now()),
        count(
            "ticks",
            work.c.workflow_uuid,
            work.c.status == "ENQUEUED",
            work.c.name == SCHEDULED,
        ),
    )


def leave(store: ControlStore, worker: str, state: WorkerState) -> None:
    """Say that the worker is STOPPING or STOPPED, unless it counts as gone already."""
    with store.transaction() as connection:
        connection.execute(
            sa.update(workers)
            .where(workers.c.id == worker, workers.c.state.in_(_THERE))
            .values(state=state.value, heartbeat_time=store.now())
        )


def all_workers(store: ControlStore) -> list[WorkerInfo]:
    """Every worker that is known, by id, with the operations that it is at."""
    with store.transaction() as connection:
        at_work: dict[str, list[str]] = {}
        running = sa.select(operations.c.worker, operations.c.id).where(
            operations.c.state.in_((State.RUNNING.value, State.CANCELLING.value))
        )
        for row in connection.execute(running.order_by(operations.c.id)):
            at_work.setdefault(row.worker, []).append(row.id)
        rows = connection.execute(sa.select(workers).order_by(workers.c.id))
        return [worker_of(row, tuple(at_work.get(row.id, ()))) for row in rows]


def declare_silent(store: ControlStore, worker: str, heartbeat: int) -> bool:
    """Count the worker as LOST; False where it was heard of since that heartbeat."""
    with store.transaction() as connection:
        lost = connection.execute(
            sa.update(workers)
            .where(workers.c.id == worker, workers.c.state.in_(_THERE))
            .where(workers.c.heartbeat_time == heartbeat)
            .values(state=WorkerState.LOST.value)
        ).rowcount
        if lost:
            count_loss(connection, worker)
        return bool(lost)


def forget_gone(store: ControlStore) -> None:
    """Forget workers that went more than a day ago."""
    with store.transaction() as connection:
        connection.execute(
            sa.delete(workers)
            .where(workers.c.state.not_in(_THERE))
            .where(workers.c.heartbeat_time < store.now() - _KEPT_MS)
        )
