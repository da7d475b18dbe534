"""An OTLP collector that takes everything and keeps nothing, as cheaply as Python can."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from bench.played.commands import answer_commands


class _Anything(grpc.GenericRpcHandler):
    """Every method, with bytes in and an empty message out: nothing is decoded."""

    def __init__(self) -> None:
        self.received_bytes: Counter[str] = Counter()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        kind = "traces" if "TraceService" in handler_call_details.method else "metrics"

        def take(request: bytes, _context: grpc.ServicerContext) -> bytes:
            self.received_bytes[kind] += len(request)
            return b""

        return grpc.unary_unary_rpc_method_handler(take)


async def _main() -> None:
    anything = _Anything()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[anything])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    async def endpoint() -> str:
        return f"http://127.0.0.1:{port}"

    async def received_bytes() -> dict[str, int]:
        return anything.received_bytes

    try:
        await answer_commands({"endpoint": endpoint, "received_bytes": received_bytes})
    finally:
        server.stop(None).wait()


if __name__ == "__main__":
    asyncio.run(_main())
