"""Options that choose samples, and values of options that are times."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any] | click.Command)

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|d|w)?")
# A span of time beyond it is a slip of the keyboard.
_LONGEST_S: Final = 100 * 366 * 86_400.0


class Span(click.ParamType[float]):
    """A time such as `90`, `90s`, `15m`, `24h`, `7d` or `2w`, in seconds."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds."""
        if isinstance(value, float):
            return value
        found = _SPAN.fullmatch(value)
        seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
        if found is None or not 0 < seconds <= _LONGEST_S:
            self.fail(f"'{value}' is no time, such as 30s, 15m, 24h or 7d", param, ctx)
        return seconds


class Moment(click.ParamType[datetime]):
    """A moment: how long ago it is, such as `24h`, or ISO 8601, in local time without an offset."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment."""
        if isinstance(value, datetime):
            return value
        if value == "now":
            return datetime.now(UTC)
        if _SPAN.fullmatch(value):
            return datetime.now(UTC) - timedelta(seconds=Span().convert(value, param, ctx))
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"'{value}' is no moment: give how long ago it is, such as 24h, or a time such as"
                " 2026-03-01T08:00",
                param,
                ctx,
            )


class Label(click.ParamType[tuple[str, str]]):
    """A label and its value, `K=V`."""

    name = "K=V"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return both."""
        if isinstance(value, tuple):
            return value
        key, separator, text = value.partition("=")
        if not separator or not key:
            self.fail(f"'{value}' is no K=V, such as datname=app", param, ctx)
        return key, text


metric_option = click.option(
    "--metric",
    "metrics",
    metavar="GLOB",
    multiple=True,
    help="Only metrics of that name; * and ? are wild. May be repeated: one has to match.",
)


def label_option(chosen: str) -> Callable[[Command], Command]:
    """The option that chooses by labels; `chosen`: what it chooses, for `--help`."""
    return click.option(
        "--label",
        "labels",
        type=Label(),
        metavar="K=V",
        multiple=True,
        help=f"Only {chosen} with that label. May be repeated: each has to match.",
    )
