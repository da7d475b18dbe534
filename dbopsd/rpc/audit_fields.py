"""Which fields of a request the audit log may quote: the names of resources, and its own id.

A session of a server has no name: its process id and start time stand for it. They hold no text.
A migration has none either: its set and version do. Why the findings of a check are overridden, or
a history is recorded that nobody ran, are the only texts of a caller's own: the log is where they
are meant to be.

Anything else may be free text, and free text may hold a secret that was pasted into a wrong field.
So may these: what has not the form of a name or of an id is not quoted either.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

WITHHELD: Final = "(not a name)"
"""In the place of a value that has not the form that its field asks for."""

_NAMES: Final = frozenset({"name", "parent", "names"})
_SEGMENT: Final = r"[a-z][A-Za-z-]{0,31}/(?:-|[A-Za-z0-9][A-Za-z0-9._~-]{0,127})"
_RESOURCE_NAME: Final = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT}){{0,3}}")
_REQUEST_ID: Final = re.compile(r"[!-~]{1,64}")
# Of a resource that is created: names of things that are no resources.
_WORDS: Final = frozenset({"rule"})
# Until when a silence or the hold of a backup lasts.
_ENDS: Final = frozenset({"end_time", "held_until"})
_MIGRATION: Final = ("set", "version", "to")
_MIGRATION_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
_REASONS: Final = ("override_findings", "reason")
_MOST_REASON_CHARS: Final = 500
_WORD: Final = re.compile(r"\*|[A-Za-z][A-Za-z0-9_]{0,62}")
_MAX_NAMES: Final = 8


@dataclass(frozen=True, slots=True)
class Quoted:
    """The fields of a request that may appear in the audit log."""

    resource: tuple[tuple[str, str], ...] = ()
    request_id: str = ""
    validate_only: bool = False


def compile_quoting(request_type: Descriptor) -> Callable[[Any], Quoted]:
    """What picks the fields out of a request of that type; nothing of what is no such message."""
    naming = [field for field in request_type.fields if _holds_name(field)]
    session = _session_fields(request_type)
    created = [field for field in request_type.fields if _is_resource(field)]
    migration = [
        name
        for name in _MIGRATION
        if "set" in request_type.fields_by_name
        and _is_scalar(request_type, name, FieldDescriptor.TYPE_STRING)
    ]
    reasons = [
        name for name in _REASONS if _is_scalar(request_type, name, FieldDescriptor.TYPE_STRING)
    ]
    has_request_id = _is_scalar(request_type, "request_id", FieldDescriptor.TYPE_STRING)
    has_validate_only = _is_scalar(request_type, "validate_only", FieldDescriptor.TYPE_BOOL)

    def quote(request: Any) -> Quoted:
        if getattr(request, "DESCRIPTOR", None) is not request_type:
            return Quoted()
        return Quoted(
            resource=(
                *_named(request, naming),
                *_session(request, session),
                *(each for field in created for each in _created(request, field)),
                *_migration(request, migration),
                *(each for name in reasons for each in _reason(request, name)),
            ),
            request_id=_request_id(request.request_id) if has_request_id else "",
            validate_only=bool(request.validate_only) if has_validate_only else False,
        )

    return quote


def _holds_name(field: FieldDescriptor) -> bool:
    if field.type != FieldDescriptor.TYPE_STRING:
        return False
    reference = field.GetOptions().Extensions[resource_pb2.resource_reference]
    return field.name in _NAMES or bool(reference.type or reference.child_type)


def _session_fields(request_type: Descriptor) -> list[FieldDescriptor]:
    """The fields that say which session is meant."""
    if not _is_scalar(request_type, "pid", FieldDescriptor.TYPE_INT32):
        return []
    of = request_type.fields_by_name
    return [of[name] for name in ("pid", "start_time") if name in of]


def _session(request: Any, fields: list[FieldDescriptor]) -> Iterator[tuple[str, str]]:
    for field in fields:
        value = getattr(request, field.name)
        if field.type == FieldDescriptor.TYPE_INT32:
            yield field.name, str(value)
        elif request.HasField(field.name):
            yield field.name, _time(value)


def _migration(request: Any, fields: list[str]) -> Iterator[tuple[str, str]]:
    for name in fields:
        text = getattr(request, name)
        if text:
            yield name, text if _MIGRATION_WORD.fullmatch(text) else WITHHELD


def _reason(request: Any, name: str) -> Iterator[tuple[str, str]]:
    text = getattr(request, name)
    if text:
        fits = text.isprintable() and len(text) <= _MOST_REASON_CHARS
        yield name, text if fits else WITHHELD


def _is_resource(field: FieldDescriptor) -> bool:
    """Whether it holds a resource that the call creates."""
    kind = field.message_type
    return (
        kind is not None
        and not field.is_repeated
        and kind.GetOptions().HasExtension(resource_pb2.resource)
    )


def _created(request: Any, field: FieldDescriptor) -> Iterator[tuple[str, str]]:
    """What a resource is about, and until when."""
    resource = getattr(request, field.name)
    for part in resource.DESCRIPTOR.fields:
        name = f"{field.name}.{part.name}"
        if part.name in _WORDS and part.type == FieldDescriptor.TYPE_STRING:
            text = getattr(resource, part.name)
            yield name, text if _WORD.fullmatch(text) else WITHHELD
        elif _holds_name(part) and getattr(resource, part.name):
            yield name, _name(getattr(resource, part.name))
        elif part.name in _ENDS and resource.HasField(part.name):
            yield name, _time(getattr(resource, part.name))


def _time(value: Timestamp) -> str:
    try:
        return str(value.ToJsonString())
    except ValueError:
        return WITHHELD


def _is_scalar(message: Descriptor, name: str, kind: int) -> bool:
    field = message.fields_by_name.get(name)
    return field is not None and field.type == kind and not field.is_repeated


def _named(request: Any, naming: list[FieldDescriptor]) -> Iterator[tuple[str, str]]:
    for field in naming:
        value = getattr(request, field.name)
        if not field.is_repeated:
            if value:
                yield field.name, _name(value)
            continue
        for index, text in enumerate(value[:_MAX_NAMES]):
            yield f"{field.name}[{index}]", _name(text)
        if len(value) > _MAX_NAMES:
            yield f"{field.name}[]", f"{len(value)} in all"


def _name(text: str) -> str:
    return text if _RESOURCE_NAME.fullmatch(text) else WITHHELD


def _request_id(text: str) -> str:
    return text if not text or _REQUEST_ID.fullmatch(text) else WITHHELD
