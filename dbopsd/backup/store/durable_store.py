"""A store whose calls end in time, are tried again where that helps, and whose answers are sure."""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import stamina

from dbopsd.backup.store.base import MOST_BYTES, Content, ObjectInfo, Store
from dbopsd.backup.store.errors import (
    ObjectExists,
    ObjectMissing,
    ObjectTooLarge,
    StoreEmpty,
    StoreMarkerDamaged,
    StoreMemoryUnreadable,
    StoreNotPrepared,
    StoreReplaced,
    StoreUnavailable,
    StoreUnsuitable,
)
from dbopsd.backup.store.identity import (
    MARKER,
    MOST_MARKER_BYTES,
    KnownStores,
    new_marker,
    read_marker,
)

T = TypeVar("T")

_log = logging.getLogger(__name__)

_DEADLINE_S: Final = 60.0
_ATTEMPTS: Final = 5
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
# No database is called so.
PROBES: Final = "_probes/"
"""Where objects are created to see whether the store keeps the contract."""


class DurableStore(Store):
    """`store` with a deadline for each call and `attempts` at it.

    An answer that is lost, or comes after its deadline, is no failure: the next attempt finds the
    object, compares it with what was to be written, and is content.

    With `known`, every call raises `StoreReplaced` where it is not the store that was here before.
    """

    def __init__(
        self,
        store: Store,
        *,
        deadline_s: float = _DEADLINE_S,
        attempts: int = _ATTEMPTS,
        known: KnownStores | None = None,
    ) -> None:
        self.url = store.url
        self._store = store
        self._deadline_s = deadline_s
        self._attempts = attempts
        self._known = known
        self._is_known = known is None
        self._comparing = asyncio.Lock()

    async def create(self, key: str, content: Content) -> None:
        """Create an object, or find the same one there.

        Raises `ObjectExists` where it is there with other content. So two that contend for a key
        must not write the same: both would have created it.
        """

        async def attempt() -> None:
            try:
                await self._store.create(key, content)
            except ObjectExists:
                if not await self._is_there(key, content):
                    raise

        await self._tried(attempt)

    async def read(self, key: str, most_bytes: int = MOST_BYTES) -> bytes:
        return await self._tried(lambda: self._store.read(key, most_bytes))

    async def sha256(self, key: str, most_bytes: int = MOST_BYTES) -> bytes:
        """The hash of the object, as it is read back. Raises as `read` does."""
        content = await self.read(key, most_bytes)
        return (await asyncio.to_thread(hashlib.sha256, content)).digest()

    async def info(self, key: str) -> ObjectInfo | None:
        return await self._tried(lambda: self._store.info(key))

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        async def listed() -> list[ObjectInfo]:
            return [each async for each in self._store.list(prefix)]

        # Whole before the first: a list that fails in the middle would be taken for a short one.
        for each in await self._tried(listed):
            yield each

    async def folders(self, prefix: str = "") -> Sequence[str]:
        return await self._tried(lambda: self._store.folders(prefix))

    async def delete(self, key: str) -> None:
        await self._tried(lambda: self._store.delete(key))

    async def close(self) -> None:
        await self._store.close()

    async def require_create_only(self) -> None:
        """Raise `StoreUnsuitable` unless an object that is there cannot be created again.

        Commits and leases rest on it, and some servers take the condition and ignore it.
        """
        key = f"{PROBES}{secrets.token_hex(16)}"
        first, second = b"first", b"second"
        await self.create(key, first)
        try:
            try:
                await self._tried(lambda: self._store.create(key, second))
            except ObjectExists:
                pass
            else:
                raise StoreUnsuitable(self.url, "it overwrites an object that was to be created")
            if await self.read(key) != first:
                raise StoreUnsuitable(self.url, "it refuses to overwrite an object, and does so")
        finally:
            await self.delete(key)

    async def prepare(self) -> None:
        """Mark the store as one that is used, unless it is marked, and keep in mind which it is."""
        await self.require_same()
        if not await self._identity():
            with contextlib.suppress(ObjectExists):  # somebody else has marked it meanwhile
                await self.create(MARKER, new_marker())
            await self.require_same()

    async def require_not_emptied(self, archived_before: Callable[[], Awaitable[str]]) -> None:
        """Raise `StoreEmpty` where the database had a store, and this one has nothing of it.

        Asked before it is marked where this machine knows of no store of the database, as after
        an update or with a new state directory. `archived_before` says what tells that there was
        an archive; empty: nothing does.
        """
        known = self._known
        if known is None:
            return
        with self._explained(known.folder):
            knows_one = await asyncio.to_thread(known.any)
        if knows_one or await self._identity() or await self._has_backups(known):
            return
        evidence = await archived_before()
        # Whoever has marked it meanwhile may be whose traces these are.
        if evidence and not await self._identity():
            path, host = str(known.path(self.url)), socket.gethostname()
            raise StoreEmpty(self.url, known.database, evidence, path, host)

    async def require_prepared(self) -> None:
        """Raise `StoreNotPrepared` unless the store is marked as one that is used."""
        if not await self._identity():
            raise StoreNotPrepared(self.url, MARKER)

    async def require_same(self) -> None:
        """Raise `StoreReplaced` unless it is the store that was here before, or none was.

        Raises `StoreMarkerDamaged` and `StoreMemoryUnreadable` where that cannot be told. Done
        before the first call, and when somebody wants to be sure of it.
        """
        known = self._known
        if known is None:
            return
        path = known.path(self.url)
        with self._explained(path):
            before = await asyncio.to_thread(known.recall, self.url)
        found = await self._identity()
        if before is not None and found != before.id:
            has_backups = not found and await self._has_backups(known)
            what = f"it has '{found}' in '{MARKER}'" if found else f"it has no '{MARKER}'"
            backups = "" if found else f" and {'' if has_backups else 'no '}backups"
            problem = f"{what}{backups}, and had '{before.id}' since {before.since}"
            raise StoreReplaced(self.url, problem, has_backups, str(path), socket.gethostname())
        if found and before is None:
            await self._remember(known, found)
        self._is_known = True

    async def _has_backups(self, known: KnownStores) -> bool:
        """Whether anything of the database is in the store."""
        return bool(await self._attempted(lambda: self._store.folders(f"{known.database}/")))

    @contextlib.contextmanager
    def _explained(self, path: Path) -> Iterator[None]:
        """Raise `StoreMemoryUnreadable` where `path` cannot be read."""
        try:
            yield
        except (OSError, ValueError) as error:
            problem = (error.strerror if isinstance(error, OSError) else None) or str(error)
            host = socket.gethostname()
            raise StoreMemoryUnreadable(self.url, str(path), host, problem) from error

    async def _remember(self, known: KnownStores, id_: str) -> None:
        try:
            await asyncio.to_thread(known.remember, self.url, id_)
        except OSError as error:
            # Backups are read and written all the same.
            _log.warning("which store is at %s is not kept in mind: %s", self.url, error)

    async def _identity(self) -> str:
        """The identity in the store's marker; empty: it has none. Raises `StoreMarkerDamaged`."""
        try:
            content = await self._attempted(lambda: self._store.read(MARKER, MOST_MARKER_BYTES))
            return read_marker(content)
        except ObjectMissing:
            return ""
        except ObjectTooLarge:
            problem = f"it has more than {MOST_MARKER_BYTES} bytes"
            raise StoreMarkerDamaged(self.url, MARKER, problem) from None
        except ValueError as error:
            raise StoreMarkerDamaged(self.url, MARKER, str(error)) from None

    async def _is_there(self, key: str, content: Content) -> bool:
        try:
            return await self._store.read(key, memoryview(content).nbytes) == content
        except ObjectTooLarge:
            return False
        except ObjectMissing as error:
            # Deleted since: the next attempt creates it.
            raise StoreUnavailable(self.url, f"'{key}' was there, and then not") from error

    async def _tried(self, work: Callable[[], Awaitable[T]]) -> T:
        if not self._is_known:
            async with self._comparing:
                if not self._is_known:
                    await self.require_same()
        return await self._attempted(work)

    async def _attempted(self, work: Callable[[], Awaitable[T]]) -> T:
        async for attempt in stamina.retry_context(
            on=StoreUnavailable,
            attempts=self._attempts,
            timeout=None,
            wait_initial=_FIRST_PAUSE_S,
            wait_max=_LONGEST_PAUSE_S,
            wait_jitter=_FIRST_PAUSE_S,
        ):
            with attempt:
                try:
                    async with asyncio.timeout(self._deadline_s):
                        return await work()
                except TimeoutError as error:
                    problem = f"no answer within {self._deadline_s:g} s"
                    raise StoreUnavailable(self.url, problem) from error
        raise AssertionError("the last attempt returns or raises")
