"""A store that fails at a call of the test's choice, in the ways in which stores fail.

    faults = Faults()
    with stores_that_fail(faults):
        await create_backup(run, request)       # counts: len(faults.calls)
    for at in range(len(faults.calls)):
        with stores_that_fail(Faults(Fault.LOSE_ANSWER, at)):
            await create_backup(run, request)

Call numbers begin with 0, and go through every store that is opened within the context. A call
that `DurableStore` tries again is another call: `count` says how many fail in a row, and
`FOR_EVER` that the store does not come back, as if the process had died there.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeVar

import stamina

from dbopsd.backup.store import stores
from dbopsd.backup.store.base import MOST_BYTES, Content, ObjectInfo, Store
from dbopsd.backup.store.errors import StoreError, StoreFull, StoreUnavailable
from dbopsd.config.backup import DatabaseBackupConfig

T = TypeVar("T")

FOR_EVER: Final = sys.maxsize


class Fault(Enum):
    """How a call fails."""

    FAIL = "fail"
    """It is not done, and the store says that it is unavailable."""
    HANG = "hang"
    """It is not done, and no answer comes."""
    LOSE_ANSWER = "lose-answer"
    """It is done, and the connection breaks before the answer."""
    LATE = "late"
    """No answer comes within the deadline, and after the next call it is done all the same."""
    FULL = "full"
    """There is no room: a `create` is not done; every other call works."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call to the store: the method's name, and the key or prefix."""

    method: str
    key: str


@dataclass
class Faults:
    """Which calls fail: `count` of them, from number `at` on, counted over all stores.

    `only`: which calls are counted at all, such as `lambda call: call.method == "create"`.
    """

    fault: Fault | None = None
    at: int = 0
    count: int = 1
    only: Callable[[Call], bool] = field(default=lambda _call: True)
    calls: list[Call] = field(default_factory=list)
    """Every call that was counted."""
    happened: int = 0
    """How many calls failed."""

    def of(self, call: Call) -> Fault | None:
        """What happens to this call, which is counted."""
        if not self.only(call):
            return None
        self.calls.append(call)
        number = len(self.calls) - 1
        if self.fault is None or not self.at <= number < self.at + self.count:
            return None
        if self.fault is Fault.FULL and call.method != "create":
            return None
        self.happened += 1
        return self.fault


class FailingStore(Store):
    """`store`, of which some calls fail."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self.url = store.url
        self._store = store
        self._faults = faults
        self._late: list[Callable[[], Awaitable[object]]] = []

    async def create(self, key: str, content: Content) -> None:
        # What a caller does with its buffer afterwards must not reach a call that is late.
        kept = bytes(content)
        await self._call(Call("create", key), lambda: self._store.create(key, kept))

    async def read(self, key: str, most_bytes: int = MOST_BYTES) -> bytes:
        return await self._call(Call("read", key), lambda: self._store.read(key, most_bytes))

    async def info(self, key: str) -> ObjectInfo | None:
        return await self._call(Call("info", key), lambda: self._store.info(key))

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        async def listed() -> list[ObjectInfo]:
            return [each async for each in self._store.list(prefix)]

        call = Call("list", prefix)
        fault = self._faults.of(call)
        if fault is Fault.FAIL:
            # The worst of lists: one that ends in the middle.
            found = await listed()
            for each in found[: len(found) // 2]:
                yield each
        for each in await self._done(call, fault, listed):
            yield each

    async def folders(self, prefix: str = "") -> Sequence[str]:
        return await self._call(Call("folders", prefix), lambda: self._store.folders(prefix))

    async def delete(self, key: str) -> None:
        await self._call(Call("delete", key), lambda: self._store.delete(key))

    async def close(self) -> None:
        await self.settle()
        await self._store.close()

    async def settle(self) -> None:
        """Do what is late."""
        late, self._late = self._late, []
        for work in late:
            with contextlib.suppress(StoreError):
                await work()

    async def _call(self, call: Call, work: Callable[[], Awaitable[T]]) -> T:
        return await self._done(call, self._faults.of(call), work)

    async def _done(self, call: Call, fault: Fault | None, work: Callable[[], Awaitable[T]]) -> T:
        if fault is Fault.FAIL:
            raise StoreUnavailable(self.url, f"{call.method} of {call.key} failed, as planned")
        if fault is Fault.FULL:
            raise StoreFull(self.url, "No space left on device, as planned")
        if fault in (Fault.HANG, Fault.LATE):
            if fault is Fault.LATE:
                self._late.append(work)
            await asyncio.Event().wait()
        try:
            answer = await work()
        finally:
            if fault is None:
                await self.settle()
        if fault is Fault.LOSE_ANSWER:
            raise StoreUnavailable(self.url, f"the answer to {call.method} was lost, as planned")
        return answer


@contextlib.contextmanager
def no_pauses() -> Iterator[None]:
    """Have calls that fail tried again at once, and as often as without it."""
    with stamina.set_testing(True, attempts=sys.maxsize, cap=True):
        yield


@contextlib.contextmanager
def stores_that_fail(faults: Faults, scheme: str = "file") -> Iterator[Faults]:
    """Have `open_repository` open stores of this scheme with `faults`, tried again at once."""
    opened = stores.OPENERS[scheme]

    def open_failing(config: DatabaseBackupConfig) -> Store:
        return FailingStore(opened(config), faults)

    stores.OPENERS[scheme] = open_failing
    try:
        with no_pauses():
            yield faults
    finally:
        stores.OPENERS[scheme] = opened
