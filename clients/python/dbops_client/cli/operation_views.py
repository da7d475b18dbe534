"""Operations, schedules and workers for people."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from dbops.v1 import operations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dbops_client._names import database_id, operation_id, schedule_id, worker_id
from dbops_client._sync.operations import Operation
from dbops_client.cli import protobuf_json
from dbops_client.cli.result_views import has_view, view_of
from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.values import count, duration, formatter

_Result = TypeVar("_Result", bound=Message)

_Metadata = operations_pb2.OperationMetadata
_State = _Metadata.State
_Worker = operations_pb2.Worker

_STYLES = {
    _Metadata.RUNNING: "cyan",
    _Metadata.CANCELLING: "yellow",
    _Metadata.SUCCEEDED: "green",
    _Metadata.FAILED: "bold red",
    _Metadata.CANCELLED: "yellow",
}
_WORKER_STYLES = {_Worker.ACTIVE: "green", _Worker.STOPPING: "yellow", _Worker.LOST: "bold red"}


def state_name(state: "_State.ValueType") -> str:
    """Return the name of a state, or the number of a state that this version does not know."""
    return _State.Name(state) if state in _State.values() else f"STATE_{state}"


def operation_table(operations: Iterable[Operation[Any]]) -> RenderableType:
    """Return a table of the operations, or a line if there are none."""
    table = new_table("OPERATION", "KIND", "DATABASE", "STATE", "CREATED", "TOOK", "DOING")
    for operation in operations:
        metadata = operation.metadata
        table.add_row(
            cell(operation_id(operation.name)),
            cell(metadata.kind or "-"),
            cell(database_id(metadata.database) or "-"),
            _state(metadata.state),
            cell(_time(metadata, "create_time")),
            cell(_took(metadata)),
            cell(doing(operation)),
        )
    return table if table.row_count else Text("There are no such operations.")


def operation_view(operation: Operation[Any]) -> RenderableType:
    """Return all that is known about an operation: a line for each fact, and its result.

    The result is shown by its registered view; one that has none is shown as JSON.
    """
    metadata = operation.metadata
    view = Table.grid(padding=(0, 2, 0, 0))
    view.add_column(no_wrap=True, style="bold")
    view.add_column(overflow="fold")
    view.add_row("Operation", cell(operation.name))
    view.add_row("State", _state(metadata.state))
    lines = {
        "Kind": metadata.kind,
        "Database": database_id(metadata.database),
        "Stage": "" if operation.done else doing(operation),
        "Requester": metadata.requester,
        "Request ID": metadata.request_id,
        "Created": _time(metadata, "create_time"),
        "Started": _time(metadata, "start_time"),
        "Updated": _time(metadata, "update_time"),
        "Cancelled at": _time(metadata, "cancel_time"),
        "Ended": _time(metadata, "end_time"),
        "Took": _took(metadata),
        "Deadline": _time(metadata, "deadline_time"),
        "Attempt": str(metadata.attempt or ""),
        "Worker": worker_id(metadata.worker),
        "Trace ID": metadata.trace_id,
    }
    if (error := operation.error) is not None:
        lines |= {"Error": error.message, "Code": error.code.name, "Reason": error.reason}
        lines |= {f"  {key}": value for key, value in sorted(error.metadata.items())}
    for name, value in lines.items():
        if value and value != "-":
            view.add_row(cell(name) if name.strip() == name else Text(name), cell(value))
    result = result_of(operation) if operation.done else None
    if result is not None and has_view(result):
        return Group(view, Text(), view_of(result))
    if operation.message.HasField("response"):
        # JSON escapes what is not printable; its line breaks are wanted here.
        view.add_row("Result", Text(protobuf_json.pretty(operation.message.response)))
    return view


def result_of(ended: Operation[_Result]) -> _Result | None:
    """Return the result of an operation that has ended, or what a failed one reports instead.

    None if there is none, or if it is of a type that this command does not know.
    """
    if ended.error is not None:
        return ended.partial_result
    try:
        return ended.result()
    except TypeError:
        return None


def doing(operation: Operation[Any]) -> str:
    """Return the stage, progress and attempt of an operation, or its error, in one line."""
    metadata = operation.metadata
    if (error := operation.error) is not None:
        return f"{error.reason or error.code.name}: {error.message}"
    if operation.done:
        return ""
    parts = [metadata.stage, progress(metadata), attempt(metadata)]
    return ", ".join(part for part in parts if part)


def progress(metadata: operations_pb2.OperationMetadata) -> str:
    """Return how much of the stage is done, its rate, and the time left; "" if unknown."""
    if not metadata.HasField("progress"):
        return ""
    now = metadata.progress
    rate = round(now.rate, 0 if now.rate >= 10 else 1)
    write = formatter(now.unit, (now.done, now.total))
    noun = ""
    if now.unit.startswith("{"):
        noun = f" {now.unit.strip('{}')}"
        write = count
    text = write(now.done) + (f" of {write(now.total)}" if now.total else "") + noun
    if now.rate > 0:
        text += f", {write(rate)}{noun}/s"
    if now.HasField("remaining"):
        text += f", {duration(_seconds(now.remaining))} left"
    return text


def attempt(metadata: operations_pb2.OperationMetadata) -> str:
    """Return the number of the attempt; "" for the first."""
    return f"attempt {metadata.attempt}, the worker was lost" if metadata.attempt > 1 else ""


def schedule_table(schedules: Iterable[operations_pb2.Schedule]) -> RenderableType:
    """Return a table of the schedules, or a line if there are none."""
    table = new_table("SCHEDULE", "KIND", "CRON", "TIME ZONE", "NEXT", "LAST", "LAST OPERATION")
    for schedule in schedules:
        last = operation_id(schedule.last_operation) or schedule.last_problem
        table.add_row(
            cell(schedule_id(schedule.name)),
            cell(schedule.kind),
            cell(schedule.cron),
            cell(schedule.time_zone),
            Text("paused", style="yellow")
            if schedule.paused
            else cell(_time(schedule, "next_time")),
            cell(_time(schedule, "last_time")),
            cell(last or "-"),
        )
    return table if table.row_count else Text("There are no such schedules.")


def worker_table(workers: Iterable[operations_pb2.Worker]) -> RenderableType:
    """Return a table of the workers, or a line if there are none."""
    table = new_table(
        "WORKER", "STATE", "HOST", "PID", "VERSION", "STARTED", "HEARTBEAT", "OPERATIONS"
    )
    for worker in workers:
        known = worker.state in _Worker.State.values()
        state = _Worker.State.Name(worker.state) if known else f"STATE_{worker.state}"
        table.add_row(
            cell(worker_id(worker.name)),
            Text(state, style=_WORKER_STYLES.get(worker.state, "")),
            cell(worker.host),
            cell(str(worker.pid)),
            cell(worker.version),
            cell(_time(worker, "start_time")),
            cell(_time(worker, "heartbeat_time")),
            cell(", ".join(operation_id(name) for name in worker.operations) or "-"),
        )
    return table if table.row_count else Text("There are no workers: operations stay queued.")


def duty_table(duties: Iterable[operations_pb2.Duty]) -> RenderableType:
    """Return the duties, one a row, or a line that says there is none."""
    table = new_table("DUTY", "DATABASE", "HOLDER", "SINCE", "HEARTBEAT", "LAST PROBLEM")
    for duty in duties:
        database, _, name = duty.name.rpartition("duties/")
        held = bool(duty.holder)
        table.add_row(
            cell(name),
            cell(database_id(database).rstrip("/") or "-"),
            cell(duty.holder.rpartition("/")[2]) if held else Text("nobody", style="bold red"),
            cell(_time(duty, "acquire_time") if held else "-"),
            cell(_time(duty, "heartbeat_time")),
            cell(duty.last_problem or "-"),
        )
    return table if table.row_count else Text("The configuration asks for no duty.")


def _state(state: "_State.ValueType") -> Text:
    return Text(state_name(state), style=_STYLES.get(state, ""))


def _time(
    message: operations_pb2.OperationMetadata
    | operations_pb2.Schedule
    | operations_pb2.Worker
    | operations_pb2.Duty,
    field: str,
) -> str:
    if not message.HasField(field):  # type: ignore[arg-type]  # one of the message's own
        return "-"
    return _moment(getattr(message, field)).astimezone().isoformat(timespec="seconds")


def _took(metadata: operations_pb2.OperationMetadata) -> str:
    """Return the time since a worker first started it, pauses between attempts included."""
    if not metadata.HasField("start_time"):
        return "-"
    # Only by the server's clock: this machine's may be wrong.
    end = metadata.end_time if metadata.HasField("end_time") else metadata.update_time
    took = _moment(end) - _moment(metadata.start_time)
    return duration(max(0.0, took.total_seconds()))


def _moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)


def _seconds(value: Duration) -> float:
    return value.ToNanoseconds() / 1e9
