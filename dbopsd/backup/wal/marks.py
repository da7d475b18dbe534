"""Marks: every commit before a time is before a position, and stored until there.

Segments carry no times. A mark is what lets an idle server be restored to "now", and tells which
WAL a time needs. The server's position is taken at least a moment after the time of a mark: a
commit takes its time a little before its record is in the WAL.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.wal.archive import Mark, TimelineWal, mark_key
from dbopsd.backup.wal.mark_seals import seal_mark
from dbopsd.backup.wal.slot import Look

_AFTER: Final = timedelta(seconds=0.5)
_EVERY: Final = timedelta(minutes=1)
_OLD: Final = timedelta(days=1)
_OLD_EVERY: Final = timedelta(hours=1)
_MOST_LOOKS: Final = 1_000


class Marks:
    """The marks of one timeline: writes new ones, and deletes those that say no more than others.

    The newest stays; besides, one a minute, and after a day one an hour.
    """

    def __init__(
        self,
        store: DurableStore,
        layout: Layout,
        stored: TimelineWal,
        data_key: Callable[[], Awaitable[DataKey | None]],
    ) -> None:
        """`data_key`: what new marks are sealed by; None: nothing is encrypted."""
        self._store = store
        self._layout = layout
        self._data_key = data_key
        self._timeline = stored.timeline
        self._kept = sorted(stored.marks, key=lambda mark: mark.at)
        # Marks that hold as soon as the WAL before their position is stored.
        self._waiting: deque[Mark] = deque(maxlen=_MOST_LOOKS)
        self._looked_at: deque[datetime] = deque(maxlen=_MOST_LOOKS)

    def looked(self, look: Look) -> None:
        """Take note of a position of the server."""
        if look.timeline != self._timeline:
            return
        at = None
        while self._looked_at and self._looked_at[0] <= look.at - _AFTER:
            at = self._looked_at.popleft()
        if self._looked_at and self._looked_at[0] > look.at:
            self._looked_at.clear()  # the server's clock was set back
        self._looked_at.append(look.at)
        if at is not None:
            self._waiting.append(Mark(self._timeline, look.end, at))

    async def write(self, stored: Lsn) -> None:
        """Write the newest mark that holds with everything before `stored` in the store."""
        newest = None
        while self._waiting and self._waiting[0].lsn <= stored:
            newest = self._waiting.popleft()
        if newest is None or (self._kept and not self._says_more(newest)):
            return
        newest = seal_mark(self._layout, newest, await self._data_key())
        await self._store.create(mark_key(self._layout, newest), b"")
        self._kept.append(newest)
        for mark in superfluous(self._kept):
            await self._store.delete(mark_key(self._layout, mark))
            self._kept.remove(mark)

    def _says_more(self, mark: Mark) -> bool:
        last = self._kept[-1]
        if mark.lsn != last.lsn:
            return True
        # On an idle server only the time moves on. A clock that was set back is marked too.
        return mark.at - last.at >= _EVERY or mark.at < last.at


def superfluous(marks: list[Mark]) -> list[Mark]:
    """Which of the marks, in the order in which they were written, are not needed.

    A position of an idle server has one mark, the latest. The newest of all stays.
    """
    if len(marks) < 3:
        return []
    newest = marks[-1].at
    found: list[Mark] = []
    kept = marks[0]
    for mark, following in pairwise(marks[1:]):
        every = _OLD_EVERY if newest - mark.at > _OLD else _EVERY
        near = timedelta(0) <= mark.at - kept.at < every
        if near or (mark.lsn == following.lsn and mark.at <= following.at):
            found.append(mark)
        else:
            kept = mark
    return found
