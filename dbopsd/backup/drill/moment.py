"""The moment that a drill recovers to, and how much a disaster now would lose."""

import random
from datetime import datetime, timedelta

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.model.reports import RecoveryWindow, RecoveryWindows
from dbopsd.backup.model.requests import RecoveryTarget
from dbopsd.backup.repository import Repository


def random_moment(
    windows: RecoveryWindows, backup: CommitRecord | None, chance: random.Random
) -> RecoveryTarget:
    """A random moment of those that can be reached, each second as probable as any other.

    `backup`: of those that it leads to by itself. Where there are points only, the latest.
    """
    spans = []
    for window in windows.windows:
        span = _span(window, backup)
        if span is not None and span[0] < span[1]:
            spans.append((window.timeline, *span))
    if not spans:
        return RecoveryTarget(immediate=backup is not None, latest=backup is None)
    weights = [(end - start).total_seconds() for _, start, end in spans]
    timeline, start, end = chance.choices(spans, weights)[0]
    microseconds = chance.randrange((end - start) // timedelta(microseconds=1))
    time = start + timedelta(microseconds=microseconds)
    return RecoveryTarget(time=time, timeline=str(timeline))


def recovery_point_s(windows: RecoveryWindows, now: datetime) -> float:
    """How long ago the newest moment was that can be reached, in seconds."""
    newest = max((each.end_time for each in windows.windows), default=None)
    return 0.0 if newest is None else max(0.0, (now - newest).total_seconds())


async def find_backup(repository: Repository, id_: str) -> CommitRecord | None:
    """The commit record of a backup, of whatever cluster; None where it cannot be read."""
    for system in await repository.systems():
        for each in (await repository.catalog(system)).backups:
            if each.id == id_:
                return each.record
    return None


def _span(window: RecoveryWindow, backup: CommitRecord | None) -> tuple[datetime, datetime] | None:
    if backup is None:
        return window.start_time, window.end_time
    if window.timeline != backup.timeline:
        return None
    if not window.start_time <= backup.stop_time <= window.end_time:
        return None
    return backup.stop_time, window.end_time
