"""What a worker writes of the operations that it runs.

Every write names the worker and the attempt: one that lost an operation to another worker, and
does not know it yet, changes nothing any more.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dbopsd.operations.record import (
    DONE,
    Failure,
    Operation,
    Progress,
    State,
    WorkerState,
)
from dbopsd.operations.store.requests import forget_work, release_locks, take_locks
from dbopsd.operations.store.rows import as_json, operation_of
from dbopsd.operations.store.store import ControlStore
from dbopsd.operations.store.tables import operations, workers

_RUNNING = (State.RUNNING.value, State.CANCELLING.value)
_DONE = tuple(state.value for state in DONE)
_FORGET_AT_ONCE = 500


class WorkerLost(Exception):
    """The control store counts this worker as gone: others have its operations."""


@dataclass(frozen=True, slots=True)
class Losses:
    """How many workers vanished in the stage that an operation is in while they ran it."""

    count: int
    last_was_alone: bool
    """The last of them ran nothing else: no other operation can have been the cause."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An operation that a worker may run now, and what happened to those that ran it before."""

    operation: Operation
    losses: "Losses"


@dataclass(frozen=True, slots=True)
class Report:
    """How far a running operation has come."""

    operation: str
    attempt: int
    stage: str
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class AttemptStatus:
    """What the control store says of an operation that this worker runs."""

    ours: bool
    cancelling: bool


def begin(store: ControlStore, operation_id: str, worker: str) -> Begun | None:
    """Make the operation this worker's; None where it has ended. Raises `WorkerLost`."""
    with store.transaction() as connection:
        now = store.now()
        # A write first, so that SQLite's transaction begins with it; locks out whoever declares
        # this worker lost meanwhile.
        alive = connection.execute(
            sa.update(workers)
            .where(workers.c.id == worker, workers.c.state == WorkerState.ACTIVE.value)
            .values(heartbeat_time=now)
        ).rowcount
        if not alive:
            raise WorkerLost
        row = connection.execute(
            sa.update(operations)
            .where(operations.c.id == operation_id, operations.c.state.not_in(_DONE))
            .values(
                state=sa.case(
                    (operations.c.cancel_time.is_not(None), State.CANCELLING.value),
                    else_=State.RUNNING.value,
                ),
                attempt=operations.c.attempt + 1,
                worker=worker,
                start_time=sa.func.coalesce(operations.c.start_time, now),
                update_time=now,
                revision=operations.c.revision + 1,
            )
            .returning(*operations.c)
        ).first()
        return None if row is None else Begun(operation_of(row), _losses(row))


def losses(store: ControlStore, operation_id: str) -> Losses:
    """What happened to the workers that ran it; none where there is no such operation."""
    with store.transaction() as connection:
        row = connection.execute(
            sa.select(
                operations.c.stage, operations.c.lost_by_stage, operations.c.lost_alone
            ).where(operations.c.id == operation_id)
        ).first()
        return Losses(0, last_was_alone=False) if row is None else _losses(row)


def _losses(row: Any) -> Losses:
    by_stage = json.loads(row.lost_by_stage)
    # A worker that vanished before it had written any stage may have been in this one.
    stages = {row.stage, ""}
    return Losses(sum(by_stage.get(each, 0) for each in stages), last_was_alone=row.lost_alone)


def count_loss(connection: sa.Connection, worker: str) -> None:
    """Note for each operation of a worker that vanished that it did, and whether it was alone.

    In the transaction that counts the worker as lost, so that it is noted once.
    """
    rows = connection.execute(
        sa.select(operations.c.id, operations.c.stage, operations.c.lost_by_stage)
        .where(operations.c.worker == worker, operations.c.state.in_(_RUNNING))
        .with_for_update()
    ).all()
    for row in rows:
        by_stage = json.loads(row.lost_by_stage)
        by_stage[row.stage] = by_stage.get(row.stage, 0) + 1
        connection.execute(
            sa.update(operations)
            .where(operations.c.id == row.id)
            .values(
                lost_by_stage=json.dumps(by_stage, ensure_ascii=False),
                lost_alone=len(rows) == 1,
            )
        )


def report(store: ControlStore, worker: str, reports: Sequence[Report]) -> None:
    """Write how far operations have come."""
    with store.transaction() as connection:
        for each in reports:
            connection.execute(
                sa.update(operations)
                .where(*_ours(each.operation, worker, each.attempt))
                .values(
                    **_how_far(each),
                    update_time=store.now(),
                    revision=operations.c.revision + 1,
                )
            )


def _how_far(report: Report) -> dict[str, str | None]:
    progress = None if report.progress is None else as_json(report.progress)
    return {"stage": report.stage, "progress": progress}


def attempt_statuses(
    store: ControlStore, worker: str, attempts: dict[str, int]
) -> dict[str, AttemptStatus]:
    """What is said of each of the operations, by id, that this worker runs in these attempts."""
    with store.transaction() as connection:
        rows = connection.execute(
            sa.select(
                operations.c.id, operations.c.state, operations.c.worker, operations.c.attempt
            ).where(operations.c.id.in_(attempts))
        )
        found = {
            row.id: AttemptStatus(
                ours=row.worker == worker
                and row.attempt == attempts[row.id]
                and row.state in _RUNNING,
                cancelling=row.state == State.CANCELLING.value,
            )
            for row in rows
        }
    gone = AttemptStatus(ours=False, cancelling=False)
    return {operation: found.get(operation, gone) for operation in attempts}


def hold_locks(
    store: ControlStore, operation: Operation, kind: str, names: Collection[str]
) -> bool:
    """Have an operation that runs hold the locks of another kind too, all or none.

    False where it is not this worker's any more. Raises `OperationInTheWay`, and `Vanished` where
    it is to be tried again.
    """
    with store.transaction() as connection:
        ours = _touch(store, connection, operation)
        if ours:
            take_locks(store, connection, operation.id, kind, operation.database, names)
        return ours


def let_go(store: ControlStore, operation: Operation, names: Collection[str]) -> None:
    """Let others have these of its locks, if the operation is this worker's still."""
    with store.transaction() as connection:
        if _touch(store, connection, operation):
            release_locks(connection, operation.id, names)


def _touch(store: ControlStore, connection: sa.Connection, operation: Operation) -> bool:
    """Whether the operation is this worker's, and stays so to the end of the transaction."""
    touched = connection.execute(
        sa.update(operations)
        .where(*_ours(operation.id, operation.worker, operation.attempt))
        .values(update_time=store.now())
    )
    return bool(touched.rowcount)


def finish(
    store: ControlStore,
    operation: Operation,
    *,
    state: State,
    result: str | None = None,
    failure: Failure | None = None,
    report: Report | None = None,
) -> bool:
    """Record how this worker's attempt ended, and let go of its locks.

    `report`: how far it had come; the newest may not be written yet. False where it was not this
    worker's any more: nothing was written.
    """
    with store.transaction() as connection:
        now = store.now()
        ended = connection.execute(
            sa.update(operations)
            .where(*_ours(operation.id, operation.worker, operation.attempt))
            .values(
                state=state.value,
                result=result,
                failure=None if failure is None else as_json(failure),
                end_time=now,
                update_time=now,
                revision=operations.c.revision + 1,
                **({} if report is None else _how_far(report)),
            )
        ).rowcount
        if ended:
            release_locks(connection, operation.id)
        return bool(ended)


def _ours(operation: str, worker: str, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        operations.c.id == operation,
        operations.c.worker == worker,
        operations.c.attempt == attempt,
        operations.c.state.in_(_RUNNING),
    )


def overdue(store: ControlStore) -> list[Operation]:
    """The operations whose deadline passed before any worker began with them."""
    with store.transaction() as connection:
        rows = connection.execute(
            sa.select(operations).where(
                operations.c.state == State.QUEUED.value, operations.c.deadline < store.now()
            )
        )
        return [operation_of(row) for row in rows]


def expire(store: ControlStore, operation_id: str, failure: Failure) -> bool:
    """End an operation that no worker has begun with; False where one has meanwhile."""
    with store.transaction() as connection:
        now = store.now()
        ended = connection.execute(
            sa.update(operations)
            .where(operations.c.id == operation_id, operations.c.state == State.QUEUED.value)
            .values(
                state=State.FAILED.value,
                failure=as_json(failure),
                end_time=now,
                update_time=now,
                revision=operations.c.revision + 1,
            )
        ).rowcount
        if ended:
            release_locks(connection, operation_id)
        return bool(ended)


def forget(store: ControlStore, retention_s: float) -> int:
    """Delete operations that ended more than `retention_s` seconds ago; how many."""
    with store.transaction() as connection:
        old = (
            sa.select(operations.c.id)
            .where(operations.c.state.in_(_DONE))
            .where(operations.c.end_time < store.now() - int(retention_s * 1000))
            .limit(_FORGET_AT_ONCE)
        )
        deleted = connection.execute(
            sa.delete(operations)
            .where(operations.c.id.in_(old.scalar_subquery()))
            .returning(operations.c.id)
        )
        ids = list(deleted.scalars())
        if ids:
            forget_work(store, connection, ids)
        return len(ids)
