"""What a message about alerts says."""

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from dbopsd.metrics.alerts.alert import Alert
from dbopsd.metrics.alerts.units import in_words

_MOST_ALERTS: Final = 20
_LONGEST_TITLE: Final = 150
# Chats take these for a mention of everybody there, or of a person, and for a link with any text.
_MARKUP: Final = re.compile(r"(?<!\w)@(?=\w)|<(?=\S)|\](?=\()")
# No width, and no chat reads on behind it.
_BREAK: Final = "\N{ZERO WIDTH SPACE}"


def title_of(database: str, firing: Sequence[Alert], over: Sequence[Alert]) -> str:
    """The title of a message about alerts of one database."""
    said = [_counted("FIRING", firing)] if firing else []
    said += [_counted("RESOLVED", over)] if over else []
    names = ", ".join(dict.fromkeys(alert.rule for alert in (*firing, *over)))
    title = f"[{' '.join(said)}] {database}: {names}"
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"


def body_of(database: str, firing: Sequence[Alert], over: Sequence[Alert], now: float) -> str:
    """The text of a message, with an id: a message that arrives twice has the same one."""
    lines: list[str] = []
    for alert in firing[:_MOST_ALERTS]:
        lines += _firing(alert, now)
    for alert in over[: max(_MOST_ALERTS - len(firing), 1)]:
        lines += _over(alert)
    left_out = len(firing) + len(over) - min(len(firing), _MOST_ALERTS)
    left_out -= min(len(over), max(_MOST_ALERTS - len(firing), 1))
    if left_out > 0:
        lines += [f"and {left_out} more: dbops alerts list {database} --state all", ""]
    lines.append(f"message {uuid.uuid4().hex[:16]}")
    return "\n".join(lines)


def severity_of(firing: Sequence[Alert]) -> str:
    """The severity of a message: the highest of what fires."""
    return max(alert.severity for alert in firing).word if firing else "resolved"


def _firing(alert: Alert, now: float) -> list[str]:
    lasted = in_words(max(now - (alert.fired_at or alert.started_at), 0.0), "s")
    return [
        f"{alert.severity.name} {alert.rule}: {_plain(alert.summary)}",
        f"→ {_plain(alert.remedy)}",
        f"since {_time(alert.started_at)}, fires for {lasted}{_labels(alert)}",
        "",
    ]


def _over(alert: Alert) -> list[str]:
    until = alert.resolved_at
    lasted = "" if until is None else f" after {in_words(until - alert.started_at, 's')}"
    return [f"RESOLVED{lasted} {alert.rule}: {_plain(alert.summary)}{_labels(alert)}", ""]


def _labels(alert: Alert) -> str:
    if not alert.labels:
        return ""
    return f" ({_plain(', '.join(f'{name}={value}' for name, value in alert.labels))})"


def _plain(text: str) -> str:
    """One line that mentions nobody: a name in PostgreSQL may hold whatever its maker likes."""
    shown = "".join(each if each.isprintable() else " " for each in text)
    return _MARKUP.sub(rf"\g<0>{_BREAK}", " ".join(shown.split()))


def _counted(word: str, alerts: Sequence[Alert]) -> str:
    return word if len(alerts) == 1 else f"{word} {len(alerts)}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
