"""The request of a method that starts an operation: no I/O."""

from collections.abc import Mapping
from typing import Any, TypedDict, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from dbops_client._channel import seconds
from dbops_client._errors import ConfigurationError
from dbops_client._metadata import Metadata
from dbops_client._request_id import request_id_or_new

_Request = TypeVar("_Request", bound=Message)


class StartOptions(TypedDict, total=False):
    """The options of every method that starts an operation.

    `request_id`: the same one twice is one operation; without one the client generates one, so
    that it can retry the call. With `validate_only` nothing starts: the call fails where starting
    would fail, and otherwise returns an operation that is done and has no name.
    `operation_timeout_s` is how long the operation may take, in seconds; without it, as long as it
    takes. `timeout_s` and `metadata` are those of every method, and are about the call alone.
    """

    request_id: str | None
    validate_only: bool
    operation_timeout_s: float | None
    timeout_s: float | None
    metadata: Metadata


def start_request(
    request_type: type[_Request], options: Mapping[str, Any], fields: Mapping[str, Any]
) -> tuple[_Request, float | None, Metadata]:
    """Return the request that `options` and `fields` make, and the call's timeout and metadata.

    Raises ConfigurationError for an option that the request cannot hold.
    """
    values = {**options, **fields}
    timeout_s: float | None = values.pop("timeout_s", None)
    metadata: Metadata = values.pop("metadata", ())
    values["request_id"] = request_id_or_new(values.get("request_id"))
    operation_timeout_s = values.pop("operation_timeout_s", None)
    lock_wait_s = values.pop("lock_wait_s", None)
    roundtrip_limit_s = values.pop("roundtrip_limit_s", None)
    for field, name, value_s in (
        ("timeout", "operation_timeout_s", operation_timeout_s),
        ("lock_wait", "lock_wait_s", lock_wait_s),
        ("roundtrip_limit", "roundtrip_limit_s", roundtrip_limit_s),
    ):
        if value_s is not None:
            values[field] = _duration(seconds(name, value_s))
    request = request_type()
    for name, value in values.items():
        _set(request, name, value)
    return request, timeout_s, metadata


def _set(request: Message, name: str, value: Any) -> None:
    field = request.DESCRIPTOR.fields_by_name.get(name)
    if field is not None and field.is_repeated and isinstance(value, str):
        # A text is a sequence too: of letters.
        raise ConfigurationError(f"{name} is a sequence of names, not a name")
    try:
        request.MergeFrom(type(request)(**{name: value}))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} cannot be sent: {error}") from error


def _duration(value_s: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(value_s * 1e9))
    return duration
