"""The health reports as messages of the contract."""

from typing import Final

from dbops.v1 import health_pb2, resources_pb2
from google.protobuf.duration_pb2 import Duration

from dbopsd.health.board import DatabaseInfo
from dbopsd.health.report import CheckResult, Report, ServerRole, State
from dbopsd.rpc.codec_values import enum_numbers
from dbopsd.rpc.times import duration, timestamp

_STATES: Final = enum_numbers(State, resources_pb2.Database.State.DESCRIPTOR)
_ROLES: Final = {
    None: resources_pb2.Database.SERVER_ROLE_UNSPECIFIED,
    **enum_numbers(ServerRole, resources_pb2.Database.ServerRole.DESCRIPTOR),
}


def resource_name(database: str) -> str:
    """`databases/{database}`."""
    return f"databases/{database}"


def database_id(name: str) -> str:
    """The `{database}` of a validated `databases/{database}`."""
    return name.removeprefix("databases/")


def encode_database(info: DatabaseInfo, report: Report) -> resources_pb2.Database:
    """A database with its present state."""
    return resources_pb2.Database(
        name=resource_name(info.name),
        hosts=info.hosts,
        postgres_database=info.postgres_database,
        embedded=info.embedded,
        state=_STATES[report.state],
        server_role=_ROLES[report.server_role],
        server_version=report.server_version,
    )


def encode_health(report: Report, now: float) -> health_pb2.DatabaseHealth:
    """A report, with its ages at `now`, in seconds since 1970."""
    return health_pb2.DatabaseHealth(
        name=resource_name(report.database),
        state=_STATES[report.state],
        explanation=report.explanation,
        server_role=_ROLES[report.server_role],
        server_version=report.server_version,
        answer_time=timestamp(report.answered_at),
        age=_age(report.answered_at, now),
        checks=[_encode_check(result, now) for result in report.checks],
    )


def _encode_check(result: CheckResult, now: float) -> health_pb2.HealthCheck:
    return health_pb2.HealthCheck(
        check=result.check,
        state=_STATES[result.state],
        value=result.value,
        unit=result.unit,
        warning_threshold=result.thresholds.warning,
        critical_threshold=result.thresholds.critical,
        reason=result.reason,
        message=result.message,
        measure_time=timestamp(result.measured_at),
        age=_age(result.measured_at, now),
    )


def _age(since: float | None, now: float) -> Duration | None:
    if since is None:
        return None
    # A clock that was set back must not make an age negative.
    return duration(max(0.0, now - since))
