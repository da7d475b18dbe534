"""Reading a test server's log: which statements did it really execute, and for whom?"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

# An entry begins with this; further lines of it begin with a tab.
LOG_LINE_PREFIX = "<%m|%p|%d|%a> "

_ENTRY = re.compile(
    r"^<(?P<time>[^|>]*)\|(?P<pid>\d+)\|(?P<database>[^|]*)\|(?P<application>.*?)> "
    r"(?P<level>[A-Z0-9]+):  (?P<text>.*)$"
)
_STATEMENT = re.compile(
    r"^(?:statement|execute (?P<fetch>fetch from )?(?P<name>[^:]*?)): (?P<sql>.*)$", re.DOTALL
)


@dataclass(frozen=True)
class LogEntry:
    time: datetime
    pid: int
    database: str
    application: str
    level: str
    text: str


@dataclass(frozen=True)
class LoggedStatement:
    """A statement as the server began to execute it. `prepared`: by the extended protocol."""

    time: datetime
    pid: int
    database: str
    application: str
    text: str
    prepared: bool


def entries(text: str) -> list[LogEntry]:
    """The log's entries in order; lines from before the prefix was in force are left out."""
    collected: list[tuple[re.Match[str], list[str]]] = []
    for line in text.splitlines():
        found = _ENTRY.match(line)
        if found:
            collected.append((found, [found["text"]]))
        elif collected and line.startswith("\t"):
            collected[-1][1].append(line[1:])
    return [
        LogEntry(
            time=datetime.strptime(found["time"], "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC),
            pid=int(found["pid"]),
            database=found["database"],
            application=found["application"],
            level=found["level"],
            text="\n".join(lines),
        )
        for found, lines in collected
    ]


def statements(text: str) -> list[LoggedStatement]:
    """The statements that the log says were executed, in the order they began."""
    result = []
    for entry in entries(text):
        found = _STATEMENT.match(entry.text) if entry.level == "LOG" else None
        if found:
            result.append(
                LoggedStatement(
                    time=entry.time,
                    pid=entry.pid,
                    database=entry.database,
                    application=entry.application,
                    text=found["sql"],
                    prepared=found["name"] is not None,
                )
            )
    return result
