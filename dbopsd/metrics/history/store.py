"""The file of the history: SQLite, written by one thread.

A tick is one transaction: a killed daemon loses no tick that was written. An hour that is over is
sealed series by series, in steps short enough for other work between them.
"""

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from dbopsd.metrics.errors import HistoryDamaged
from dbopsd.metrics.history.numbers import Numbers, Segment
from dbopsd.metrics.history.prune import forget, head_bytes
from dbopsd.metrics.history.resolution import HOUR_MS
from dbopsd.metrics.history.seal import seal

_log = logging.getLogger(__name__)

_VERSION: Final = 2
# A run of a collector is written up to a tick after its time.
_LATE_MS: Final = 60_000
# The part of the file that ticks may take; past it, an hour is sealed before it is over.
_HEAD_PART: Final = 4
_LOG_BYTES: Final = 8 * 2**20


class HistoryStore:
    """One file. A file that is damaged is moved aside when it is opened, and that is logged."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._work: Iterator[None] | None = None
        try:
            self._connection, self._numbers = _open(path)
        except (sqlite3.Error, HistoryDamaged) as error:
            if not is_damage(error):
                raise
            move_aside(path, error)
            self._connection, self._numbers = _open(path)
        self._head_bytes = head_bytes(self._connection)

    def close(self) -> None:
        """Close the file; what was appended is in it."""
        self._connection.close()

    def append(self, ticks: Mapping[str, Sequence[Segment]]) -> None:
        """Write one tick of each database, all or none. Raises `sqlite3.Error`."""
        rows = []
        try:
            with self._connection as writing:
                for database, segments in ticks.items():
                    rows += [self._numbers.row(database, segment) for segment in segments]
                writing.executemany(
                    "INSERT INTO head (layout, at_ms, samples) VALUES (?, ?, ?)", rows
                )
        except BaseException:
            # What was rolled back is not known either.
            self._numbers = Numbers(self._connection)
            raise
        self._head_bytes += sum(len(samples) for _, _, samples in rows)

    def work(self, now_ms: int, *, clock_is_steady: bool = True) -> bool:
        """Do a short step of what is to be done beside: sealing, then deleting what is too old.

        Nothing is deleted for its age by a clock that may be wrong. Whether there is more to do.
        Raises `sqlite3.Error` and `HistoryDamaged`.
        """
        if self._work is None:
            self._work = self._everything_due(now_ms, by_age=clock_is_steady)
        try:
            next(self._work)
        except StopIteration:
            self._work = None
            return False
        except BaseException:
            self._work = None
            raise
        return True

    def _everything_due(self, now_ms: int, *, by_age: bool) -> Iterator[None]:
        before_ms = (now_ms - _LATE_MS) // HOUR_MS * HOUR_MS
        if self._head_bytes > self._max_bytes // _HEAD_PART:
            before_ms = now_ms
        yield from seal(self._connection, before_ms)
        self._head_bytes = head_bytes(self._connection)
        yield
        deleted = yield from forget(
            self._connection, now_ms, max_bytes=self._max_bytes, by_age=by_age
        )
        if deleted:
            self._numbers = Numbers(self._connection)


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file is damaged, and not that it cannot be had now."""
    # SQLITE_CORRUPT and SQLITE_NOTADB have no class of their own.
    return type(error) is sqlite3.DatabaseError or isinstance(error, HistoryDamaged)


def move_aside(path: Path, why: Exception) -> None:
    """Keep a damaged file beside where the next one will be, and say so. Raises `OSError`."""
    aside = path.with_suffix(".damaged")
    _log.error(
        "the history of metrics in '%s' is damaged (%s): it goes on in a new file, and the old "
        "one is kept as '%s' until another one is damaged",
        path,
        why,
        aside,
    )
    # The log first: the next file must not find another one's.
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        target = aside.with_name(aside.name + suffix)
        target.unlink(missing_ok=True)
        if source.exists():
            source.replace(target)


def _open(path: Path) -> tuple[sqlite3.Connection, Numbers]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10.0)
    try:
        path.chmod(0o600)
        # First, so that nothing is changed in the file of a later version.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise HistoryDamaged(f"it has version {version}, this is {_VERSION}")
        # Before the first table: afterwards only a VACUUM could change it.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may lose the last seconds, one of the daemon nothing.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -4000")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        if version == 0:
            schema = resources.files(__package__).joinpath("schema.sql").read_text()
            connection.executescript(f"BEGIN; {schema} PRAGMA user_version = {_VERSION}; COMMIT;")
        return connection, Numbers(connection)
    except BaseException:
        connection.close()
        raise
