"""Whether a CancelledError comes from asyncio or from gRPC.

When a call is cancelled locally, for example because its channel is closed, gRPC raises
CancelledError in a task that nobody cancelled. If it passed, it would end that task silently.
"""

import asyncio

import grpc

from dbops_client._errors import CallCancelledError


def task_is_cancelled() -> bool:
    """Whether the running task is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def call_cancelled() -> CallCancelledError:
    """Return the error of a call that was cancelled on this side."""
    return CallCancelledError(grpc.StatusCode.CANCELLED, "the client was closed during the call")
