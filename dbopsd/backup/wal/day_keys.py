"""The data key of a day's WAL: whoever writes on that day finds it, or creates it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.codec.errors import KeyMissing
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.repository import Repository


def utc_day() -> str:
    """The day in UTC, as `20261130`."""
    return f"{datetime.now(UTC):%Y%m%d}"


class DayKeys:
    """The data keys for WAL of one cluster that is written now."""

    def __init__(
        self, repository: Repository, layout: Layout, today: Callable[[], str] = utc_day
    ) -> None:
        self._repository = repository
        self._layout = layout
        self._today = today
        self._day = ""
        self._data_key: DataKey | None = None
        self._finding = asyncio.Lock()

    async def of_today(self) -> DataKey | None:
        """The key; None where nothing is encrypted. Raises `KeyWrong` and `BackupDamaged`."""
        if not self._repository.keys.key_id:
            return None
        async with self._finding:
            day = self._today()
            if day != self._day:
                self._data_key = await self._find(day) or await self._create(day)
                self._day = day
            return self._data_key

    async def _find(self, day: str) -> DataKey | None:
        prefix = f"{self._layout.wal}days/"
        names = [
            each.key.removeprefix(prefix) async for each in self._repository.store.list(prefix)
        ]
        for name in sorted(names):
            if not name.startswith(f"{day}-"):
                continue
            try:
                return await self._repository.keys.load(bytes.fromhex(name.partition("-")[2]))
            except KeyMissing:
                continue  # of a key that is configured no longer
        return None

    async def _create(self, day: str) -> DataKey | None:
        made = await self._repository.keys.create()
        if made is not None:
            name = f"{self._layout.wal}days/{day}-{made.id.hex()}"
            await self._repository.store.create(name, b"")
        return made
