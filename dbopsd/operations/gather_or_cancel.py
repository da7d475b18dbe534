"""Works that run side by side, and fail as one."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def gather_or_cancel(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run works concurrently; their results, in order.

    The first failure cancels the others. It is raised alone, and as it is, once all have ended.
    Where the caller itself is cancelled, that is what it gets once all have ended, whatever works
    raise meanwhile: a `TaskGroup` would raise this in its place.
    """
    failures: list[BaseException] = []

    def note_failure(task: asyncio.Task[T]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            failures.append(failure)

    tasks: list[asyncio.Task[T]] = []
    try:
        for work in works:
            tasks.append(asyncio.create_task(work))
            tasks[-1].add_done_callback(note_failure)
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await _cancel_all(tasks)
    if failures:
        raise failures[0]
    return [task.result() for task in tasks]


async def _cancel_all(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their ends, also where the caller is cancelled meanwhile."""
    for task in tasks:
        task.cancel()
    cancelled = None
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
