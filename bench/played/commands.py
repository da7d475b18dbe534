"""The child's side of `bench.child`: answers the bench until it closes our standard input."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Command = Callable[..., Awaitable[Any]]


async def answer_commands(commands: Mapping[str, Command]) -> None:
    """Run each request's command and print what it returns; an exception is an answer too."""
    requests = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(requests), sys.stdin
    )
    while line := await requests.readline():
        request = json.loads(line)
        try:
            answer = {"value": await commands[request.pop("command")](**request)}
        except Exception as exc:
            answer = {"error": f"failed: {exc!r}"}
        print(json.dumps(answer), flush=True)
