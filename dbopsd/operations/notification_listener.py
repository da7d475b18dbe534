"""Receive notifications from the other processes of a control store, in an event loop."""

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.errors import ControlStoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    # With SQLAlchemy, which takes long to load.
    from dbopsd.operations.store.notifications import Subscription, Topic

_log = logging.getLogger(__name__)

_RETRY_S: Final = 2.0


class NotificationListener:
    """Calls `on_topic` for what is published, and for every topic once it listens anew.

    `name` is the listener's own among all of the control store.
    """

    def __init__(
        self, threads: AsyncControlStore, name: str, on_topic: "Callable[[Topic], None]"
    ) -> None:
        self._threads = threads
        self._name = name
        self._on_topic = on_topic

    async def run(self) -> None:
        """Listen until cancelled; where that is not possible, try again."""
        said = False
        while True:
            try:
                subscription = await self._threads.ask(lambda store: store.subscribe(self._name))
            except ControlStoreUnavailable as exc:
                if not said:
                    said = True
                    _log.info(
                        "the control store sends no notifications for now, so it is polled: %s", exc
                    )
                await asyncio.sleep(_RETRY_S)
                continue
            said = False
            with contextlib.closing(subscription):
                await self._hear(subscription)

    async def _hear(self, subscription: "Subscription") -> None:
        """Return once the subscription is broken."""
        from dbopsd.operations.store.notifications import Topic  # noqa: PLC0415 - see above

        loop = asyncio.get_running_loop()
        broken = asyncio.Event()

        def receive() -> None:
            try:
                topics = subscription.receive()
            except Exception as exc:  # noqa: BLE001 - a driver's own
                _log.info("notifications break off: %s", exc)
                broken.set()
                return
            for topic in topics:
                self._on_topic(topic)

        descriptor = subscription.fileno()
        loop.add_reader(descriptor, receive)
        try:
            # What was published while nobody listened.
            for topic in Topic:
                self._on_topic(topic)
            await broken.wait()
        finally:
            loop.remove_reader(descriptor)
