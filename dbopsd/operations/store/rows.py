"""Convert rows of the control store to records."""

import json
from dataclasses import asdict
from typing import Any

from dbopsd.operations.record import Failure, Operation, Progress, State, WorkerInfo, WorkerState


def operation_of(row: Any) -> Operation:
    """The operation in a row of `operations`."""
    return Operation(
        id=row.id,
        kind=row.kind,
        database=row.database,
        state=State(row.state),
        requester=row.requester,
        request_id=row.request_id,
        role=row.role,
        request=row.request,
        create_time=row.create_time / 1000,
        update_time=row.update_time / 1000,
        start_time=_seconds(row.start_time),
        end_time=_seconds(row.end_time),
        cancel_time=_seconds(row.cancel_time),
        deadline=_seconds(row.deadline),
        stage=row.stage,
        progress=Progress(**json.loads(row.progress)) if row.progress else None,
        attempt=row.attempt,
        worker=row.worker,
        traceparent=row.traceparent,
        result=row.result,
        failure=Failure(**json.loads(row.failure)) if row.failure else None,
        revision=row.revision,
    )


def worker_of(row: Any, operations: tuple[str, ...]) -> WorkerInfo:
    """The worker in a row of `workers`."""
    return WorkerInfo(
        id=row.id,
        state=WorkerState(row.state),
        host=row.host,
        pid=row.pid,
        version=row.version,
        start_time=row.start_time / 1000,
        heartbeat_time=row.heartbeat_time / 1000,
        operations=operations,
    )


def as_json(value: Progress | Failure) -> str:
    """What a column keeps of it."""
    return json.dumps(asdict(value), ensure_ascii=False, separators=(",", ":"))


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
