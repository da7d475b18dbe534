"""TLS that follows its files, limits, and what of access does not fit a table."""

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator

import grpc.aio
import pytest
from dbops.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_health.v1 import health_pb2_grpc as grpc_health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbopsd.config import AuthConfig, ServerConfig, TokenConfig
from dbopsd.rpc.auth_interceptor import address_of
from dbopsd.rpc.credential_watch import send_while
from dbopsd.rpc.server import RpcServer
from dbopsd.security.access import Access
from dbopsd.security.caller import NOBODY, current_caller
from dbopsd.security.errors import CredentialChanged, Unauthenticated
from dbopsd.security.tokens import hash_token, new_token
from tests.support.certificates import Certificates, served_name
from tests.support.issuer import Issuer, jwt_config
from tests.support.patience import eventually
from tests.unit.rpc.answers import answer_of, refused
from tests.unit.rpc.probe import Probe, ProbeText

TOKEN, MAIN = new_token(), new_token()
BEARER = (("authorization", f"Bearer {TOKEN}"),)
AUTH = AuthConfig(
    tokens={
        "ci": TokenConfig(hash=hash_token(TOKEN), role="OPERATOR"),
        "main": TokenConfig(hash=hash_token(MAIN), databases={"main": "VIEWER"}),
    }
)
ASK, TELL = "/dbops.v1.ProbeService/Ask", "/dbops.v1.ProbeService/Tell"


@contextlib.asynccontextmanager
async def serving(
    config: ServerConfig, access: Access, databases, kept, probe: Probe | None = None
) -> AsyncIterator[int]:
    services = [] if probe is None else [probe.service()]
    rpc = RpcServer(config, databases, kept.telemetry, access=access, services=services)
    port = await rpc.start()
    databases.accept()
    try:
        yield port
    finally:
        await rpc.stop(0)


@pytest.fixture
async def guarded(databases, kept, probe) -> AsyncIterator[grpc.aio.Channel]:
    config = ServerConfig(grpc_listen="127.0.0.1:0", max_calls_per_client=3)
    async with (
        serving(config, Access.load(config, AUTH), databases, kept, probe) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield channel


async def test_a_caller_sees_the_databases_that_it_may_see(guarded):
    stub = health_pb2_grpc.HealthServiceStub(guarded)
    request = health_pb2.ListDatabasesRequest()
    everything = await stub.ListDatabases(request, metadata=BEARER)
    assert [each.name for each in everything.databases] == ["databases/main", "databases/other"]
    some = await stub.ListDatabases(request, metadata=(("authorization", f"Bearer {MAIN}"),))
    assert [each.name for each in some.databases] == ["databases/main"]


class TestOpenHealth:
    """`grpc.health.v1`, which needs no credential, tells databases to who may see them."""

    MAIN = (("authorization", f"Bearer {MAIN}"),)

    @pytest.fixture
    def health(self, guarded):
        return grpc_health_pb2_grpc.HealthStub(guarded)

    @staticmethod
    def asked(service: str) -> grpc_health_pb2.HealthCheckRequest:
        return grpc_health_pb2.HealthCheckRequest(service=service)

    async def test_the_list_has_the_databases_that_the_caller_may_see(self, health):
        request = grpc_health_pb2.HealthListRequest()
        for credentials, databases in (
            (None, set()),
            (self.MAIN, {"databases/main"}),
            (BEARER, {"databases/main", "databases/other"}),
        ):
            statuses = (await health.List(request, metadata=credentials)).statuses
            assert {name for name in statuses if name.startswith("databases")} == databases
            assert {"", "readiness", "liveness", "dbops.v1.HealthService"} <= set(statuses)

    async def test_one_that_may_not_be_seen_is_as_one_that_is_not_there(self, health):
        for credentials in (None, self.MAIN):
            answers = [
                await refused(health.Check(self.asked(name), metadata=credentials))
                for name in ("databases/other", "databases/nope")
            ]
            assert {answer.reason for answer in answers} == {"SERVICE_NOT_FOUND"}
            assert answers[0].text.replace("other", "nope") == answers[1].text
        serving = grpc_health_pb2.HealthCheckResponse.SERVING
        found = await health.Check(self.asked("databases/main"), metadata=self.MAIN)
        assert found.status == serving

    async def test_a_watch_of_it_is_one_of_an_unknown_name(self, health):
        watch = health.Watch(self.asked("databases/other"), metadata=self.MAIN)
        assert (await watch.read()).status == grpc_health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()
        watch = health.Watch(self.asked("databases/main"), metadata=self.MAIN)
        assert (await watch.read()).status == grpc_health_pb2.HealthCheckResponse.SERVING
        watch.cancel()

    async def test_a_wrong_credential_matters_only_where_databases_are_asked_for(self, health):
        wrong = (("authorization", "Bearer dbops_nobodys"),)
        for name in ("", "liveness", "readiness"):
            assert (await health.Check(self.asked(name), metadata=wrong)).status
        answer = await refused(health.Check(self.asked("databases/main"), metadata=wrong))
        assert answer.reason == "TOKEN_UNKNOWN"


async def test_a_wrong_credential_is_said_in_the_log_without_it(guarded, caplog):
    stub = health_pb2_grpc.HealthServiceStub(guarded)
    request = health_pb2.GetHealthRequest(name="databases/main")
    wrong = (("authorization", "Bearer dbops_nobodys"),)
    for _ in range(3):
        assert (await refused(stub.GetHealth(request, metadata=wrong))).reason == "TOKEN_UNKNOWN"
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["a credential from 127.0.0.1 was refused: TOKEN_UNKNOWN"]


async def test_wrong_credentials_keep_no_right_one_waiting(guarded):
    """From one address, such as a load balancer's."""
    stub = health_pb2_grpc.HealthServiceStub(guarded)
    request = health_pb2.GetHealthRequest(name="databases/main")
    wrong = (("authorization", "Bearer dbops_nobodys"),)
    for _ in range(4):
        await refused(stub.GetHealth(request, metadata=wrong))
    slow = [asyncio.create_task(_await(stub.GetHealth(request, metadata=wrong))) for _ in range(8)]
    for _ in range(20):
        await stub.GetHealth(request, metadata=BEARER)
    answers = await asyncio.gather(*slow, return_exceptions=True)
    # Calls beyond the three that may wait are answered with an error at once.
    codes = [answer.code() for answer in answers]
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 5
    assert codes.count(grpc.StatusCode.UNAUTHENTICATED) == 3


async def test_the_refusal_says_what_is_missing(guarded):
    stub = health_pb2_grpc.HealthServiceStub(guarded)
    answer = await refused(
        stub.GetHealth(
            health_pb2.GetHealthRequest(name="databases/other"),
            metadata=(("authorization", f"Bearer {MAIN}"),),
        )
    )
    assert answer.code is grpc.StatusCode.PERMISSION_DENIED
    assert (answer.reason, answer.metadata) == (
        "ROLE_MISSING",
        {"role": "VIEWER", "database": "databases/other"},
    )
    assert answer.text == "'main' lacks the role VIEWER on database 'other', which this needs"


async def test_who_is_not_allowed_learns_nothing_about_the_request(guarded):
    """Access comes before validation, and a database that is not there looks like any other."""
    stub = health_pb2_grpc.HealthServiceStub(guarded)
    for name in ("", "nonsense", "databases/nope"):
        answer = await refused(stub.GetHealth(health_pb2.GetHealthRequest(name=name)))
        assert answer.reason == "CREDENTIAL_MISSING"
    answer = await refused(
        stub.GetHealth(
            health_pb2.GetHealthRequest(name="databases/nope"),
            metadata=(("authorization", f"Bearer {MAIN}"),),
        )
    )
    assert answer.reason == "ROLE_MISSING"


async def test_a_method_without_a_role_is_denied_to_everybody_who_is_known(guarded):
    call = guarded.unary_unary("/dbops.v1.ProbeService/NoRole")
    assert (await refused(call(b""))).reason == "CREDENTIAL_MISSING"
    assert (await refused(call(b"", metadata=BEARER))).reason == "METHOD_WITHOUT_ROLE"


async def test_every_request_of_a_stream_is_looked_at(guarded):
    call = guarded.stream_unary("/dbops.v1.ProbeService/Gather")

    async def requests():
        yield ProbeText(text="a").SerializeToString()

    assert (await refused(call(requests()))).reason == "CREDENTIAL_MISSING"
    answer = await refused(call(requests(), metadata=(("authorization", f"Bearer {MAIN}"),)))
    assert answer.reason == "ROLE_MISSING"
    assert ProbeText.FromString(await call(requests(), metadata=BEARER)).text == "a"


async def test_the_servicer_and_the_span_know_who_calls(guarded, probe, kept):
    seen = []

    async def look(request, context):
        seen.append(current_caller.get())
        return request

    probe.ask = look
    await guarded.unary_unary(ASK)(b"", metadata=BEARER)
    assert [(caller.name, caller.method) for caller in seen] == [("ci", "token")]
    (span,) = await kept.finished()
    assert span.attributes["enduser.id"] == "ci"


@pytest.mark.parametrize(
    ("open_services", "health", "reflection"),
    [(("health",), True, False), ((), False, False), (("health", "reflection"), True, True)],
)
async def test_what_is_open_is_as_configured(databases, kept, open_services, health, reflection):
    config = ServerConfig(grpc_listen="127.0.0.1:0")
    auth = AuthConfig(tokens=AUTH.tokens, open_services=open_services)
    async with (
        serving(config, Access.load(config, auth), databases, kept) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):

        async def opened(call) -> bool:
            try:
                await call
            except grpc.aio.AioRpcError as error:
                if answer_of(error).reason != "CREDENTIAL_MISSING":
                    raise
                return False
            return True

        async def none():
            for nothing in ():
                yield nothing

        check = channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
        assert await opened(check) is health
        path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        assert await opened(channel.stream_stream(path)(none()).read()) is reflection


async def test_nobody_is_somebody_in_an_open_service(guarded):
    """A credential that is no good does not make a probe fail."""
    stub = grpc_health_pb2_grpc.HealthStub(guarded)
    request = grpc_health_pb2.HealthCheckRequest()
    bad = (("authorization", "Bearer nonsense"),)
    assert (await stub.Check(request, metadata=bad)).status == 1
    assert not NOBODY.may_somewhere(1)


class TestLimits:
    async def test_calls_of_one_caller(self, guarded, probe):
        release = asyncio.Event()
        running = 0

        async def hang(request, context):
            nonlocal running
            running += 1
            await release.wait()
            return request

        probe.ask = hang
        ask = guarded.unary_unary(ASK)
        calls = [ask(b"", metadata=BEARER) for _ in range(3)]
        tasks = [asyncio.ensure_future(_await(call)) for call in calls]
        await eventually(lambda: running == 3)
        answer = await refused(ask(b"", metadata=BEARER))
        assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (answer.reason, answer.metadata) == ("TOO_MANY_CALLS", {"limit": "3"})
        # Another one's calls, and probes, go through all the same.
        stub = health_pb2_grpc.HealthServiceStub(guarded)
        other = (("authorization", f"Bearer {MAIN}"),)
        assert await stub.ListDatabases(health_pb2.ListDatabasesRequest(), metadata=other)
        assert await guarded.unary_unary("/grpc.health.v1.Health/Check")(b"")
        release.set()
        await asyncio.gather(*tasks)
        assert await ask(b"", metadata=BEARER) == b""

    async def test_a_stream_counts_until_its_end(self, guarded):
        streams = []
        stub = health_pb2_grpc.HealthServiceStub(guarded)
        request = health_pb2.WatchHealthRequest(name="databases/main")
        for _ in range(3):
            stream = stub.WatchHealth(request, metadata=BEARER)
            await stream.read()
            streams.append(stream)
        answer = await refused(stub.WatchHealth(request, metadata=BEARER).read())
        assert answer.reason == "TOO_MANY_CALLS"
        for stream in streams:
            stream.cancel()

        async def again():
            return await stub.WatchHealth(request, metadata=BEARER, timeout=5).read()

        assert await eventually(again)

    async def test_who_is_not_known_yet_has_no_more_calls_either(
        self, databases, kept, probe, tmp_path
    ):
        release = asyncio.Event()

        async def hang(_, writer):
            await release.wait()
            writer.close()

        async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
            config = ServerConfig(grpc_listen="127.0.0.1:0", max_calls_per_client=3)
            access = Access.load(config, AuthConfig(tokens=AUTH.tokens, jwt=jwt_config(url)))
            unverified = (("authorization", f"Bearer {Issuer().sign()}"),)
            async with (
                serving(config, access, databases, kept, probe) as port,
                grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
            ):
                ask = channel.unary_unary(ASK)
                calls = [
                    asyncio.ensure_future(refused(ask(b"", metadata=unverified))) for _ in range(4)
                ]
                (first,), waiting = await asyncio.wait(
                    calls, timeout=4, return_when=asyncio.FIRST_COMPLETED
                )
                assert first.result().reason == "TOO_MANY_CALLS"
                release.set()
                answers = await asyncio.gather(*waiting)
                assert [each.reason for each in answers] == ["JWT_KEYS_UNAVAILABLE"] * 3
                assert await ask(b"", metadata=BEARER) == b""
            await access.close()

    async def test_streams_of_one_connection_wait_for_each_other(self, databases, kept):
        config = ServerConfig(grpc_listen="127.0.0.1:0", max_streams_per_connection=2)
        access = Access.load(config, AuthConfig())
        async with (
            serving(config, access, databases, kept) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            stub = health_pb2_grpc.HealthServiceStub(channel)
            request = health_pb2.WatchHealthRequest(name="databases/main")
            first, second = stub.WatchHealth(request), stub.WatchHealth(request)
            await asyncio.wait_for(first.read(), 5)
            await asyncio.wait_for(second.read(), 5)
            third = stub.WatchHealth(request)
            reading = asyncio.ensure_future(third.read())
            assert await asyncio.wait({reading}, timeout=0.3) == (set(), {reading})
            first.cancel()
            assert (await asyncio.wait_for(reading, 5)).health.name == "databases/main"
            for stream in (second, third):
                stream.cancel()

    async def test_a_client_that_pings_all_the_time_is_cut_off(self, server):
        assert await asyncio.to_thread(_goaway_after_pings, server, 20) == (
            11,  # ENHANCE_YOUR_CALM
            b"too_many_pings",
        )


async def test_a_stream_ends_with_its_credential(databases, kept, tmp_path):
    """Whatever it is that it lacks from then on; the others go on."""
    issuer, jwks, file = Issuer(), tmp_path / "jwks.json", tmp_path / "tokens.toml"
    jwks.write_text(issuer.jwks())
    tokens = {name: new_token() for name in ("removed", "demoted", "promoted", "kept")}

    def write(**roles: str) -> None:
        tables = (f'[auth.tokens.{name}]\nhash = "{hash_token(tokens[name])}"\n' for name in roles)
        written = file.with_suffix(".new")
        written.write_text("".join(map("".join, zip(tables, roles.values(), strict=True))))
        written.chmod(0o600)
        written.replace(file)

    viewer, other = 'role = "VIEWER"\n', 'databases = { other = "VIEWER" }\n'
    write(**dict.fromkeys(tokens, viewer))
    config = ServerConfig(grpc_listen="127.0.0.1:0")
    access = Access.load(config, AuthConfig(tokens_file=file, jwt=jwt_config(str(jwks))))
    access.start()
    async with (
        serving(config, access, databases, kept) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = health_pb2_grpc.HealthServiceStub(channel)
        request = health_pb2.WatchHealthRequest(name="databases/main")
        shown = {**tokens, "expiring": issuer.sign({"exp": int(time.time()) + 2})}
        streams = {
            name: stub.WatchHealth(request, metadata=(("authorization", f"Bearer {each}"),))
            for name, each in shown.items()
        }
        for stream in streams.values():
            await stream.read()
        write(demoted=other, promoted='role = "ADMIN"\n', kept=viewer)
        going_on = streams.pop("kept")
        async with asyncio.timeout(10):
            answers = {name: await refused(stream.read()) for name, stream in streams.items()}
        assert {name: (each.code.name, each.reason) for name, each in answers.items()} == {
            "removed": ("UNAUTHENTICATED", "TOKEN_UNKNOWN"),
            "demoted": ("PERMISSION_DENIED", "ROLE_MISSING"),
            "promoted": ("UNAUTHENTICATED", "CREDENTIAL_CHANGED"),
            "expiring": ("UNAUTHENTICATED", "JWT_EXPIRED"),
        }
        assert not going_on.done()
        going_on.cancel()
    await access.close()


async def test_a_response_that_is_being_sent_gets_there_before_the_stream_ends():
    looked, sent = asyncio.Event(), []

    async def look() -> None:
        looked.set()
        raise CredentialChanged

    async def send(response: int) -> None:
        await looked.wait()
        await asyncio.sleep(0.05)
        sent.append(response)

    async def stream(send) -> None:
        for number in range(10):
            await send(number)

    with pytest.raises(CredentialChanged):
        await asyncio.wait_for(send_while(look, stream, send), 10)
    assert sent == [0]
    await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})


def _goaway_after_pings(port: int, pings: int) -> tuple[int, bytes]:
    """The error code and the text of the GOAWAY that a client gets that only ever pings."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0))
        with contextlib.suppress(ConnectionError):
            for number in range(pings):
                connection.sendall(_frame(6, 0, struct.pack(">Q", number)))
        with connection.makefile("rb") as stream:
            while head := stream.read(9):
                length = int.from_bytes(head[:3], "big")
                payload = stream.read(length)
                if head[3] == 7:
                    return int.from_bytes(payload[4:8], "big"), payload[8:]
    raise AssertionError("no GOAWAY")


def _frame(kind: int, flags: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + bytes(4) + payload


async def _await(call):
    return await call


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:50051", "127.0.0.1"),
        ("ipv6:%5B::1%5D:50051", "::1"),
        ("ipv6:[2001:db8::1]:1", "2001:db8::1"),
        ("unix:/run/x.sock", "/run/x.sock"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_an_address_without_its_port(peer, address):
    assert address_of(peer) == address


class TestTls:
    @pytest.fixture
    def files(self, tmp_path) -> Certificates:
        return Certificates(tmp_path)

    @pytest.fixture
    async def port(self, files, databases, kept) -> AsyncIterator[int]:
        config = ServerConfig(grpc_listen="127.0.0.1:0", tls=files.config())
        access = Access.load(config, AUTH)
        access.start()
        async with serving(config, access, databases, kept) as port:
            yield port
        await access.close()

    async def name(self, port: int, files: Certificates) -> str:
        context = files.client_context()
        context.set_alpn_protocols(["h2"])
        return await asyncio.to_thread(served_name, port, context)

    async def test_a_new_certificate_is_shown_and_old_connections_stay(self, port, files):
        credentials = files.channel_credentials()
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            stub = health_pb2_grpc.HealthServiceStub(channel)
            watch = stub.WatchHealth(
                health_pb2.WatchHealthRequest(name="databases/main"), metadata=BEARER
            )
            await watch.read()
            assert await self.name(port, files) == "server"
            files.renew(common_name="renewed")

            async def renewed() -> bool:
                return await self.name(port, files) == "renewed"

            await eventually(renewed)
            await stub.ListDatabases(health_pb2.ListDatabasesRequest(), metadata=BEARER)
            assert not watch.done()
            watch.cancel()

    async def test_an_authority_that_is_replaced(self, files, databases, kept, tmp_path_factory):
        config = ServerConfig(grpc_listen="127.0.0.1:0", tls=files.config(client_ca=files.ca))
        access = Access.load(config, AUTH)
        access.start()
        other = Certificates(tmp_path_factory.mktemp("other"))
        old, new = files.issue("ops.example"), other.issue("ops.example")

        async def works(certificate: tuple[bytes, bytes]) -> bool:
            credentials = files.channel_credentials(certificate)
            async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
                try:
                    await channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=3)
                except grpc.aio.AioRpcError:
                    return False
                return True

        async def replaced() -> bool:
            return not await works(old)

        async with serving(config, access, databases, kept) as port:
            assert await works(old)
            assert not await works(new)
            files.ca.write_bytes(other.ca_pem)
            await eventually(replaced)
            assert await works(new)
        await access.close()

    async def test_half_of_a_new_certificate_leaves_the_old_one(self, port, files, caplog):
        chain, key = files.issue("localhost", common_name="renewed")
        files.cert.write_bytes(chain[:200])
        await eventually(lambda: "the one before it stays" in caplog.text)
        assert await self.name(port, files) == "server"
        files.cert.write_bytes(chain)
        await eventually(lambda: "is not the key of" in caplog.text)
        assert await self.name(port, files) == "server"
        files.key.write_bytes(key)

        async def renewed() -> bool:
            return await self.name(port, files) == "renewed"

        await eventually(renewed)

    async def test_nothing_older_than_tls_1_2(self, port, files):
        for version, works in (
            (ssl.TLSVersion.TLSv1_1, False),
            (ssl.TLSVersion.TLSv1_2, True),
            (ssl.TLSVersion.TLSv1_3, True),
        ):
            assert await asyncio.to_thread(shakes_hands, port, files, version) is works, version

    async def test_clear_text_gets_nothing(self, port):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(ASK)(b"", timeout=3, metadata=BEARER)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def shakes_hands(port: int, files: Certificates, version: ssl.TLSVersion) -> bool:
    """Whether a client of just that version of TLS gets a connection."""
    context = files.client_context()
    context.set_alpn_protocols(["h2"])
    # Which OpenSSL itself would not even offer.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    if version < ssl.TLSVersion.TLSv1_2:
        return _old_hello_answered(port)
    context.minimum_version = context.maximum_version = version
    try:
        served_name(port, context)
    except ssl.SSLError:
        return False
    return True


def _old_hello_answered(port: int) -> bool:
    """Whether the server goes on after a ClientHello of TLS 1.1, written by hand."""
    # What TLS 1.1 had: AES-CBC with SHA-1, by RSA and by ECDHE with either kind of certificate.
    ciphers = bytes.fromhex("c009c00ac013c014002f0035")
    extensions = bytes.fromhex("000a00040002001700 0b00020100".replace(" ", ""))
    body = b"\x03\x02" + bytes(32) + b"\0" + struct.pack(">H", len(ciphers)) + ciphers + b"\x01\0"
    body += struct.pack(">H", len(extensions)) + extensions
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"\x16\x03\x01" + struct.pack(">H", len(hello)) + hello)
        answer = connection.recv(5)
    # A ServerHello is a handshake record; an alert, or nothing, is a refusal.
    return answer[:1] == b"\x16"


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    values=st.lists(
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)
        | st.builds(
            "{} {}".format,
            st.sampled_from(["Bearer", "bearer", "Basic", "Bearer Bearer", ""]),
            st.sampled_from([TOKEN, "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30.", " ", TOKEN * 20]),
        ),
        max_size=3,
    )
)
def test_whatever_is_shown_is_answered(values):
    """Straight through the authenticator that the server asks; the table has it over the wire."""
    config = ServerConfig()
    authenticator = Access.load(config, AUTH).authenticator

    async def ask() -> str:
        try:
            return (await authenticator.authenticate(values)).name
        except Unauthenticated as error:
            return error.reason

    assert asyncio.run(ask()) in (
        "ci",
        "CREDENTIAL_MISSING",
        "CREDENTIAL_MALFORMED",
        "TOKEN_UNKNOWN",
    )


async def test_whatever_is_shown_is_answered_over_the_wire(guarded):
    call = guarded.unary_unary(ASK)
    for value in ("", " ", "Bearer", "Bearer ", "x" * 4000, "Bearer " + "." * 4000, "Bearer a b"):
        answer = await refused(call(b"", metadata=(("authorization", value),)))
        assert answer.code is grpc.StatusCode.UNAUTHENTICATED
    twice = (*BEARER, *BEARER)
    assert (await refused(call(b"", metadata=twice))).reason == "CREDENTIAL_MALFORMED"
