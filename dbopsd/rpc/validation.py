"""Requests are checked against what their proto says: required fields and resource names.

A message type is compiled once into the checks that its annotations ask for; most have few, and a
type without any costs nothing at a call.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from google.api import field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

from dbopsd.errors import InvalidField

FieldCheck = Callable[[Any, str], None]

# AIP-122's resource identifiers.
SEGMENT = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ANY_RESOURCE = "*"


def compile_validator(request_type: Descriptor) -> Callable[[Any], None] | None:
    """The check of a request type, which raises InvalidField; None where there is nothing to check.

    Raises ValueError if the type refers to a resource that no imported proto declares.
    """
    patterns = resource_patterns(request_type.file)
    checks = [*_checks(request_type, patterns, ()), *_below_name(request_type, patterns)]
    if not checks:
        return None

    def validate(request: Any) -> None:
        for check in checks:
            check(request, "")

    return validate


def _checks(
    message: Descriptor, patterns: Mapping[str, tuple[str, ...]], above: tuple[str, ...]
) -> list[FieldCheck]:
    if message.full_name in above:
        return []  # a type within itself: one round is checked
    checks: list[FieldCheck] = []
    for field in message.fields:
        options = field.GetOptions()
        if field_behavior_pb2.REQUIRED in options.Extensions[field_behavior_pb2.field_behavior]:
            checks.append(_required(field))
        reference = options.Extensions[resource_pb2.resource_reference].type
        if reference and reference != _ANY_RESOURCE:
            if reference not in patterns:
                raise ValueError(f"{field.full_name} refers to the unknown resource {reference}")
            checks.append(_resource_name(field, patterns[reference]))
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            inner = _checks(field.message_type, patterns, (*above, message.full_name))
            if inner:
                checks.append(_within(field, inner))
    return checks


def _required(field: FieldDescriptor) -> FieldCheck:
    name = field.name
    has_presence = field.has_presence

    def check(message: Any, prefix: str) -> None:
        if has_presence:
            present = message.HasField(name)
        else:
            value = getattr(message, name)
            present = bool(value.strip()) if isinstance(value, str) else bool(value)
        if not present:
            raise InvalidField(prefix + name, "is required")

    return check


def _resource_name(field: FieldDescriptor, patterns: tuple[str, ...]) -> FieldCheck:
    name = field.name
    matches = re.compile("|".join(_regex(pattern) for pattern in patterns)).fullmatch
    problem = f"is not of the form {' or '.join(patterns)}"
    repeated = field.is_repeated

    def check(message: Any, prefix: str) -> None:
        value = getattr(message, name)
        for index, text in enumerate(value if repeated else (value,)):
            # Blank is for `required` to say.
            if (repeated or text.strip()) and not matches(text):
                raise InvalidField(
                    f"{prefix}{name}[{index}]" if repeated else prefix + name, problem
                )

    return check


def _below_name(
    message: Descriptor, patterns: Mapping[str, tuple[str, ...]]
) -> Iterator[FieldCheck]:
    """A resource that a request names besides its own is one of the `name` it is about.

    `databases/other/backups/b` in a request on `databases/main` would be read as main's.
    """
    own = _pattern(message.fields_by_name.get("name"), patterns)
    for field in message.fields:
        if own and _pattern(field, patterns).startswith(f"{own}/"):
            yield _below(field)


def _pattern(field: FieldDescriptor | None, patterns: Mapping[str, tuple[str, ...]]) -> str:
    """The only pattern of the resource that a field refers to; empty where there is none."""
    if field is None:
        return ""
    found = patterns.get(field.GetOptions().Extensions[resource_pb2.resource_reference].type, ())
    return found[0] if len(found) == 1 else ""


def _below(field: FieldDescriptor) -> FieldCheck:
    name, repeated = field.name, field.is_repeated

    def check(message: Any, prefix: str) -> None:
        value = getattr(message, name)
        for index, text in enumerate(value if repeated else (value,)):
            if text and not text.startswith(f"{message.name}/"):
                where = f"{prefix}{name}[{index}]" if repeated else prefix + name
                raise InvalidField(where, f"is not one of {message.name}, which `name` says")

    return check


def _within(field: FieldDescriptor, checks: Iterable[FieldCheck]) -> FieldCheck:
    name = field.name
    inner = tuple(checks)
    repeated = field.is_repeated

    def check(message: Any, prefix: str) -> None:
        if repeated:
            for index, item in enumerate(getattr(message, name)):
                for inner_check in inner:
                    inner_check(item, f"{prefix}{name}[{index}].")
        elif message.HasField(name):
            item = getattr(message, name)
            for inner_check in inner:
                inner_check(item, f"{prefix}{name}.")

    return check


def _regex(pattern: str) -> str:
    parts = re.split(r"(\{[^}]*\})", pattern)
    return "".join(SEGMENT if part.startswith("{") else re.escape(part) for part in parts)


@cache
def resource_patterns(file: FileDescriptor) -> Mapping[str, tuple[str, ...]]:
    """The patterns of each resource that `file` or one of its imports declares, by its type."""
    found: dict[str, tuple[str, ...]] = {}
    seen: set[str] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current.name in seen:
            continue
        seen.add(current.name)
        waiting.extend(current.dependencies)
        for message in current.message_types_by_name.values():
            resource = message.GetOptions().Extensions[resource_pb2.resource]
            if resource.type:
                found[resource.type] = tuple(resource.pattern)
        for resource in current.GetOptions().Extensions[resource_pb2.resource_definition]:
            found[resource.type] = tuple(resource.pattern)
    return found
