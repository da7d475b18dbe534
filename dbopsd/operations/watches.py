"""Watching operations: one question to the control store for however many watch.

The store is asked a few times a second for the revisions of what is watched, and for nothing while
nobody watches.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import Context
from typing import Final

from dbopsd.operations import store
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.errors import ControlStoreUnavailable
from dbopsd.operations.record import Operation

_log = logging.getLogger(__name__)

# Within half a second a watcher has seen a change, with the 0.25 s that a worker gathers progress.
_POLL_S: Final = 0.15
_AWAY_POLL_S: Final = 1.0
_ANSWER_S: Final = 8.0


class _Watched:
    """The newest of one operation, and the event that a newer one is there."""

    def __init__(self, operation: Operation) -> None:
        self.newest = operation
        self.deleted = False
        self.changed = asyncio.Event()
        self.watchers = 0

    def is_of(self, operation: Operation) -> bool:
        """Whether it is this one, and not one of its id before or after it was deleted."""
        return operation.create_time == self.newest.create_time

    def delete(self) -> None:
        """Have every watcher of it end."""
        self.deleted = True
        self.renew()

    def renew(self) -> None:
        """Wake who waits, and let them wait anew."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class Watches:
    """The watchers of an operation in this process."""

    def __init__(self, threads: AsyncControlStore) -> None:
        self._threads = threads
        self._watched: dict[str, _Watched] = {}
        self._poller: asyncio.Task[None] | None = None
        self._drained = False

    async def watch(self, operation: Operation) -> AsyncGenerator[Operation, None]:
        """`operation`, and it at each change, and last as it ended."""
        watched = self._watched.get(operation.id)
        if watched is None or not watched.is_of(operation):
            self._forget(operation.id)
            watched = self._watched[operation.id] = _Watched(operation)
        watched.watchers += 1
        self._poll()
        try:
            seen = operation
            while True:
                yield seen
                if seen.state.done:
                    return
                while watched.newest.revision <= seen.revision:
                    if self._drained or watched.deleted:
                        return
                    await watched.changed.wait()
                seen = watched.newest
        finally:
            watched.watchers -= 1
            if not watched.watchers and self._watched.get(operation.id) is watched:
                del self._watched[operation.id]

    async def wait(self, operation: Operation, timeout_s: float | None) -> Operation:
        """The operation once it has ended, or the newest of it after `timeout_s` seconds."""
        seen = operation
        try:
            async with asyncio.timeout(timeout_s), aclosing(self.watch(operation)) as states:
                async for each in states:
                    seen = each
        except TimeoutError:
            pass
        return seen

    def publish(self, operation: Operation) -> None:
        """Show watchers a change; another one of that id means that theirs was deleted."""
        watched = self._watched.get(operation.id)
        if watched is None:
            return
        if not watched.is_of(operation):
            self._forget(operation.id)
        elif operation.revision > watched.newest.revision:
            watched.newest = operation
            watched.renew()

    def _forget(self, name: str) -> None:
        watched = self._watched.pop(name, None)
        if watched is not None:
            watched.delete()

    def drain(self) -> None:
        """Have every watch end."""
        self._drained = True
        for watched in self._watched.values():
            watched.renew()

    async def close(self) -> None:
        """Stop asking the control store."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.gather(self._poller, return_exceptions=True)

    def _poll(self) -> None:
        if self._poller is None or self._poller.done():
            # In a context of its own: its questions belong to no single watcher's trace.
            self._poller = asyncio.create_task(
                self._poll_while_watched(), name="operation-watches", context=Context()
            )

    async def _poll_while_watched(self) -> None:
        away = False
        while self._watched and not self._drained:
            await asyncio.sleep(_AWAY_POLL_S if away else _POLL_S)
            try:
                await self._look()
            except ControlStoreUnavailable as exc:
                if not away:
                    _log.warning("watched operations are not followed for now: %s", exc)
                away = True
            except Exception:  # noqa: BLE001 - logged
                # Watchers would wait for ever.
                if not away:
                    _log.exception("watched operations are not followed for now")
                away = True
            else:
                if away:
                    _log.info("watched operations are followed again")
                away = False

    async def _look(self) -> None:
        revisions = {
            operation: watched.newest.revision for operation, watched in self._watched.items()
        }
        changed, deleted = await self._threads.ask(
            lambda control: store.requests.get_newer(control, revisions), timeout_s=_ANSWER_S
        )
        for operation in changed:
            # A revision below the one asked with: deleted meanwhile, and asked for again.
            if operation.revision < revisions[operation.id]:
                self._forget(operation.id)
            else:
                self.publish(operation)
        for name in deleted:
            self._forget(name)
