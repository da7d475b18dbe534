"""A gRPC server on a real port, whose HealthService does what the test puts in."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import grpc
import grpc.aio
from dbops.v1 import health_pb2_grpc

CLIENT_PATH = Path(__file__).parents[3] / "clients" / "python"


class HealthServer(health_pb2_grpc.HealthServiceServicer):
    """Each call is kept in `calls` as (method, request, metadata), and answered by the handler."""

    def __init__(self, credentials=None):
        self.calls = []
        self.get_health = self.list_databases = self.watch_health = None
        self.port = 0
        self._credentials = credentials
        self._server = None

    async def start(self):
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        health_pb2_grpc.add_HealthServiceServicer_to_server(self, self._server)
        address = f"127.0.0.1:{self.port}"
        if self._credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, self._credentials)
        await self._server.start()

    async def stop(self):
        await self._server.stop(None)

    @property
    def target(self):
        return f"127.0.0.1:{self.port}"

    @property
    def metadata(self):
        return dict(self.calls[-1][2])

    async def ListDatabases(self, request, context):  # noqa: N802  # gRPC's name
        self._note("ListDatabases", request, context)
        return await self.list_databases(request, context)

    async def GetHealth(self, request, context):  # noqa: N802  # gRPC's name
        self._note("GetHealth", request, context)
        return await self.get_health(request, context)

    async def WatchHealth(self, request, context):  # noqa: N802  # gRPC's name
        self._note("WatchHealth", request, context)
        async for response in self.watch_health(request, context):
            yield response

    def _note(self, method, request, context):
        self.calls.append((method, request, tuple(context.invocation_metadata())))


async def run_dbops(*args, env=None):
    """Start the command as a process of its own, as a shell would."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from dbops_client.cli import main; main()",
        *args,
        env={
            **os.environ,
            "PYTHONPATH": str(CLIENT_PATH),
            "PYTHONFAULTHANDLER": "1",  # for `end_of`
            **(env or {}),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def end_of(process, timeout_s=60):
    """Return what is left of its standard output and error once it has ended.

    One that does not end fails the test with the stacks of its threads.
    """
    ended = asyncio.ensure_future(process.communicate())
    await asyncio.wait([ended], timeout=timeout_s)
    if not ended.done():
        process.send_signal(signal.SIGABRT)
        stdout, stderr = await ended
        raise AssertionError(f"not ended in {timeout_s} s; {stdout!r}\n{stderr.decode()}")
    return ended.result()
