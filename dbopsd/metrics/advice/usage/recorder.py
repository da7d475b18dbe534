"""Looks at the use of each database now and then, and tells what was seen."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from dbopsd.db.errors import DatabaseError
from dbopsd.metrics.advice.usage.look import look_at
from dbopsd.metrics.advice.usage.store import UsageStore
from dbopsd.metrics.errors import TooManyQuestions
from dbopsd.metrics.on_demand import OnDemand

_log = logging.getLogger(__name__)

# What runs at the start has the server to itself, and an hour is short for a month's judgement.
_FIRST_AFTER_S: Final = 60.0
_EVERY_S: Final = 3600.0
_TIMEOUT_S: Final = 10.0


class UsageRecorder:
    """Records the use of `databases` in the file at `path`. `clock` is in seconds since 1970."""

    def __init__(
        self,
        on_demand: OnDemand,
        databases: Iterable[str],
        path: Path,
        *,
        unused_days: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._on_demand = on_demand
        self._databases = tuple(databases)
        self._store = UsageStore(path)
        self._path = path
        self._unused_days = unused_days
        self._clock = clock

    async def run(self) -> None:
        """Look for ever; ends by cancellation only."""
        await asyncio.sleep(_FIRST_AFTER_S)
        while True:
            for database in self._databases:
                try:
                    await self.look(database)
                except (DatabaseError, TooManyQuestions) as error:
                    # The counters are there at the next look, too.
                    _log.info("the use of database '%s' was not seen: %s", database, error)
                except (sqlite3.Error, OSError) as error:
                    _log.warning("the record of use '%s' cannot be written: %s", self._path, error)
            await asyncio.sleep(_EVERY_S)

    async def look(self, database: str) -> None:
        """Record what there is to see now.

        Raises `DatabaseError`, `TooManyQuestions`, `sqlite3.Error` and OSError.
        """
        async with self._on_demand.session(database, timeout_s=_TIMEOUT_S) as session:
            seen = await look_at(session)
        await asyncio.to_thread(self._store.record, database, seen, self._clock())

    async def use_of(self, database: str) -> Mapping[str, Any]:
        """What rules are given of a database's use; empty if nothing can be read."""
        try:
            return await asyncio.to_thread(
                self._store.use_of, database, self._clock(), unused_days=self._unused_days
            )
        except sqlite3.Error as error:
            _log.warning("the record of use '%s' cannot be read: %s", self._path, error)
            return {}
