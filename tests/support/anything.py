"""Messages of the right type with any values in them: what random bytes hardly ever are."""

import math
import random
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

_NUMBERS: Final = (
    *(*range(-1, 9), 100, 1000),
    *(2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**62, 2**63 - 1, -(2**63), 2**64 - 1),
)
_FRACTIONS: Final = (0.0, -0.0, 0.5, 1.0, -1.5, 1e-300, 1e300, math.inf, -math.inf, math.nan)
_RANGES: Final = {
    FieldDescriptor.CPPTYPE_INT32: range(-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_ENUM: range(-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_UINT32: range(2**32),
    FieldDescriptor.CPPTYPE_INT64: range(-(2**63), 2**63),
    FieldDescriptor.CPPTYPE_UINT64: range(2**64),
}
_UNSET: Final = 0.25
_MOST: Final = 3
"""Of a repeated field and of a map."""


class Anything:
    """Makes messages from `numbers`; about half of their texts are some of `known`."""

    def __init__(self, numbers: random.Random, known: Sequence[str]) -> None:
        self._numbers = numbers
        self._known = known

    def message(self, descriptor: Descriptor, depth: int = 2) -> Any:
        """A message of that type, with messages in it `depth` levels down."""
        made = message_factory.GetMessageClass(descriptor)()
        for field in descriptor.fields:
            if self._numbers.random() < _UNSET or (field.message_type is not None and not depth):
                continue
            self._fill(made, field, depth)
        return made

    def _fill(self, made: Any, field: FieldDescriptor, depth: int) -> None:
        many = range(self._numbers.randint(0, _MOST))
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            keys = field.message_type.fields_by_name["key"]
            values = field.message_type.fields_by_name["value"]
            for _ in many:
                entries, key = getattr(made, field.name), self._scalar(keys)
                if values.message_type is None:
                    entries[key] = self._scalar(values)
                else:
                    entries[key].CopyFrom(self.message(values.message_type, depth - 1))
        elif field.is_repeated:
            for _ in many:
                getattr(made, field.name).append(self._value(field, depth))
        elif field.message_type is not None:
            getattr(made, field.name).CopyFrom(self._value(field, depth))
        else:
            setattr(made, field.name, self._value(field, depth))

    def _value(self, field: FieldDescriptor, depth: int) -> Any:
        if field.message_type is not None:
            return self.message(field.message_type, depth - 1)
        return self._scalar(field)

    def _scalar(self, field: FieldDescriptor) -> Any:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._numbers.randbytes(self._numbers.randrange(20))
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return self._text()
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return self._numbers.random() < 0.5
        if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return self._numbers.choice(_FRACTIONS)
        fitting = _RANGES[field.cpp_type]
        return self._numbers.choice([number for number in _NUMBERS if number in fitting])

    def _text(self) -> str:
        if self._numbers.random() < 0.5:
            return self._numbers.choice(self._known)
        # Those below the surrogates, which no text has; half of them ASCII.
        most = self._numbers.choice((0x7F, 0xD7FF))
        length = self._numbers.randrange(40)
        return "".join(chr(self._numbers.randint(0, most)) for _ in range(length))
