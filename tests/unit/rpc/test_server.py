"""Starting, and what is served."""

import asyncio
import socket

import grpc.aio
import pytest
from dbops.v1 import health_pb2, health_pb2_grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from dbopsd.config import ServerConfig
from dbopsd.errors import ListenerUnavailable
from dbopsd.rpc.server import RpcServer
from tests.unit.rpc.boards import board


@pytest.mark.parametrize("listener", ["socket", "server"])
async def test_a_port_in_use_is_said_in_one_line(kept, capfd, listener):
    config = ServerConfig(grpc_listen="127.0.0.1:0")
    other = RpcServer(config, board("main"), kept.telemetry)
    with socket.socket() as taken:
        if listener == "server":
            port = await other.start()
        else:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
        server = RpcServer(
            ServerConfig(grpc_listen=f"127.0.0.1:{port}"), board("main"), kept.telemetry
        )
        with pytest.raises(ListenerUnavailable) as caught:
            await server.start()
        await other.stop(0)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{port}: the port is in use by another process; "
        "choose other addresses with [server] grpc_listen and http_listen"
    )
    # gRPC's core would write a line of its own.
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("address", ["192.0.2.1:0", "no-such-host.invalid:0"])
async def test_an_address_that_is_not_ours_is_said(kept, capfd, address):
    config = ServerConfig(grpc_listen=address, insecure_listen=True)
    with pytest.raises(ListenerUnavailable) as caught:
        await RpcServer(config, board("main"), kept.telemetry).start()
    assert str(caught.value).startswith(f"cannot listen on {address}: ")
    assert capfd.readouterr().err == ""


async def test_a_server_that_never_started_stops(kept):
    await RpcServer(ServerConfig(), board("main"), kept.telemetry).stop(1)


async def test_stopping_ends_watches_once_the_board_drains(kept):
    databases = board("main")
    server = RpcServer(ServerConfig(grpc_listen="127.0.0.1:0"), databases, kept.telemetry)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.WatchHealthRequest(name="databases/main")
        watch = health_pb2_grpc.HealthServiceStub(channel).WatchHealth(request)
        assert (await watch.read()).health.name == "databases/main"
        stopping = asyncio.create_task(server.stop(30))
        await asyncio.sleep(0.1)
        assert not watch.done(), "a running call has its time"
        databases.drain()
        await asyncio.wait_for(stopping, 10)
        assert await watch.code() is grpc.StatusCode.UNAVAILABLE
        assert "the daemon is stopping" in await watch.details()
    await server.stop(30)


class TestReflection:
    async def ask(self, channel, **request):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)

        async def requests():
            yield reflection_pb2.ServerReflectionRequest(**request)

        (answer,) = [answer async for answer in stub.ServerReflectionInfo(requests())]
        return answer

    async def test_every_service_is_listed(self, channel):
        answer = await self.ask(channel, list_services="*")
        assert {service.name for service in answer.list_services_response.service} >= {
            "dbops.v1.HealthService",
            "grpc.channelz.v1.Channelz",
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }

    @pytest.mark.parametrize("symbol", ["dbops.v1.HealthService", "google.rpc.ErrorInfo"])
    async def test_symbols_resolve_with_their_imports(self, channel, symbol):
        answer = await self.ask(channel, file_containing_symbol=symbol)
        files = [
            FileDescriptorProto.FromString(file)
            for file in answer.file_descriptor_response.file_descriptor_proto
        ]
        names = {file.name for file in files}
        assert names
        assert {name for file in files for name in file.dependency} <= names


async def test_channelz_counts_the_calls(channel):
    stub = channelz_pb2_grpc.ChannelzStub(channel)
    servers = (await stub.GetServers(channelz_pb2.GetServersRequest())).server
    assert any(server.data.calls_started > 0 for server in servers)
