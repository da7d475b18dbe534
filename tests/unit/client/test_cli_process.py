"""The command as a process: signals, pipes, and what gRPC would write on its own."""

import asyncio
import json
import signal

import grpc
import pytest
import trustme
from dbops.v1 import health_pb2

from tests.unit.client.messages import Database, database, health, watched
from tests.unit.client.real_server import HealthServer, end_of, run_dbops


@pytest.fixture
async def healthy(server):
    async def list_databases(request, context):
        return health_pb2.ListDatabasesResponse(databases=[database()])

    async def get_health(request, context):
        return health()

    server.list_databases = list_databases
    server.get_health = get_health
    return server


async def test_the_entry_point_asks_the_server_of_the_environment(healthy):
    env = {"DBOPS_SERVER": healthy.target, "DBOPS_TOKEN": "t0ken"}
    process = await run_dbops("health", "--output", "json", env=env)
    stdout, stderr = await end_of(process)
    assert (process.returncode, stderr) == (0, b"")
    assert json.loads(stdout)[0]["state"] == "HEALTHY"
    assert healthy.metadata["authorization"] == "Bearer t0ken"


async def test_ctrl_c_ends_a_watch_quietly_with_130(healthy):
    async def watch(request, context):
        yield watched()
        await asyncio.Event().wait()

    healthy.watch_health = watch
    process = await run_dbops("--server", healthy.target, "health", "--watch")
    await asyncio.wait_for(process.stdout.readline(), 20)
    process.send_signal(signal.SIGINT)
    stdout, stderr = await end_of(process)
    assert (process.returncode, stdout, stderr.strip()) == (130, b"", b"")


@pytest.mark.parametrize("output", ["table", "json"])
async def test_a_reader_that_goes_away_ends_a_watch_quietly(healthy, output):
    gone = asyncio.Event()

    async def watch(request, context):
        yield watched()
        await gone.wait()
        yield watched(state=Database.DEGRADED)
        await asyncio.Event().wait()

    healthy.watch_health = watch
    process = await run_dbops("--server", healthy.target, "health", "--watch", "--output", output)
    await asyncio.wait_for(process.stdout.readline(), 20)
    process._transport.get_pipe_transport(1).close()
    gone.set()
    stderr = await asyncio.wait_for(process.stderr.read(), 20)
    assert (await process.wait(), stderr) == (141, b"")


async def test_a_failed_handshake_is_one_line_too():
    identity = trustme.CA().issue_cert("127.0.0.1")
    chain = b"".join(blob.bytes() for blob in identity.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(identity.private_key_pem.bytes(), chain)])
    server = HealthServer(credentials)
    await server.start()
    try:
        process = await run_dbops("--server", f"https://{server.target}", "health")
        stdout, stderr = await end_of(process)
    finally:
        await server.stop()
    assert (process.returncode, stdout) == (3, b"")
    (line,) = stderr.decode().splitlines()
    assert line.startswith(f"dbops: cannot reach dbopsd at https://{server.target}: ")
    assert "CERTIFICATE_VERIFY_FAILED" in line
