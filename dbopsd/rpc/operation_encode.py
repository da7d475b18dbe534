"""Operations, schedules and workers as messages of the contract."""

import logging
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import grpc
from dbops.v1 import operations_pb2, options_pb2
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import status_pb2

from dbopsd.errors import InvalidField
from dbopsd.operations.record import (
    DutyInfo,
    Failure,
    Operation,
    Progress,
    Schedule,
    State,
    WorkerInfo,
    WorkerState,
)
from dbopsd.rpc.codec_values import enum_numbers
from dbopsd.rpc.encode import resource_name
from dbopsd.rpc.operation_methods import OperationMethod
from dbopsd.rpc.status import make_status
from dbopsd.rpc.times import duration, timestamp
from dbopsd.rpc.validation import SEGMENT
from dbopsd.security.caller import Role, current_caller

_log = logging.getLogger(__name__)

_Metadata = operations_pb2.OperationMetadata
_STATES: Final = enum_numbers(State, _Metadata.State.DESCRIPTOR)
_WORKER_STATES: Final = enum_numbers(WorkerState, operations_pb2.Worker.State.DESCRIPTOR)
_OPERATION: Final = re.compile(rf"operations/({SEGMENT})")
# protobuf's Duration holds no more: 10,000 years.
_MAX_DURATION_S: Final = 315_576_000_000
_NO_CAUSE: Final = Failure("UNKNOWN", "NO_CAUSE_RECORDED", "the operation recorded no cause")


def operation_name(operation: str) -> str:
    """`operations/{operation}`."""
    return f"operations/{operation}"


def operation_id(name: str, field: str = "name") -> str:
    """The `{operation}` of `operations/{operation}`; raises `InvalidField` for another form."""
    match = _OPERATION.fullmatch(name)
    if match is None:
        problem = "is not of the form operations/{operation}" if name.strip() else "is required"
        raise InvalidField(field, problem)
    return match.group(1)


def encode_operation(
    operation: Operation, methods: Mapping[str, OperationMethod[Any, Any]]
) -> longrunning_pb2.Operation:
    """An operation with its metadata and, once it has ended, its result.

    A failure whose kind tells more of it has that result among the error's details. Without a
    response where the result's type is not known here, or is another version's. What the caller
    may not see of a result is left out.
    """
    encoded = longrunning_pb2.Operation(
        name=operation_name(operation.id), done=operation.state.done
    )
    encoded.metadata.Pack(encode_metadata(operation))
    if operation.state is State.SUCCEEDED:
        response = _result(operation, operation.result, methods)
        if response is not None:
            encoded.response.Pack(response)
    elif operation.state.done:
        failure = operation.failure or _NO_CAUSE
        encoded.error.CopyFrom(_error(failure, _result(operation, failure.result, methods)))
    return encoded


def encode_metadata(operation: Operation) -> operations_pb2.OperationMetadata:
    """The metadata of an operation."""
    return _Metadata(
        database=resource_name(operation.database),
        kind=operation.kind,
        state=_STATES[operation.state],
        stage=operation.stage,
        progress=_progress(operation),
        requester=operation.requester,
        request_id=operation.request_id,
        create_time=timestamp(operation.create_time),
        start_time=timestamp(operation.start_time),
        update_time=timestamp(operation.update_time),
        end_time=timestamp(operation.end_time),
        attempt=operation.attempt,
        worker=_worker_name(operation.worker) if operation.worker else "",
        deadline_time=timestamp(operation.deadline),
        cancel_time=timestamp(operation.cancel_time),
        trace_id=operation.trace_id,
    )


def encode_schedule(schedule: Schedule) -> operations_pb2.Schedule:
    """A schedule of the configuration."""
    last = schedule.last_operation
    return operations_pb2.Schedule(
        name=schedule.name,
        kind=schedule.kind,
        cron=schedule.cron,
        time_zone=schedule.time_zone,
        paused=schedule.paused,
        next_time=None if schedule.paused else timestamp(schedule.next_time),
        last_time=timestamp(schedule.last_time),
        last_operation=operation_name(last) if last else "",
        last_problem=schedule.last_problem,
    )


def encode_worker(worker: WorkerInfo, visible: Collection[str] | None) -> operations_pb2.Worker:
    """A worker, with those of its operations whose ids are `visible`; None: all are."""
    return operations_pb2.Worker(
        name=_worker_name(worker.id),
        state=_WORKER_STATES[worker.state],
        host=worker.host,
        pid=worker.pid,
        version=worker.version,
        start_time=timestamp(worker.start_time),
        heartbeat_time=timestamp(worker.heartbeat_time),
        operations=[
            operation_name(operation)
            for operation in worker.operations
            if visible is None or operation in visible
        ],
    )


def encode_duty(duty: DutyInfo) -> operations_pb2.Duty:
    """A duty and who holds it."""
    return operations_pb2.Duty(
        name=duty.name,
        holder=duty.holder,
        token=duty.token,
        acquire_time=timestamp(duty.acquire_time),
        heartbeat_time=timestamp(duty.heartbeat_time),
        last_problem=duty.last_problem,
    )


def _worker_name(worker: str) -> str:
    return f"workers/{worker}"


def _result(
    operation: Operation, result: str | None, methods: Mapping[str, OperationMethod[Any, Any]]
) -> Message | None:
    method = methods.get(operation.kind)
    if method is None or result is None:
        return None
    try:
        encoded = method.encode(result)
    except ValueError:
        # It must not take the whole list with it. Without the text, which quotes the result.
        _log.warning(
            "the result of %s is not one of %s as known here: another version's?",
            operation_name(operation.id),
            operation.kind,
        )
        return None
    _clear_hidden(encoded, operation.database)
    return encoded


def _clear_hidden(message: Message, database: str) -> None:
    """Clear the fields that need another role than the caller has, at every depth."""
    for field, value in message.ListFields():
        role = field.GetOptions().Extensions[options_pb2.field_role]
        if role and not current_caller.get().may(Role(role), database):
            message.ClearField(field.name)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else (value,):
                _clear_hidden(each, database)


def _error(failure: Failure, result: Message | None) -> status_pb2.Status:
    code = grpc.StatusCode.__members__.get(failure.code, grpc.StatusCode.UNKNOWN)
    extra = None if result is None else [result]
    return make_status(code, failure.message, failure.reason, failure.metadata, extra)


def _progress(operation: Operation) -> operations_pb2.OperationProgress | None:
    progress = operation.progress
    if progress is None:
        return None
    return operations_pb2.OperationProgress(
        done=progress.done,
        total=progress.total,
        unit=progress.unit,
        rate=progress.rate,
        remaining=None if operation.state.done else _remaining(progress),
    )


def _remaining(progress: Progress) -> Duration | None:
    seconds = progress.remaining_s
    # A rate next to nothing gives a time beyond every calendar: as good as not known.
    return duration(seconds) if seconds is not None and seconds <= _MAX_DURATION_S else None
