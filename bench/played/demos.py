"""A caller that asks demo daemons for operations, waits for them and watches them.

Moments are by time.time(), as those that the daemon and the demo's ledger give.
"""

import asyncio
import time
from typing import Any

import grpc
import grpc.aio
from dbops.v1 import operations_pb2, operations_pb2_grpc
from google.longrunning import operations_pb2 as longrunning_pb2
from google.longrunning import operations_pb2_grpc as longrunning_pb2_grpc

from bench.played.commands import answer_commands
from tests.support.demo.generated import demo_pb2, demo_pb2_grpc

_POLL_S = 0.1


class _Daemon:
    """A channel to one, and its stubs."""

    def __init__(self, target: str) -> None:
        self.channel = grpc.aio.insecure_channel(target)
        self.demo = demo_pb2_grpc.DemoServiceStub(self.channel)
        self.longrunning = longrunning_pb2_grpc.OperationsStub(self.channel)
        self.operations = operations_pb2_grpc.OperationsServiceStub(self.channel)


class _Caller:
    def __init__(self) -> None:
        self._daemons: dict[str, _Daemon] = {}

    async def close(self) -> None:
        for daemon in self._daemons.values():
            await daemon.channel.close()

    async def until_ready(self, target: str, within_s: float, workers: int = 1) -> None:
        """Return once `workers` of the target are there and one has done an operation.

        What is loaded late is loaded then.
        """
        daemon = self._daemon(target)
        async with asyncio.timeout(within_s):
            await daemon.channel.channel_ready()
            await self._until_workers(daemon, workers)
            await _done(daemon, await _start(daemon))

    async def burst(self, target: str, count: int) -> dict[str, Any]:
        """Ask for `count` operations of one short step at once, and wait until they have ended.

        In seconds from the first request on: when the last was accepted, when it had ended by the
        control store's clock, and when its caller knew.
        """
        daemon = self._daemon(target)
        began = time.time()
        names = await asyncio.gather(*(_start(daemon) for _ in range(count)))
        accepted_at = time.time()
        ended = await asyncio.gather(*(_done(daemon, name) for name in names))
        known_at = time.time()
        return {
            "accepted_s": accepted_at - began,
            "ended_s": max(_seconds(each.end_time) for each in ended) - began,
            "known_s": known_at - began,
        }

    async def follow(
        self,
        start_at: str,
        watch_at: str,
        steps: int,
        each_step_s: list[float],
        ledger: str,
    ) -> list[dict[str, Any]]:
        """Watch operations, one for each length of a step, until they have ended.

        For each: its id; when the watcher first saw that 1, 2, … steps are done; how long after the
        end that its record says the watcher saw it.
        """
        starting, watching = self._daemon(start_at), self._daemon(watch_at)
        names = await asyncio.gather(
            *(
                _start(starting, steps=steps, step_seconds=seconds, ledger=ledger)
                for seconds in each_step_s
            )
        )
        return await asyncio.gather(*(_watch(watching, name, steps) for name in names))

    async def waited(self, target: str) -> float:
        """How long an operation waited for a worker, in seconds, by the control store's clock."""
        daemon = self._daemon(target)
        done = await _done(daemon, await _start(daemon))
        return _seconds(done.start_time) - _seconds(done.create_time)

    async def _until_workers(self, daemon: _Daemon, count: int) -> None:
        active = operations_pb2.Worker.State.Value("ACTIVE")
        while True:
            answer = await daemon.operations.ListWorkers(operations_pb2.ListWorkersRequest())
            if sum(worker.state == active for worker in answer.workers) >= count:
                return
            await asyncio.sleep(_POLL_S)

    def _daemon(self, target: str) -> _Daemon:
        if target not in self._daemons:
            self._daemons[target] = _Daemon(target)
        return self._daemons[target]


async def _start(daemon: _Daemon, **fields: Any) -> str:
    request = demo_pb2.RunDemoRequest(**{"name": "databases/main", "steps": 1, **fields})
    return str((await daemon.demo.RunDemo(request)).name)


async def _done(daemon: _Daemon, name: str) -> Any:
    """Its metadata, once it has succeeded."""
    request = longrunning_pb2.WaitOperationRequest(name=name)
    return _metadata(await daemon.longrunning.WaitOperation(request))


async def _watch(daemon: _Daemon, name: str, steps: int) -> dict[str, Any]:
    seen: list[float] = []
    request = operations_pb2.WatchOperationRequest(name=name)
    async for response in daemon.operations.WatchOperation(request):
        at = time.time()
        operation = response.operation
        metadata = _metadata(operation)
        # Progress that is overtaken before it is written is seen with what overtook it.
        seen += [at] * (min(metadata.progress.done, steps) - len(seen))
        if operation.done:
            end_lag_s = at - _seconds(metadata.end_time)
            return {"operation": name.partition("/")[2], "seen": seen, "end_lag_s": end_lag_s}
    raise AssertionError(f"{name}: the watch ended before the operation")


def _metadata(operation: Any) -> Any:
    metadata = operations_pb2.OperationMetadata()
    operation.metadata.Unpack(metadata)
    if operation.done and metadata.state != operations_pb2.OperationMetadata.State.SUCCEEDED:
        raise AssertionError(f"{operation.name} did not succeed: {operation.error}")
    return metadata


def _seconds(timestamp: Any) -> float:
    return float(timestamp.ToNanoseconds() / 1e9)


async def _main() -> None:
    caller = _Caller()
    try:
        await answer_commands(
            {
                "until_ready": caller.until_ready,
                "burst": caller.burst,
                "follow": caller.follow,
                "waited": caller.waited,
            }
        )
    finally:
        await caller.close()


if __name__ == "__main__":
    asyncio.run(_main())
