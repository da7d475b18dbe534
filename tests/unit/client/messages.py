"""Messages as dbopsd sends them."""

from datetime import timedelta

import grpc
from dbops.v1 import health_pb2, operations_pb2, resources_pb2
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

Database = resources_pb2.Database
State = operations_pb2.OperationMetadata


def database(name="main", state=Database.HEALTHY, **fields):
    defaults = {
        "hosts": ["db1.example:5432"],
        "postgres_database": "app",
        "server_role": Database.PRIMARY,
        "server_version": "18.6",
    }
    return Database(name=f"databases/{name}", state=state, **{**defaults, **fields})


def health(name="main", state=Database.HEALTHY, explanation="", checks=(), age_s=0.4, **fields):
    return health_pb2.DatabaseHealth(
        name=f"databases/{name}",
        state=state,
        explanation=explanation,
        age=None if age_s is None else _duration(age_s),
        checks=checks,
        **{"server_role": Database.PRIMARY, "server_version": "18.6", **fields},
    )


def watched(*args, **kwargs):
    return health_pb2.WatchHealthResponse(health=health(*args, **kwargs))


def check(name, state=Database.HEALTHY, unit="1", age_s=0.4, **fields):
    return health_pb2.HealthCheck(
        check=name, state=state, unit=unit, age=_duration(age_s), **fields
    )


def status_details(code, message, reason, metadata=None, domain="dbops.v1"):
    """The trailing metadata that carries `google.rpc.Status` with an ErrorInfo."""
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata or {}))
    number, _ = code.value
    status = status_pb2.Status(code=number, message=message, details=[info])
    return (("grpc-status-details-bin", status.SerializeToString()),)


def database_not_found(name):
    """Code, message and trailing metadata of dbopsd's answer to a name it does not know."""
    message = f"no database {name!r} is configured"
    code = grpc.StatusCode.NOT_FOUND
    return code, message, status_details(code, message, "DATABASE_NOT_FOUND", {"database": name})


def _duration(seconds):
    duration = duration_pb2.Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration


def operation(name="7f3a", state=State.QUEUED, *, response=None, error=None, **fields):
    """An operation as dbopsd sends it; `error` is (code's name, message, reason)."""
    if error is not None:
        state = State.CANCELLED if error[0] == "CANCELLED" else State.FAILED
    if response is not None:
        state = State.SUCCEEDED
    metadata = operations_pb2.OperationMetadata(
        **{"database": "databases/main", "kind": "create-backup", "state": state, **fields}
    )
    name = name if "/" in name else f"operations/{name}"
    message = longrunning_pb2.Operation(name=name, done=state >= State.SUCCEEDED)
    message.metadata.Pack(metadata)
    if response is not None:
        message.response.Pack(response)
    if error is not None:
        code, text, reason = error
        message.error.code = grpc.StatusCode[code].value[0]
        message.error.message = text
        message.error.details.add().Pack(
            error_details_pb2.ErrorInfo(
                reason=reason, domain="dbops.v1", metadata={"path": "/backup"}
            )
        )
    return message


def progressing(done, total=0, unit="By", rate=0.0, remaining_s=None):
    remaining = None if remaining_s is None else _duration(remaining_s)
    return operations_pb2.OperationProgress(
        done=done, total=total, unit=unit, rate=rate, remaining=remaining
    )
