"""The proxy does to a connection what its methods say."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.support.patience import eventually
from tests.support.proxy import Proxy


@pytest.fixture
async def echo() -> AsyncIterator[Proxy]:
    """A proxy before a server that sends back what it gets."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1000):
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with Proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, proxy: Proxy) -> "Client":
        return cls(*await asyncio.open_connection(proxy.host, proxy.port))

    async def ask(self, text: bytes = b"ping") -> bytes:
        self.writer.write(text)
        return await self.reader.readexactly(len(text))

    def close(self) -> None:
        self.writer.close()


async def test_it_forwards_and_counts(echo: Proxy) -> None:
    first, second = await Client.connect(echo), await Client.connect(echo)
    assert await first.ask() == b"ping"
    assert await second.ask(b"x" * 300_000) == b"x" * 300_000
    assert (echo.opened, echo.open) == (2, 2)
    first.close()
    await eventually(lambda: echo.open == 1)
    second.close()


async def test_the_end_of_a_stream_is_forwarded(echo: Proxy) -> None:
    client = await Client.connect(echo)
    client.writer.write(b"last words")
    client.writer.write_eof()
    assert await client.reader.read() == b"last words"
    client.close()


async def test_cut_resets_what_is_open_and_refuses_what_is_new(echo: Proxy) -> None:
    client = await Client.connect(echo)
    await client.ask()
    echo.cut()
    with pytest.raises(ConnectionResetError):
        await client.reader.read(1)
    with pytest.raises(ConnectionRefusedError):
        await Client.connect(echo)
    client.close()

    echo.heal()
    client = await Client.connect(echo)
    assert await client.ask() == b"ping"
    client.close()


async def test_frozen_it_takes_connections_and_forwards_nothing(echo: Proxy) -> None:
    old = await Client.connect(echo)
    await old.ask()
    echo.freeze()
    new = await Client.connect(echo)
    waiting = [asyncio.create_task(client.ask()) for client in (old, new)]
    done, _ = await asyncio.wait(waiting, timeout=0.2)
    assert not done

    echo.heal()
    assert await asyncio.gather(*waiting) == [b"ping", b"ping"]
    old.close()
    new.close()


async def test_delay_holds_data_back_in_both_directions(echo: Proxy) -> None:
    client = await Client.connect(echo)
    await client.ask()
    echo.delay(1)
    began = time.monotonic()
    assert await client.ask() == b"ping"
    assert time.monotonic() - began >= 2
    echo.heal()
    began = time.monotonic()
    await client.ask()
    assert time.monotonic() - began < 1
    client.close()


async def test_a_target_that_is_gone_is_a_reset_for_the_client() -> None:
    gone = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    # The reset may come while the connection is still being set up.
    with Proxy("127.0.0.1", port) as proxy, pytest.raises(ConnectionResetError):
        client = await Client.connect(proxy)
        try:
            await client.reader.read(1)
        finally:
            client.close()
