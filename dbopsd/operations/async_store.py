"""Asynchronous access to the control store, whose calls block."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from opentelemetry.trace import Tracer

from dbopsd.operations import store
from dbopsd.operations.errors import ControlStoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbopsd.operations.store.store import ControlStore

_THREADS: Final = 8

T = TypeVar("T")


class AsyncControlStore:
    """Asks the control store in threads of its own; it is opened when it is first asked."""

    def __init__(self, url: str | None, path: Path, tracer: Tracer) -> None:
        self._url = url
        self._path = path
        self._tracer = tracer
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="control-store")
        self._store: ControlStore | None = None
        self._making = threading.Lock()

    @property
    def shared_by_machines(self) -> bool:
        """Whether processes of other machines may use the same store."""
        return self._url is not None

    @property
    def where(self) -> str:
        """The store as people may see it."""
        if self._store is not None:
            return self._store.where
        return "in PostgreSQL" if self._url else str(self._path)

    async def ask(
        self, question: "Callable[[ControlStore], T]", *, timeout_s: float | None = None
    ) -> T:
        """What `question` returns of the store, asked in a thread.

        Raises `ControlStoreUnavailable`, also where there is no answer within `timeout_s` seconds;
        the question may then still have its effect, if a thread is at it already.
        """
        # Copied, so that a statement's span is a child of the caller's.
        context = contextvars.copy_context()
        asked = asyncio.get_running_loop().run_in_executor(
            self._executor, context.run, self._ask, question
        )
        try:
            await asyncio.wait({asked}, timeout=timeout_s)
            if not asked.done():
                raise ControlStoreUnavailable(self.where, f"no answer within {timeout_s:g} s")
            return asked.result()
        finally:
            # The caller is gone: calls that no thread has started would only delay others.
            asked.cancel()

    def _ask(self, question: "Callable[[ControlStore], T]") -> T:
        with self._making:
            if self._store is None:
                # Loaded here and not by the event loop: it takes a second.
                self._store = store.store.ControlStore(self._url, self._path, self._tracer)
        return question(self._store)

    def close(self) -> None:
        """Close the store. Threads that hang in it are left to end by themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._store is not None:
            self._store.close()
