"""The messages between a worker and its child processes: lines of JSON over pipes.

To a process: first its `Setup`, then one task at a time. From it, for each task: any number of
`{"progress": …}` and `{"span": …}`, then one `{"done": …}` or `{"failed": …}`.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from dbopsd.migrate.importer.processes.limits import Limits

T = TypeVar("T")

_ADAPTERS: Final[dict[type[Any], TypeAdapter[Any]]] = {}


@dataclass(frozen=True)
class Setup:
    """The first message to a process. Never log it: `login` has a password."""

    database: str
    login: str = field(repr=False)
    """How to log in; empty for a process that has nothing to do with PostgreSQL."""
    limits: Limits
    preload: tuple[str, ...] = ()
    """Modules to load while it waits for its first task."""


def encode(kind: type[Any], value: object) -> Any:
    """A dataclass as values that JSON can hold."""
    return _adapter(kind).dump_python(value, mode="json")


def decode(kind: type[T], value: Any) -> T:
    """The dataclass that `encode` encoded."""
    decoded: T = _adapter(kind).validate_python(value, strict=False)
    return decoded


def line(message: object) -> bytes:
    """A message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
