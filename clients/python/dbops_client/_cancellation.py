"""Who cancelled: asyncio, or gRPC.

gRPC raises CancelledError in a task that nobody cancelled when its call was cancelled locally, by
the closing of the channel, say. Let through, it would end that task without a trace.
"""

import asyncio

import grpc

from dbops_client._errors import CallCancelledError


def task_is_cancelled() -> bool:
    """Whether the CancelledError at hand is meant for the running task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def call_cancelled() -> CallCancelledError:
    """Say that the call was cancelled on this side."""
    return CallCancelledError(grpc.StatusCode.CANCELLED, "the client was closed during the call")
