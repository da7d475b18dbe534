"""Protobuf JSON, as described at https://protobuf.dev/programming-guides/json/."""

import json
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from google.protobuf import any_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message


def pretty(message: Message) -> str:
    """Return a message as a JSON object over several lines."""
    return json.dumps(as_dict(message), indent=2)


def pretty_with_defaults(message: Message) -> str:
    """Return a message like `pretty`, including fields that are zero, false or empty."""
    return json.dumps(MessageToDict(message, always_print_fields_with_no_presence=True), indent=2)


def pretty_array(messages: Iterable[Message]) -> str:
    """Return messages as a JSON array over several lines."""
    return json.dumps([as_dict(message) for message in messages], indent=2)


def line(message: Message) -> str:
    """Return a message as a JSON object on one line."""
    return json.dumps(as_dict(message), separators=(",", ":"))


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message as a JSON object.

    An Any of a type that only a newer server knows has its bytes in base64 as `value`, beside its
    `@type`.
    """
    try:
        return MessageToDict(message)
    except (TypeError, DecodeError):
        if isinstance(message, any_pb2.Any):
            return {"@type": message.type_url, "value": b64encode(message.value).decode()}
        return _part_by_part(message)


def line_with_defaults(message: Message) -> str:
    """Return a message like `line`, including fields that are zero, false or empty."""
    found = MessageToDict(message, always_print_fields_with_no_presence=True)
    return json.dumps(found, separators=(",", ":"))


def _part_by_part(message: Message) -> dict[str, Any]:
    """Return a message that holds an unknown Any, which protobuf refuses as a whole."""
    rest = type(message)()
    rest.CopyFrom(message)
    parts: dict[str, Any] = {}
    for field, value in message.ListFields():
        # No message of the contract has a map with Any values.
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        rest.ClearField(field.name)
        parts[field.json_name] = (
            [as_dict(each) for each in value] if field.is_repeated else as_dict(value)
        )
    return {**MessageToDict(rest), **parts}
