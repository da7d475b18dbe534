"""TLS, retries and proxies, over real connections, for both clients."""

import asyncio

import grpc
import pytest
import trustme
from dbops.v1 import operations_pb2
from dbops_client import (
    AsyncDbopsClient,
    CallCancelledError,
    DbopsClient,
    DeadlineExceededError,
    UnavailableError,
)

from tests.unit.client.messages import health, watched
from tests.unit.client.operations_server import OperationsServer
from tests.unit.client.real_server import HealthServer

LOCALHOST = "127.0.0.1"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def pem(authority, tmp_path_factory):
    """The PEM files a client may need: ca, certificate, key, and another authority's ca."""
    folder = tmp_path_factory.mktemp("pem")
    identity = authority.issue_cert("dashboard@example.org", common_name="dashboard")
    authority.cert_pem.write_to_path(folder / "ca")
    trustme.CA().cert_pem.write_to_path(folder / "other-ca")
    identity.private_key_pem.write_to_path(folder / "key")
    identity.cert_chain_pems[0].write_to_path(folder / "certificate")
    return folder


@pytest.fixture
async def tls_server(authority):
    """A server that wants a client certificate, and says who came."""
    server = HealthServer(_wants_client_certificate(authority))

    async def who(request, context):
        (name,) = context.auth_context()["x509_common_name"]
        return health(explanation=name.decode())

    server.get_health = who
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def tls_operations_server(authority):
    server = OperationsServer(_wants_client_certificate(authority))
    server.workers = [operations_pb2.Worker(name="workers/w1")]
    server.start()
    yield server
    server.close()


def _wants_client_certificate(authority):
    identity = authority.issue_cert(LOCALHOST)
    chain = b"".join(blob.bytes() for blob in identity.cert_chain_pems)
    return grpc.ssl_server_credentials(
        [(identity.private_key_pem.bytes(), chain)],
        root_certificates=authority.cert_pem.bytes(),
        require_client_auth=True,
    )


@pytest.fixture(params=["sync", "asyncio"])
def ask(request):
    """Ask for the health of `main` with a client of either kind, made with the arguments given."""

    def ask_sync(*args, **kwargs):
        with DbopsClient(*args, **kwargs) as client:
            return client.health.get("main")

    async def ask_async(*args, **kwargs):
        async with AsyncDbopsClient(*args, **kwargs) as client:
            return await client.health.get("main")

    async def in_thread(*args, **kwargs):
        return await asyncio.to_thread(ask_sync, *args, **kwargs)

    return in_thread if request.param == "sync" else ask_async


async def test_both_sides_prove_who_they_are(tls_server, pem, ask):
    files = {"ca": pem / "ca", "certificate": pem / "certificate", "key": str(pem / "key")}
    answer = await ask(tls_server.target, token="t0ken", **files)
    assert answer.explanation == "dashboard"
    assert tls_server.metadata["authorization"] == "Bearer t0ken"


async def test_a_server_of_another_authority_is_not_spoken_to(tls_server, pem, ask):
    files = {"ca": pem / "other-ca", "certificate": pem / "certificate", "key": pem / "key"}
    with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        await ask(tls_server.target, token="t0ken", **files)
    assert tls_server.calls == []


async def test_an_https_address_means_tls(tls_server, ask):
    # No CA is given: the public authorities do not vouch for this server.
    with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        await ask(f"https://{tls_server.target}", token="t0ken")
    assert tls_server.calls == []


def test_the_command_proves_who_it_is_too(tls_operations_server, pem, dbops_on_real_channels):
    (pem / "token").write_text("t0ken")
    files = [f"--ca={pem / 'ca'}", f"--cert={pem / 'certificate'}", f"--key={pem / 'key'}"]
    server = ("--server", tls_operations_server.target, f"--token-file={pem / 'token'}")
    result = dbops_on_real_channels("workers", "list", *server, *files)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "w1" in result.stdout
    sent = [metadata["authorization"] for _, _, metadata in tls_operations_server.calls]
    assert sent == ["Bearer t0ken"] * 2, "for the workers and the duties"
    result = dbops_on_real_channels("workers", "list", *server, "--tls")
    assert result.exit_code == 3
    assert "CERTIFICATE_VERIFY_FAILED" in result.stderr
    assert "t0ken" not in result.output
    assert len(tls_operations_server.calls) == 2, "no more than before"


async def test_tls_that_is_insisted_on_is_tls(tls_server, ask):
    with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        await ask(tls_server.target, token="t0ken", tls=True)
    assert tls_server.calls == []


async def test_unavailable_is_tried_again(server, ask):
    async def not_at_first(request, context):
        if len(server.calls) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return health()

    server.get_health = not_at_first
    assert await ask(server.target) == health()
    assert len(server.calls) == 3


async def test_a_silent_server_does_not_hold_the_caller(server, ask):
    remaining_s = []

    async def hang(request, context):
        remaining_s.append(context.time_remaining())
        await asyncio.Event().wait()

    server.get_health = hang
    with pytest.raises(DeadlineExceededError):
        # Were there no deadline, this would end the test, and the server's end the call.
        await asyncio.wait_for(ask(server.target, timeout_s=0.5), 20)
    assert 0 < remaining_s[0] <= 0.5


async def test_a_call_has_its_own_deadline(server):
    remaining_s = []

    async def note(request, context):
        remaining_s.append(context.time_remaining())
        return health()

    server.get_health = note
    with DbopsClient(server.target) as client:
        await asyncio.to_thread(client.health.get, "main", timeout_s=300)
        await asyncio.to_thread(client.health.get, "main")
    async with AsyncDbopsClient(server.target, timeout_s=200) as client:
        await client.health.get("main", timeout_s=300)
        await client.health.get("main")
    # gRPC sends them rounded up.
    for sent_s, asked_s in zip(remaining_s, (300, 10, 300, 200), strict=True):
        assert asked_s - 10 < sent_s < asked_s * 1.02


async def test_closing_the_synchronous_client_ends_its_watch(server):
    async def watch(request, context):
        yield watched()
        await asyncio.Event().wait()

    server.watch_health = watch
    client = DbopsClient(server.target)
    stream = client.health.watch("main")
    await asyncio.to_thread(next, stream)
    second = asyncio.create_task(asyncio.to_thread(next, stream))
    done, _ = await asyncio.wait({second}, timeout=0.05)
    assert not done
    client.close()
    with pytest.raises(CallCancelledError):
        await second


async def test_what_stays_on_this_machine_goes_around_the_proxy(server, ask, monkeypatch):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def say_healthy(request, context):
        return health()

    server.get_health = say_healthy
    assert await ask(server.target) == health()
