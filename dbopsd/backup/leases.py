"""Leases: who reads which backups and which WAL until when, so that nobody removes them meanwhile.

A lease is an object whose name says when it ends, by its holder's clock. It is renewed by another
object with a later end, long before. Clocks may differ by `CLOCK_MARGIN`: for so long past its end,
and past the time that the store itself dates it, a lease is still respected. A holder that was
killed keeps things from being removed for that long, which harms nobody.

Who removes a backup says so in a note first and then looks for leases; who takes a lease creates it
first and then looks for the note. Whatever the order, one of the two sees the other.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.layout import Layout, parse_time, time_name
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.catalog.notes import expiry_of, read_notes
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.codec.whole_object import read_whole
from dbopsd.backup.repository import repository_of
from dbopsd.backup.store.base import ObjectInfo
from dbopsd.backup.store.durable_store import DurableStore
from dbopsd.backup.store.errors import ObjectMissing, StoreError, StoreUnavailable
from dbopsd.errors import DbopsError, StatusCode
from dbopsd.operations.kind import Run

CLOCK_MARGIN: Final = timedelta(hours=2)
"""How much the clocks of holders, of the store and of retention may differ."""

_TERM: Final = timedelta(minutes=15)
_RENEWALS_A_TERM: Final = 3
_RETRY_S: Final = 5.0
_LISTINGS: Final = 5
_SUFFIX: Final = ".json"

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Lease:
    """What a holder needs until `expires`: these backups, and all WAL from `wal_from` on.

    `wal_from` None: no WAL.
    """

    holder: str
    expires: datetime
    backups: frozenset[str]
    wal_from: Lsn | None = None


@dataclass(eq=False)
class LeaseLost(DbopsError):
    """A lease ended before it could be renewed: what it protects may go at any time."""

    reason: ClassVar[str] = "BACKUP_LEASE_LOST"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    database: str
    holder: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"'{self.holder}' was stopped: its lease on backups of database '{self.database}' "
            f"could not be renewed in time ({self.problem}); start it again when the store is "
            "reachable"
        )


@dataclass(eq=False)
class BackupBeingDeleted(DbopsError):
    """A backup is wanted while it is being removed."""

    reason: ClassVar[str] = "BACKUP_BEING_DELETED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    backup: str

    @property
    def message(self) -> str:
        return (
            f"backup '{self.backup}' of database '{self.database}' is being deleted: choose another"
        )


@dataclass
class _Held:
    """A lease in our hands."""

    store: DurableStore
    layout: Layout
    holder: str
    content: bytes
    term: timedelta
    clock: Clock
    keys: list[str] = field(default_factory=list)
    """The lease's objects, and those that may be there."""
    newest: str = ""
    """The last one that is surely there."""
    problem: str = "the store gave no answer"

    @property
    def folder(self) -> str:
        return f"{self.layout.leases}{self.holder}/"

    async def renew(self) -> float:
        """Create the next object, and delete older ones; the lease's end by the loop's clock.

        The one before the new one stays until the next renewal: whoever lists objects while they
        change sees one of both.
        """
        # Counted from before the call: an answer may come late.
        end = asyncio.get_running_loop().time() + self.term.total_seconds()
        before = tuple(self.keys)
        # A clock that is set back would make the newer object look like the older one.
        latest = max((_end_of(key) for key in before), default=datetime.min.replace(tzinfo=UTC))
        expires = max(self.clock() + self.term, latest + timedelta(microseconds=1))
        key = f"{self.folder}{time_name(expires)}{_SUFFIX}"
        # Noted first: whether a call that fails has created it is not known.
        self.keys.append(key)
        await self.store.create(key, self.content)
        await self._delete([each for each in before if each != self.newest])
        self.newest = key
        return end

    async def keep_renewed(self, deadline: asyncio.Timeout) -> None:
        """Renew for ever, and move the deadline of the body each time."""
        pause = self.term.total_seconds() / _RENEWALS_A_TERM
        while True:
            await asyncio.sleep(pause)
            try:
                end = await self.renew()
            except StoreError as error:
                self.problem = error.message
                _log.warning("the lease of '%s' is not renewed yet: %s", self.holder, error)
                pause = min(_RETRY_S, pause)
            else:
                if deadline.expired():
                    return
                deadline.reschedule(end)
                pause = self.term.total_seconds() / _RENEWALS_A_TERM

    async def release(self) -> None:
        """Delete the lease. Where that fails it ends by itself."""
        try:
            await self._delete(tuple(self.keys))
        except StoreError as error:
            _log.warning("the lease of '%s' stays until it ends: %s", self.holder, error)

    async def _delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            await self.store.delete(key)
            self.keys.remove(key)


@asynccontextmanager
async def hold_lease(
    store: DurableStore,
    layout: Layout,
    holder: str,
    *,
    backups: Sequence[str],
    making: str = "",
    wal_from: Lsn | None = None,
    term: timedelta = _TERM,
    clock: Clock = utc_now,
) -> AsyncIterator[None]:
    """Keep these backups, and the WAL from `wal_from` on, from being removed during the body.

    `holder` is unique to the work, such as `restore-ID` with the operation's id: a later attempt
    takes over what an earlier one left. `making`: a backup that is being made, whose objects nobody
    sweeps meanwhile. Raises `BackupNotFound` and `BackupBeingDeleted` before the
    body begins. The body is cancelled, and `LeaseLost` raised, where the lease cannot be renewed
    before it ends.
    """
    content = {
        "format": 1,
        "backups": sorted([*backups, *([making] if making else [])]),
        "walFrom": None if wal_from is None else str(wal_from),
    }
    held = _Held(store, layout, holder, json.dumps(content).encode() + b"\n", term, clock)
    held.keys.extend(sorted([each.key async for each in store.list(held.folder)]))
    held.newest = held.keys[-1] if held.keys else ""
    try:
        end = await held.renew()
        for backup in backups:
            await _require(store, layout, backup)
        try:
            async with asyncio.timeout_at(end) as deadline:
                renewing = asyncio.create_task(held.keep_renewed(deadline))
                try:
                    yield
                finally:
                    renewing.cancel()
                    await asyncio.wait([renewing])
        except TimeoutError:
            if deadline.expired():
                raise LeaseLost(layout.database, holder, held.problem) from None
            raise
        # Not cancelled, and not at its end: what failed in it is a mistake of ours.
        if not renewing.cancelled():
            renewing.result()
    finally:
        await held.release()


async def leases_of(store: DurableStore, layout: Layout, *, clock: Clock = utc_now) -> list[Lease]:
    """The leases that may be living, of each holder the newest. Raises `BackupDamaged`."""
    for _ in range(_LISTINGS):
        newest: dict[str, str] = {}
        async for each in store.list(layout.leases):
            if _may_live(each, clock()):
                holder = each.key.removeprefix(layout.leases).split("/")[0]
                newest[holder] = max(newest.get(holder, ""), each.key)
        with contextlib.suppress(ObjectMissing):  # released, or renewed since it was listed
            return [
                _parse(holder, key, await read_whole(store, key))
                for holder, key in sorted(newest.items())
            ]
    raise StoreUnavailable(store.url, "its list of leases names objects that are not there")


async def end_leases(run: Run, holder: str) -> None:
    """Delete what a holder left that was killed and does not come back, in every cluster's folder.

    Where that fails, as where the store is away, the lease ends by itself.
    """
    try:
        async with repository_of(run) as repository:
            for system in await repository.systems():
                folder = f"{repository.layout(system).leases}{holder}/"
                async for each in repository.store.list(folder):
                    await repository.store.delete(each.key)
    except DbopsError as error:
        _log.warning("the lease of '%s' stays until it ends: %s", holder, error)


async def delete_dead_leases(
    store: DurableStore, layout: Layout, *, clock: Clock = utc_now
) -> None:
    """Delete what holders left that were killed, once it is respected no more."""
    async for each in store.list(layout.leases):
        if not _may_live(each, clock()):
            await store.delete(each.key)


async def _require(store: DurableStore, layout: Layout, backup: str) -> None:
    """Raise unless the backup is there and stays, now that it is leased."""
    notes = (await read_notes(store, layout, backup)).get(backup, {})
    expiry = expiry_of(notes)
    if expiry is not None and expiry.fields.get("deleting"):
        raise BackupBeingDeleted(layout.database, backup)
    if await store.info(layout.commit(backup)) is None:
        raise BackupNotFound(layout.database, backup)


def _may_live(lease: ObjectInfo, now: datetime) -> bool:
    dated = datetime.fromtimestamp(lease.modified_at, UTC) + _TERM
    return now < max(_end_of(lease.key), dated) + CLOCK_MARGIN


def _end_of(key: str) -> datetime:
    """The end of a lease by its name."""
    name = key.rpartition("/")[2].removesuffix(_SUFFIX)
    try:
        return parse_time(name)
    except ValueError:
        raise BackupDamaged(key, Damage.FOREIGN, "it is no lease") from None


def _parse(holder: str, key: str, content: bytes) -> Lease:
    try:
        fields = json.loads(content)
        wal_from = fields["walFrom"]
        return Lease(
            holder,
            _end_of(key),
            frozenset(map(str, fields["backups"])),
            None if wal_from is None else Lsn.parse(wal_from),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BackupDamaged(key, Damage.HASH, "it is no lease") from None
