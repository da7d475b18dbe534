"""The least that grpc.aio can serve: `Check` that answers SERVING, and nothing around it.

With the paths of a certificate and its key it does so over TLS.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.played.commands import answer_commands

_SERVING = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


class _Health(health_pb2_grpc.HealthServicer):
    async def Check(  # noqa: N802 - gRPC's name
        self, _request: health_pb2.HealthCheckRequest, _context: Any
    ) -> health_pb2.HealthCheckResponse:
        return _SERVING


async def _main(files: list[str]) -> None:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(_Health(), server)
    if files:
        chain, key = (Path(file).read_bytes() for file in files)
        credentials = grpc.ssl_server_credentials([(key, chain)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def target() -> str:
        return f"127.0.0.1:{port}"

    try:
        await answer_commands({"target": target})
    finally:
        await server.stop(None)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
