"""Which databases a request is about, as its proto says.

A request type is compiled once into where to look; one that names none costs nothing at a call.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

Find = Callable[[Any, set[str]], None]

# Fields that name a resource without an annotation: of protos that are not ours, and `parent` where
# `databases/-` may stand. `service` is that of grpc.health.v1.
_NAMES: Final = ("name", "parent", "database", "service")
_DATABASE: Final = re.compile(r"databases/([^/]+)")
# `databases/-` is AIP-159's "of every one".
_EVERY: Final = "-"


def compile_naming(request_type: Descriptor) -> Callable[[Any], set[str]] | None:
    """What finds the ids of the databases that a request names; None where it cannot name one."""
    finders = _finders(request_type, ())
    if not finders:
        return None

    def databases_of(request: Any) -> set[str]:
        found: set[str] = set()
        for find in finders:
            find(request, found)
        found.discard(_EVERY)
        return found

    return databases_of


def _finders(message: Descriptor, above: tuple[str, ...]) -> list[Find]:
    if message.full_name in above:
        return []  # a type within itself: as deep as `validation` looks
    finders: list[Find] = []
    for field in message.fields:
        if field.message_type is not None:
            if not field.message_type.GetOptions().map_entry:
                inner = _finders(field.message_type, (*above, message.full_name))
                if inner:
                    finders.append(_within(field, inner))
        elif field.type == FieldDescriptor.TYPE_STRING and _names_a_resource(field):
            finders.append(_here(field))
    return finders


def _names_a_resource(field: FieldDescriptor) -> bool:
    reference = field.GetOptions().Extensions[resource_pb2.resource_reference]
    return field.name in _NAMES or bool(reference.type or reference.child_type)


def _here(field: FieldDescriptor) -> Find:
    name, repeated = field.name, field.is_repeated

    def find(message: Any, found: set[str]) -> None:
        value = getattr(message, name)
        for text in value if repeated else (value,):
            match = _DATABASE.match(text)
            if match:
                found.add(match[1])

    return find


def _within(field: FieldDescriptor, inner: list[Find]) -> Find:
    name, repeated = field.name, field.is_repeated

    def find(message: Any, found: set[str]) -> None:
        if repeated:
            items = getattr(message, name)
        else:
            items = (getattr(message, name),) if message.HasField(name) else ()
        for item in items:
            for each in inner:
                each(item, found)

    return find
