"""Which workers are there: their heartbeats, by the store's own clock."""

from typing import Final

import sqlalchemy as sa

from dbopsd.operations.record import State, WorkerInfo, WorkerState
from dbopsd.operations.store.requests import insert
from dbopsd.operations.store.rows import worker_of
from dbopsd.operations.store.store import ControlStore
from dbopsd.operations.store.tables import operations, workers

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
        connection.execute(
            sa.update(workers)
            .where(workers.c.id == replaces, workers.c.state.in_(_THERE))
            .values(state=WorkerState.LOST.value)
        )


def heartbeat(store: ControlStore, worker: str) -> bool:
    """Say that the worker is there; False where it counts as gone already."""
    with store.transaction() as connection:
        beaten = connection.execute(
            sa.update(workers)
            .where(workers.c.id == worker, workers.c.state.in_(_THERE))
            .values(heartbeat_time=store.now())
        ).rowcount
        return bool(beaten)


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


def heartbeats(store: ControlStore) -> dict[str, int]:
    """The last heartbeat of each worker that is there, in ms since 1970, by its id."""
    with store.transaction() as connection:
        there = sa.select(workers.c.id, workers.c.heartbeat_time).where(workers.c.state.in_(_THERE))
        return {row.id: row.heartbeat_time for row in connection.execute(there)}


def declare_silent(store: ControlStore, worker: str, heartbeat: int) -> bool:
    """Count the worker as LOST; False where it was heard of since that heartbeat."""
    with store.transaction() as connection:
        lost = connection.execute(
            sa.update(workers)
            .where(workers.c.id == worker, workers.c.state.in_(_THERE))
            .where(workers.c.heartbeat_time == heartbeat)
            .values(state=WorkerState.LOST.value)
        ).rowcount
        return bool(lost)


def forget_gone(store: ControlStore) -> None:
    """Forget workers that went more than a day ago."""
    with store.transaction() as connection:
        connection.execute(
            sa.delete(workers)
            .where(workers.c.state.not_in(_THERE))
            .where(workers.c.heartbeat_time < store.now() - _KEPT_MS)
        )
