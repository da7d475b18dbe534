"""Keeps how databases are used, in a small file of its own.

The history has samples of the busiest indexes only, and an index that nothing uses is none of
these. Here is one row for each.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any, Final

from dbopsd.metrics.advice.usage.look import Counters, Look

_DAY_S: Final = 86_400.0
# What does not only grow: a smaller value is no reset.
_GAUGES: Final = frozenset(("dead", "value"))
_SCHEMA: Final = resources.files(__package__).joinpath("schema.sql")


class UsageStore:
    """The file at `path`. Each method opens it anew and may be called in any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def record(self, database: str, look: Look, now: float) -> None:
        """Keep what was seen at `now`. Raises `sqlite3.Error` and OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=5.0)) as connection:
            connection.executescript(_SCHEMA.read_text(encoding="utf-8"))
            with connection:
                anew = _watch(connection, database, look, now)
                _record_indexes(connection, database, look.indexes, now, anew=anew)
                for kind, counters in look.counted.items():
                    _count(connection, database, kind, counters, now, anew=anew)

    def use_of(self, database: str, now: float, *, unused_days: float) -> dict[str, Any]:
        """What rules are given; empty if nothing was recorded. Raises `sqlite3.Error`."""
        if not self._path.exists():
            return {}
        with closing(self._connect()) as connection:
            watched = connection.execute(
                "SELECT identity, since FROM watched WHERE database = ?", (database,)
            ).fetchone()
            if watched is None:
                return {}
            identity, since = watched
            long_ago = now - unused_days * _DAY_S
            standbys = [
                row[0]
                for row in connection.execute(
                    "SELECT database FROM watched WHERE identity = ? AND database <> ? "
                    "AND standby = 1 AND since <= ? AND seen_at >= ?",
                    (identity, database, long_ago, now - _DAY_S),
                )
            ]
            return {
                "watched_s": now - since,
                "standbys": len(standbys),
                "indexes": _indexes(connection, database, identity, now, long_ago),
                **_gains(connection, database, now),
            }

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=5.0)


def _watch(connection: sqlite3.Connection, database: str, look: Look, now: float) -> bool:
    """Whether what was seen before says nothing of the counters of now."""
    before = connection.execute(
        "SELECT identity, reset_at FROM watched WHERE database = ?", (database,)
    ).fetchone()
    anew = before is None or tuple(before) != (look.identity, look.reset_at)
    if before is not None and before[0] != look.identity:
        # Another database: its objects have nothing to do with those.
        for table in ("watched", "index_use", "counted"):
            connection.execute(f"DELETE FROM {table} WHERE database = ?", (database,))  # noqa: S608
    connection.execute(
        "INSERT INTO watched VALUES (:database, :identity, :standby, :reset_at, :now, :now) "
        "ON CONFLICT (database) DO UPDATE SET standby = :standby, reset_at = :reset_at, "
        "seen_at = :now, since = CASE WHEN :anew THEN :now ELSE since END",
        {
            "database": database,
            "identity": look.identity,
            "standby": look.standby,
            "reset_at": look.reset_at,
            "now": now,
            "anew": anew,
        },
    )
    return anew


def _record_indexes(
    connection: sqlite3.Connection,
    database: str,
    scans: Mapping[str, int],
    now: float,
    *,
    anew: bool,
) -> None:
    known = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT key, scans, since, grew_at FROM index_use WHERE database = ?", (database,)
        )
    }
    rows = []
    for key, count in scans.items():
        before, since, grew_at = known.get(key, (None, now, None))
        if before is None or anew or count < before:
            # New, or counted anew: searches between the looks are lost.
            since = now
        if before is not None and count > (0 if anew or count < before else before):
            grew_at = now
        rows.append((database, key, count, since, grew_at))
    connection.executemany("INSERT OR REPLACE INTO index_use VALUES (?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "DELETE FROM index_use WHERE database = ? AND key = ?",
        [(database, key) for key in known.keys() - scans.keys()],
    )


def _count(
    connection: sqlite3.Connection,
    database: str,
    kind: str,
    counters: Mapping[str, Counters],
    now: float,
    *,
    anew: bool,
) -> None:
    known = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT key, older_at, older, newer_at, newer FROM counted "
            "WHERE database = ? AND kind = ?",
            (database, kind),
        )
    }
    rows = []
    for key, values in counters.items():
        text = json.dumps(values)
        found = known.get(key)
        if found is None or anew or _fell(json.loads(found[3]), values):
            rows.append((database, kind, key, now, text, now, text))
        elif now - found[2] >= _DAY_S:
            rows.append((database, kind, key, *found[2:], now, text))
    connection.executemany("INSERT OR REPLACE INTO counted VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "DELETE FROM counted WHERE database = ? AND kind = ? AND key = ?",
        [(database, kind, key) for key in known.keys() - counters.keys()],
    )


def _fell(before: Counters, values: Counters) -> bool:
    return any(values[name] < before.get(name, 0) for name in values if name not in _GAUGES)


def _indexes(
    connection: sqlite3.Connection, database: str, identity: str, now: float, long_ago: float
) -> dict[str, Any]:
    """Each index: since when nothing searched it here, and whether a known standby did."""
    rows = connection.execute(
        "SELECT here.key, here.since, here.grew_at, EXISTS ("
        "  SELECT 1 FROM index_use AS there JOIN watched ON watched.database = there.database"
        "  WHERE watched.identity = ? AND there.database <> here.database"
        "  AND there.key = here.key AND there.grew_at > ?"
        ") FROM index_use AS here WHERE here.database = ?",
        (identity, long_ago, database),
    )
    return {
        key: {
            "quiet_s": now - max(since, grew_at or 0.0),
            "watched_s": now - since,
            "elsewhere": bool(elsewhere),
        }
        for key, since, grew_at, elsewhere in rows
    }


def _gains(connection: sqlite3.Connection, database: str, now: float) -> dict[str, Any]:
    """The counters of a day ago or two, by kind and object."""
    found: dict[str, Any] = {}
    rows: Iterable[tuple[str, str, float, str]] = connection.execute(
        "SELECT kind, key, older_at, older FROM counted WHERE database = ?", (database,)
    )
    for kind, key, at, older in rows:
        record = {**json.loads(older), "age_s": now - at}
        if key:
            found.setdefault(kind, {})[key] = record
        else:
            found[kind] = record
    return found
