"""Convert between the value of a field and its attribute, by their types.

- A scalar is `str`, `bytes`, `bool`, `int` or `float`.
- An enum is an `Enum` with values of the same names. The proto's value 0 stands for "not set".
- A `Timestamp` is a `float`, seconds since 1970, or a `datetime` with a time zone.
- A `Duration` is a `float` or an `int` whose name ends with its unit: the field `timeout` is the
  attribute `timeout_s`, `timeout_ms` or `timeout_us`.
- Any other message is a dataclass.
- A repeated field is a `list` or a `tuple`, a map is a `dict`. Each field of a oneof may be None.
- A string that refers to a resource is the last id of its name alone where its attribute ends with
  `_id`: `operation`, `operations/{operation}`, is `operation_id`; a request's own `name`,
  `databases/{database}/backups/{backup}`, is `backup_id`. Several, `backups`, are `backup_ids`.
"""

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from dbopsd.errors import InvalidField
from dbopsd.rpc.times import duration, seconds, timestamp
from dbopsd.rpc.validation import resource_patterns

Convert = Callable[[Any], Any]

_UNITS: Final = {"_s": 1, "_ms": 1_000, "_us": 1_000_000}
"""How many there are in a second, by the end of an attribute's name."""
_SCALARS: Final[dict[int, type[Any]]] = {
    FieldDescriptor.CPPTYPE_BOOL: bool,
    FieldDescriptor.CPPTYPE_DOUBLE: float,
    FieldDescriptor.CPPTYPE_FLOAT: float,
    FieldDescriptor.CPPTYPE_INT32: int,
    FieldDescriptor.CPPTYPE_INT64: int,
    FieldDescriptor.CPPTYPE_STRING: str,
    FieldDescriptor.CPPTYPE_UINT32: int,
    FieldDescriptor.CPPTYPE_UINT64: int,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ValueCodec:
    """How a value is decoded and encoded. None: it is the same on both sides.

    `decode` raises `InvalidField` whose field is the path below the value, or empty.
    """

    decode: Convert | None = None
    encode: Convert | None = None
    zero_is_unset: bool = False
    """Whether a zero stands for nothing, as that of an enum does."""


def attribute_names(field: FieldDescriptor) -> list[str]:
    """The allowed names of a field's attribute."""
    names = [field.name]
    if _message_name(field) == "google.protobuf.Duration":
        names += [field.name + unit for unit in _UNITS]
    pattern = _resource_pattern(field)
    if pattern:
        names.append(
            f"{field.name.removesuffix('s')}_ids" if field.is_repeated else f"{field.name}_id"
        )
        if field.name == "name":
            names.append(f"{pattern.rpartition('{')[2].removesuffix('}')}_id")
    return names


def field_codec(
    field: FieldDescriptor,
    attribute: str,
    type_: Any,
    within: Callable[[Descriptor, type[Any]], ValueCodec],
) -> ValueCodec:
    """How all that a field holds is converted; `within`: what converts a message within it.

    Raises ValueError where the types do not go together.
    """
    if not field.is_repeated:
        return _value_codec(field, attribute, type_, within)
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if origin is not dict:
            raise ValueError(f"a map is not {type_}")
        key, value = field.message_type.fields
        if _value_codec(key, attribute, arguments[0], within).decode:
            raise ValueError(f"the key of a map is not {arguments[0]}")
        codec = _value_codec(value, attribute, arguments[1], within)
        return ValueCodec(_of_each_key(codec.decode), _of_each_key(codec.encode))
    if origin is not list and (origin is not tuple or arguments[1:] != (...,)):
        raise ValueError(f"a repeated field is not {type_}")
    codec = _value_codec(field, attribute, arguments[0], within)
    return ValueCodec(_decode_each(codec.decode, origin), _encode_each(codec.encode))


def enum_numbers(enum: type[Enum], descriptor: EnumDescriptor) -> dict[Any, Any]:
    """The proto's number of each value. Raises ValueError unless both have the same names."""
    numbers = {value.name: value.number for value in descriptor.values if value.number}
    odd = numbers.keys() ^ enum.__members__.keys()
    if odd:
        raise ValueError(
            f"only one of {descriptor.full_name} and {enum.__name__} has {', '.join(sorted(odd))}"
        )
    return {member: numbers[name] for name, member in enum.__members__.items()}


def without_none(type_: Any) -> tuple[Any, bool]:
    """A type without None, and whether it had that."""
    if typing.get_origin(type_) not in (typing.Union, types.UnionType):
        return type_, False
    others = [each for each in typing.get_args(type_) if each is not types.NoneType]
    return (others[0] if len(others) == 1 else type_), len(others) < len(typing.get_args(type_))


def _value_codec(
    field: FieldDescriptor,
    attribute: str,
    type_: Any,
    within: Callable[[Descriptor, type[Any]], ValueCodec],
) -> ValueCodec:
    if field.enum_type is not None:
        if not (isinstance(type_, type) and issubclass(type_, Enum)):
            raise ValueError(f"an enum is not {type_}")
        return _enum(type_, field.enum_type)
    match _message_name(field):
        case "google.protobuf.Timestamp":
            if type_ not in (float, datetime):
                raise ValueError(f"a Timestamp is not {type_}")
            return _FLOAT_TIME if type_ is float else _DATETIME
        case "google.protobuf.Duration":
            units = [unit for end, unit in _UNITS.items() if attribute.endswith(end)]
            if not units or type_ not in (float, int):
                raise ValueError(f"a Duration is a number named with its unit, not {type_}")
            return _duration(units[0], type_)
        case "":
            expected = _SCALARS[field.cpp_type]
            if field.type == FieldDescriptor.TYPE_BYTES:
                expected = bytes
            if type_ is not expected:
                raise ValueError(f"{expected.__name__} is not {type_}")
            pattern = _resource_pattern(field)
            ids = "_ids" if field.is_repeated else "_id"
            return _resource_id(pattern) if pattern and attribute.endswith(ids) else ValueCodec()
        case _:
            return within(_message_type(field), type_)


def _enum(enum: type[Enum], descriptor: EnumDescriptor) -> ValueCodec:
    numbers = enum_numbers(enum, descriptor)
    members = {number: member for member, number in numbers.items()}

    def decode(number: int) -> Any:
        member = members.get(number)
        if member is None:
            raise InvalidField("", f"has the value {number}, which is not known here")
        return member

    return ValueCodec(decode, numbers.__getitem__, zero_is_unset=True)


def _decode_datetime(value: Any) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1_000)
    except OverflowError:
        raise InvalidField("", "is no time between the years 1 and 9999") from None


_FLOAT_TIME: Final = ValueCodec(seconds, timestamp)
_DATETIME: Final = ValueCodec(
    _decode_datetime, lambda value: timestamp((value - _EPOCH) // _MICROSECOND / 1_000_000)
)


def _duration(unit: int, type_: Any) -> ValueCodec:
    if type_ is int:
        return ValueCodec(
            lambda value: round(seconds(value) * unit), lambda value: duration(value / unit)
        )
    if unit == 1:
        return ValueCodec(seconds, duration)
    return ValueCodec(lambda value: seconds(value) * unit, lambda value: duration(value / unit))


def _resource_id(pattern: str) -> ValueCodec:
    above = pattern.rpartition("{")[0]
    if "{" in above:
        # What is above it is not in the attribute, so such a name is only read.
        return ValueCodec(lambda name: name.rpartition("/")[2])
    return ValueCodec(
        lambda name: name.removeprefix(above), lambda value: above + value if value else ""
    )


def _decode_each(convert: Convert | None, into: Convert) -> Convert:
    if convert is None:
        return into

    def convert_each(values: Any) -> Any:
        converted: list[Any] = []
        try:
            for value in values:
                converted.append(convert(value))  # noqa: PERF401 - how many there are is the index
        except InvalidField as error:
            raise InvalidField(f"[{len(converted)}]{error.field}", error.problem) from None
        return converted if into is list else into(converted)

    return convert_each


def _encode_each(convert: Convert | None) -> Convert:
    if convert is None:
        return list
    return lambda values: [convert(value) for value in values]


def _of_each_key(convert: Convert | None) -> Convert:
    if convert is None:
        return dict

    def convert_each(values: Any) -> Any:
        return {key: convert(value) for key, value in values.items()}

    return convert_each


def _message_type(field: Any) -> Descriptor:
    message: Descriptor = field.message_type
    return message


def _message_name(field: FieldDescriptor) -> str:
    return "" if field.message_type is None else field.message_type.full_name


def _resource_pattern(field: Any) -> str:
    """The pattern of the resource that a field refers to; empty: of none, or of several."""
    reference = field.GetOptions().Extensions[resource_pb2.resource_reference].type
    patterns = resource_patterns(field.containing_type.file).get(reference, ())
    return patterns[0] if len(patterns) == 1 else ""
