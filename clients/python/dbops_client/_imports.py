"""What the calls of an import may say, and the requests that are made of it: no I/O."""

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, TypeVar

from dbops.v1 import migrate_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from dbops_client._channel import seconds
from dbops_client._errors import ConfigurationError
from dbops_client._names import database_name, operation_name
from dbops_client._request_id import request_id_or_new

_Request = TypeVar("_Request", bound=Message)


class StartOptions(TypedDict, total=False):
    """What may be said of every operation when it is started.

    `request_id`: the same one twice is one operation; without one the client makes one up, so that
    the call can be tried again. With `validate_only` nothing starts: it fails where starting would,
    and else the answer is an operation that is done and has no name. `operation_timeout_s` is how
    long the operation may take, in seconds; without it, as long as it takes.
    """

    request_id: str
    validate_only: bool
    operation_timeout_s: float


class PlanImportOptions(StartOptions, total=False):
    """What may be said of an import, as `RunImportRequest` has it.

    `mapping` is a text in TOML, such as `ImportPlan.mapping`, not the path of one.
    """

    schema: str
    target: Literal["CREATE", "EXISTING"]
    mode: Literal["REPLACE", "APPEND", "UPSERT"]
    delete_missing: bool
    tables: Sequence[str]
    exclude_tables: Sequence[str]
    bad_rows: Literal["FAIL", "QUARANTINE"]
    integrity: Literal["QUICK", "FULL", "OFF"]
    identifier_case: Literal["PRESERVE", "LOWER"]
    mapping: str
    max_examples: int


class RunImportOptions(PlanImportOptions, total=False):
    """What may be said of an import that is run, besides."""

    processes: int
    skip_verification: bool


class VerifyImportOptions(StartOptions, total=False):
    """What may be said when what an import brought is compared.

    `source` is another file than the import's own.
    """

    source: str
    max_examples: int


def plan_import_request(
    database: str, source: str, options: PlanImportOptions
) -> migrate_pb2.PlanImportRequest:
    """Return the request; raises ConfigurationError for an option that it cannot hold."""
    return _request(migrate_pb2.PlanImportRequest, database, {**options, "source": source})


def run_import_request(
    database: str, source: str, options: RunImportOptions
) -> migrate_pb2.RunImportRequest:
    """Return the request; raises ConfigurationError for an option that it cannot hold."""
    return _request(migrate_pb2.RunImportRequest, database, {**options, "source": source})


def verify_import_request(
    database: str, operation: str, options: VerifyImportOptions
) -> migrate_pb2.VerifyImportRequest:
    """Return the request; raises ConfigurationError for an option that it cannot hold."""
    fields = {**options, "operation": operation_name(operation)}
    return _request(migrate_pb2.VerifyImportRequest, database, fields)


def revert_import_request(
    database: str, operation: str, options: StartOptions
) -> migrate_pb2.RevertImportRequest:
    """Return the request; raises ConfigurationError for an option that it cannot hold."""
    fields = {**options, "operation": operation_name(operation)}
    return _request(migrate_pb2.RevertImportRequest, database, fields)


def _request(request_type: type[_Request], database: str, fields: dict[str, Any]) -> _Request:
    fields["name"] = database_name(database)
    fields["request_id"] = request_id_or_new(fields.get("request_id"))
    operation_timeout_s = fields.pop("operation_timeout_s", None)
    if operation_timeout_s is not None:
        timeout_s = seconds("operation_timeout_s", operation_timeout_s)
        fields["timeout"] = Duration()
        fields["timeout"].FromNanoseconds(round(timeout_s * 1e9))
    for name in ("tables", "exclude_tables"):
        if isinstance(fields.get(name), str):  # which is a sequence of letters
            raise ConfigurationError(f"{name} is a sequence of names, not a name")
    made = request_type()
    for name, value in fields.items():
        try:
            made.MergeFrom(request_type(**{name: value}))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"{name} cannot be sent: {error}") from error
    return made
