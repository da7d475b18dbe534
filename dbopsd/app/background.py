"""Work that goes on beside the answers of the daemon."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

_log = logging.getLogger(__name__)

_AGAIN_AFTER_S: Final = 5.0


def start(
    name: str, run: Callable[[], Awaitable[None]], *, again_after_s: float = _AGAIN_AFTER_S
) -> asyncio.Task[None]:
    """A task that runs `run`, and begins it anew after `again_after_s` where it fails.

    Nobody awaits such a task before the daemon stops, so that its error would be told to nobody.
    """
    return asyncio.create_task(_go_on(name, run, again_after_s), name=name)


async def _go_on(name: str, run: Callable[[], Awaitable[None]], again_after_s: float) -> None:
    while True:
        try:
            return await run()
        except Exception:  # noqa: BLE001 - whatever it is, the work has to go on
            _log.exception("the task '%s' failed, and begins anew", name)
        await asyncio.sleep(again_after_s)
