"""How the results of operations are shown: each message type has one view, registered here."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from google.protobuf.message import Message
from rich.console import RenderableType
from rich.text import Text

from dbops_client.cli import protobuf_json

_Result = TypeVar("_Result", bound=Message)
_View = Callable[[_Result], RenderableType]

# The modules of this package that register views. They are imported when a result is shown.
_MODULES = ("import_views", "backup_views", "restore_views", "migrate_views", "migrate_check_view")


@dataclass(frozen=True, slots=True)
class _Registered:
    view: _View[Any]
    problem: Callable[[Any], str | None] | None


_REGISTERED: dict[str, _Registered] = {}


def result_view(
    message_type: type[_Result], problem: Callable[[_Result], str | None] | None = None
) -> Callable[[_View[_Result]], _View[_Result]]:
    """Register the decorated function as the view of the results of this type.

    `problem` returns why such a result counts as a failure of the command, in words that follow
    the name of the operation ("found 2 rows that differ"), or None if it does not.
    """

    def register(view: _View[_Result]) -> _View[_Result]:
        _REGISTERED[message_type.DESCRIPTOR.full_name] = _Registered(view, problem)
        return view

    return register


def has_view(result: Message) -> bool:
    """Whether a view is registered for the type of `result`."""
    return _registered(result) is not None


def view_of(result: Message) -> RenderableType:
    """Return `result` for people: by its view, or as JSON if it has none."""
    registered = _registered(result)
    return Text(protobuf_json.pretty(result)) if registered is None else registered.view(result)


def problem_of(result: Message) -> str | None:
    """Return why `result` counts as a failure of the command, or None if it does not."""
    registered = _registered(result)
    if registered is None or registered.problem is None:
        return None
    return registered.problem(result)


def _registered(result: Message) -> _Registered | None:
    for module in _MODULES:
        import_module(f"dbops_client.cli.{module}")
    return _REGISTERED.get(result.DESCRIPTOR.full_name)
