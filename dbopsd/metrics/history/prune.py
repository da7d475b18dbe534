"""Deletes what is too old, and, while the file is too large, what is the least missed.

First the oldest samples as they were taken, then the oldest minutes, then the oldest hours, and at
last the series that ended longest ago.
"""

import sqlite3
from collections.abc import Generator
from typing import Final

from dbopsd.metrics.history.resolution import (
    HOUR_MS,
    HOURS,
    MINUTES,
    RAW,
    RESOLUTIONS,
    Resolution,
)

_CHUNKS_A_STEP: Final = 500
_SERIES_A_STEP: Final = 100
_PAGES_A_STEP: Final = 200
# What is kept in any case, however little the file may hold.
_LEAST_KEPT_MS: Final = {RAW.number: 2 * HOUR_MS, MINUTES.number: 0, HOURS.number: 0}
_LIVE_HOURS: Final = 2

Steps = Generator[None, None, int]


def bytes_used(connection: sqlite3.Connection) -> int:
    """How much disk the file uses, but for its log and what it is about to give back."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages - free) * int(size)


def head_bytes(connection: sqlite3.Connection) -> int:
    """How much of it are ticks."""
    return int(connection.execute("SELECT total(length(samples)) FROM head").fetchone()[0])


def forget(connection: sqlite3.Connection, now_ms: int, *, max_bytes: int, by_age: bool) -> Steps:
    """Delete in short steps. How many layouts and series were deleted. Raises `sqlite3.Error`."""
    if by_age:
        for resolution in RESOLUTIONS:
            before = resolution.span(now_ms - resolution.kept_ms)
            yield from _delete_before(connection, resolution, before)
    for resolution in RESOLUTIONS:
        newest = resolution.span(now_ms - _LEAST_KEPT_MS[resolution.number])
        while bytes_used(connection) > max_bytes:
            oldest = _oldest(connection, resolution, newest)
            if oldest is None:
                break
            yield from _delete_before(connection, resolution, oldest + 1)
    now_hour = now_ms // HOUR_MS
    deleted = 0
    while bytes_used(connection) > max_bytes:
        gone = _delete_series(connection, now_hour - _LIVE_HOURS)
        deleted += gone
        yield
        if not gone:
            break
    if by_age:
        while gone := _delete_series(connection, now_hour - HOURS.kept_ms // HOUR_MS):
            deleted += gone
            yield
    with connection as writing:
        deleted += writing.execute(
            "DELETE FROM layout WHERE last_hour < ? "
            "AND NOT EXISTS (SELECT 1 FROM head WHERE head.layout = layout.id)",
            (now_hour - 1,),
        ).rowcount
    yield
    while connection.execute("PRAGMA freelist_count").fetchone()[0]:
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES_A_STEP})").fetchall()
        yield
    return deleted


def _oldest(connection: sqlite3.Connection, resolution: Resolution, before: int) -> int | None:
    """The oldest span that has chunks, if it is before that one."""
    (key,) = connection.execute(
        "SELECT min(key) FROM chunk WHERE key >= ? AND key < ?",
        (resolution.key(0, 0), resolution.key(before, 0)),
    ).fetchone()
    return None if key is None else resolution.span_of_key(key)


def _delete_before(
    connection: sqlite3.Connection, resolution: Resolution, before: int
) -> Generator[None, None, None]:
    while True:
        with connection as writing:
            deleted = writing.execute(
                "DELETE FROM chunk WHERE key IN "
                "(SELECT key FROM chunk WHERE key >= ? AND key < ? ORDER BY key LIMIT ?)",
                (resolution.key(0, 0), resolution.key(before, 0), _CHUNKS_A_STEP),
            ).rowcount
        if deleted < _CHUNKS_A_STEP:
            return
        yield


def _delete_series(connection: sqlite3.Connection, before_hour: int) -> int:
    """Delete some of the series that ended before then, the longest ago first, and their chunks."""
    rows = connection.execute(
        "SELECT id, first_hour, last_hour FROM series WHERE last_hour < ? "
        "ORDER BY last_hour LIMIT ?",
        (before_hour, _SERIES_A_STEP),
    ).fetchall()
    keys = [
        (resolution.key(span, number),)
        for number, first_hour, last_hour in rows
        for resolution in RESOLUTIONS
        for span in _spans(connection, resolution, first_hour, last_hour)
    ]
    with connection as writing:
        writing.executemany("DELETE FROM chunk WHERE key = ?", keys)
        writing.executemany("DELETE FROM series WHERE id = ?", [(row[0],) for row in rows])
    return len(rows)


def _spans(
    connection: sqlite3.Connection, resolution: Resolution, first_hour: int, last_hour: int
) -> range:
    last = resolution.span((last_hour + 1) * HOUR_MS)
    oldest = _oldest(connection, resolution, last + 1)
    if oldest is None:
        return range(0)
    return range(max(oldest, resolution.span((first_hour + 1) * HOUR_MS)), last + 1)
