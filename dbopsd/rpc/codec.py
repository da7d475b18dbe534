"""Messages of the contract to dataclasses and back, field by field, by name.

A message type and a dataclass are compiled once. Each field has an attribute of its own name, and
the other way round; `field_names.py` lists the few that are named otherwise. Compiling raises
ValueError for a field without an attribute, for an attribute without a field, and for types that
do not go together (`codec_values.py` has the rules).

A field that is not set becomes the attribute's default, or None where it has none and may be None.
So does a zero where the proto cannot tell it from a field that is not set. None is not set.
"""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from dbopsd.errors import InvalidField
from dbopsd.rpc.codec_values import ValueCodec, attribute_names, field_codec, without_none
from dbopsd.rpc.field_names import FIELD_NAMES, NOT_SENT

T = TypeVar("T")

_UNSET: Final = dataclasses.MISSING


@dataclass(frozen=True, slots=True)
class _Field:
    """A field and the attribute that has its value."""

    name: str
    attribute: str
    values: ValueCodec
    has_presence: bool
    must_be_set: bool
    """Whether there is nothing that a field which is not set could become."""
    default: Any
    optional: bool
    """Whether the attribute may be None."""

    @property
    def plain(self) -> bool:
        """Whether the value is handed over as it is, whatever it is."""
        if self.has_presence or self.must_be_set or self.optional or self.values.decode:
            return False
        return self.default is _UNSET or not self.default


class Codec(Generic[T]):
    """Turns messages of one type into instances of one dataclass, and back.

    `ignored`: fields of the message that have no attribute. `above`: the codecs that this one is
    compiled for. Raises ValueError where the two do not go together.
    """

    def __init__(
        self,
        message: Descriptor,
        dataclass_: type[T],
        *,
        ignored: frozenset[str] = frozenset(),
        above: "dict[tuple[str, type[Any]], Codec[Any]] | None" = None,
    ) -> None:
        self._type = dataclass_
        self._message: type[Message] = message_factory.GetMessageClass(message)
        # By message and dataclass, this one before its fields: a type may be within itself.
        self._known = {} if above is None else above
        self._known[message.full_name, dataclass_] = self
        self._compile(message, ignored)

    def decode(self, message: Message) -> T:
        """The dataclass. Raises `InvalidField` for what it cannot hold."""
        found = dict(zip(self._plain_attributes, self._get_fields(message), strict=True))
        for field in self._fields:
            try:
                _decode(field, message, found)
            except InvalidField as error:
                raise InvalidField(field.name + error.field, error.problem) from None
        return self._type(**found)

    def encode(self, value: T) -> Message:
        """The message."""
        return self._encode(value)

    def field_of(self, attribute: str) -> str:
        """The name of the field that has the value of an attribute."""
        return self._names.get(attribute, attribute)

    def _compile(self, message: Descriptor, ignored: frozenset[str]) -> None:
        fields = list(self._pairs(message, ignored))
        plain = [field for field in fields if field.plain]
        self._names = {field.attribute: field.name for field in fields}
        self._plain_attributes = tuple(field.attribute for field in plain)
        self._get_fields = _getter(tuple(field.name for field in plain))
        self._fields = tuple(field for field in fields if not field.plain)
        self._encode = _encoder(self._message, fields)

    def _pairs(self, message: Descriptor, ignored: frozenset[str]) -> Iterator[_Field]:
        if not dataclasses.is_dataclass(self._type):
            raise ValueError(f"{message.full_name} is no dataclass: {self._type}")
        attributes = {field.name: field for field in dataclasses.fields(self._type)}
        types = typing.get_type_hints(self._type)
        fields = [field for field in message.fields if field.name not in ignored]
        names = FIELD_NAMES.get(message.full_name, {})
        taken = set(NOT_SENT.get(message.full_name, ()))
        odd = [f"no attribute {name}, which is not sent" for name in taken - attributes.keys()]
        odd += [f"no field {name}, which is renamed" for name in _lacking(names, fields)]
        for field in fields:
            possible = [names[field.name]] if field.name in names else attribute_names(field)
            name = next((each for each in possible if each in attributes.keys() - taken), None)
            if name is None:
                odd.append(f"no attribute {' or '.join(possible)}")
                continue
            taken.add(name)
            try:
                yield self._pair(field, attributes[name], types[name])
            except ValueError as error:
                odd.append(f"{field.name}: {error}")
        odd += [f"no field {name}" for name in sorted(attributes.keys() - taken)]
        if odd:
            pair = f"{message.full_name} and {self._type.__name__}"
            raise ValueError(f"{pair} do not go together: {'; '.join(odd)}")

    def _pair(
        self, field: FieldDescriptor, attribute: "dataclasses.Field[Any]", type_: Any
    ) -> _Field:
        type_, optional = without_none(type_)
        values = field_codec(field, attribute.name, type_, self._codec_within)
        default = attribute.default
        if attribute.default_factory is not _UNSET:
            default = attribute.default_factory()
        if not field.has_presence and default is True:
            raise ValueError("false is not told from the default, true: make it `optional`")
        if field.is_repeated and default is not _UNSET and len(default):
            raise ValueError("no values are not told from the default")
        return _Field(
            name=field.name,
            attribute=attribute.name,
            values=values,
            has_presence=field.has_presence,
            must_be_set=default is _UNSET
            and not optional
            and (field.has_presence or values.zero_is_unset),
            default=default,
            optional=optional,
        )

    def _codec_within(self, message: Descriptor, dataclass_: type[Any]) -> ValueCodec:
        found = self._known.get((message.full_name, dataclass_))
        codec = found or Codec(message, dataclass_, above=self._known)

        def decode(value: Any) -> Any:
            try:
                return codec.decode(value)
            except InvalidField as error:
                raise InvalidField(f".{error.field}", error.problem) from None

        return ValueCodec(decode, codec.encode)


def _decode(field: _Field, message: Message, into: dict[str, Any]) -> None:
    """Put the attribute of `field` into `into`, unless its default is meant."""
    value = getattr(message, field.name)
    convert = field.values.decode
    if message.HasField(field.name) if field.has_presence else value:
        into[field.attribute] = convert(value) if convert else value
    elif field.must_be_set:
        raise InvalidField("", "is required")
    elif field.default is not _UNSET:
        return
    elif field.optional:
        into[field.attribute] = None
    else:
        into[field.attribute] = convert(value) if convert else value


def _lacking(names: Mapping[str, str], fields: list[FieldDescriptor]) -> set[str]:
    return names.keys() - {field.name for field in fields}


def _encoder(message: type[Message], fields: Sequence[_Field]) -> Callable[[Any], Message]:
    """What makes a message of a dataclass: one call with all its fields.

    Compiled from its source, as `dataclasses` makes `__init__`: it is as fast as a function written
    by hand, where a loop over the fields takes up to twice the time. protobuf leaves out None.
    """
    scope: dict[str, Any] = {"message": message}
    arguments = []
    for index, field in enumerate(fields):
        argument = f"value.{field.attribute}"
        if field.values.encode is not None:
            scope[f"encode_{index}"] = field.values.encode
            encoded = f"encode_{index}({argument})"
            argument = f"None if {argument} is None else {encoded}" if field.optional else encoded
        arguments.append(f"{field.name}={argument}")
    encode: Callable[[Any], Message] = eval(  # noqa: S307 - of names in protos and dataclasses
        f"lambda value: message({', '.join(arguments)})", scope
    )
    return encode


def _getter(names: tuple[str, ...]) -> Any:
    """Return a function that gets all of these attributes of an object, as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)
