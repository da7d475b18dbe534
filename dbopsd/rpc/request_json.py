"""A request as the configuration writes it: protobuf's JSON, in TOML."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from dbopsd.errors import InvalidField


def set_fields(message: Message, fields: Mapping[str, Any], *, refused: frozenset[str]) -> None:
    """Set the fields of `message`, by their names in the proto or in JSON, but for the `refused`.

    The value of an enum may be written in small letters too. Raises `InvalidField`.
    """
    known: dict[str, Any] = {
        name: field
        for field in message.DESCRIPTOR.fields
        if field.name not in refused
        for name in (field.name, field.json_name)
    }
    for name, value in fields.items():
        field = known.get(name)
        if field is None:
            raise InvalidField(name, _unknown(name, message, refused))
        if field.enum_type is not None and isinstance(value, str):
            names = [each.name for each in field.enum_type.values]
            if value.upper() not in names:
                raise InvalidField(name, f"is none of {', '.join(names[1:])}")
        try:
            json_format.ParseDict({name: _as_json(field, value)}, message)
        except json_format.ParseError as error:
            # protobuf names the field first; here that is said by who reports this.
            problem = str(error).removeprefix(f"Failed to parse {field.name} field: ")
            raise InvalidField(name, f"cannot be: {problem}") from None


def _unknown(name: str, message: Message, refused: frozenset[str]) -> str:
    if name in refused:
        return "is not for a schedule to say"
    fields = [field.name for field in message.DESCRIPTOR.fields if field.name not in refused]
    return f"is not a field of {message.DESCRIPTOR.name}; there are: {', '.join(fields) or 'none'}"


def _as_json(field: Any, value: Any) -> Any:
    """Convert values that TOML writes differently from JSON."""
    if isinstance(value, list):
        return [_as_json(field, each) for each in value]
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if field.enum_type is not None and isinstance(value, str):
        return value.upper()
    if isinstance(value, dict) and field.message_type is not None:
        inner = {
            name: each for each in field.message_type.fields for name in (each.name, each.json_name)
        }
        return {
            key: _as_json(inner[key], each) if key in inner else each for key, each in value.items()
        }
    return value
