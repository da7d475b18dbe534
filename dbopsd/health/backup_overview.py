"""How the backups of a database do: a picture that is taken now and then, and asked at no cost.

Taken where backups are known (`dbopsd/backup/overview.py`); here, because health and metrics both
look at it. Times are in seconds since 1970.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

OVERDUE_FACTOR: Final = 1.5
"""A backup or a drill is overdue once so many of the longest pauses of its schedule have passed."""

SCHEMA_ONLY: Final = "schema-only"
"""The kind that dumps without rows are counted under: they are no logical backups to rely on."""


@dataclass(frozen=True, slots=True)
class LastBackup:
    """The newest good backup of a kind. `size_bytes`: before compression."""

    ended_at: float
    duration_s: float
    size_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class LastDrill:
    """The newest drill. `failed`: the names of the checks that failed."""

    at: float
    ok: bool
    failed: tuple[str, ...] = ()
    recovery_s: float = 0.0
    recovery_point_s: float = 0.0


@dataclass(frozen=True, slots=True)
class BackupOverview:
    """The backups of a database, as of `read_at`. `kind`: `full`, `incremental`, `logical`.

    Dumps of a schema alone, `schema-only`, are in `stored` and `broken` and nowhere else.
    """

    read_at: float
    newest: Mapping[str, LastBackup] = field(default_factory=dict)
    """By kind. A full one made in place of an incremental one is the newest of both."""
    stored: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """How many backups there are of a kind, and their size in the store."""
    broken: tuple[str, ...] = ()
    """The ids of those that are damaged."""
    oldest_at: float | None = None
    """When the oldest good physical one ended."""
    intervals_s: Mapping[str, float] = field(default_factory=dict)
    """The longest time between two backups of a kind by the schedules. Where `max_age` is
    configured, two thirds of it, for the kind of the newest backup alone."""
    attempt_ok: bool | None = None
    """Whether the last attempt at a backup succeeded; None: there was none."""
    attempt_problem: str = ""
    drill: LastDrill | None = None
    drill_interval_s: float | None = None
    """The longest time between two drills by the schedules, or two thirds of `drill_max_age`."""
    wal_events: Mapping[str, float] = field(default_factory=dict)
    """When the WAL archive last recorded each kind of event, such as `gap` or `new-system`."""
    problem: str = ""
    """Why the store could not be read since; the rest is as it was then."""


class BackupBoard:
    """The newest picture of each database that has backups."""

    def __init__(self) -> None:
        self._overviews: dict[str, BackupOverview] = {}

    def publish(self, database: str, overview: BackupOverview) -> None:
        """Put a newer one in place."""
        self._overviews[database] = overview

    def of(self, database: str) -> BackupOverview | None:
        """The newest; None before the first, and for a database without backups."""
        return self._overviews.get(database)


def span_text(seconds: float) -> str:
    """A span for people: `50 min`, `36 h`, `9 d`."""
    for unit, unit_s, below_s in (("min", 60, 2 * 3600), ("h", 3600, 4 * 86400)):
        if seconds < below_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
