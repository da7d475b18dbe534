"""Who may ask for what over HTTP, and TLS."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from dbopsd.config import AuthConfig, CertificateConfig, ServerConfig, TelemetryConfig, TokenConfig
from dbopsd.http.server import HttpServer
from dbopsd.security.access import Access
from dbopsd.security.tokens import hash_token, new_token
from dbopsd.telemetry.setup import start_telemetry
from tests.support.certificates import Certificates, served_name
from tests.support.issuer import Issuer, jwt_config
from tests.support.patience import eventually
from tests.unit.rpc.boards import board

HEALTH = "/api/health/database"
VIEWER, MAIN, EXPIRED = new_token(), new_token(), new_token()


@pytest.fixture
def files(tmp_path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def auth(tmp_path, issuer) -> AuthConfig:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(issuer.jwks())
    return AuthConfig(
        tokens={
            "viewer": TokenConfig(hash=hash_token(VIEWER), role="VIEWER"),
            "main": TokenConfig(hash=hash_token(MAIN), databases={"main": "ADMIN"}),
            "old": TokenConfig.model_validate(
                {
                    "hash": hash_token(EXPIRED),
                    "role": "ADMIN",
                    "expire_time": "2020-01-01T00:00:00Z",
                }
            ),
        },
        jwt=jwt_config(str(jwks)),
    )


@contextlib.asynccontextmanager
async def serving(config: ServerConfig, auth: AuthConfig) -> AsyncIterator[int]:
    databases = board("main", "other")
    telemetry = start_telemetry(TelemetryConfig(), version="1")
    access = Access.load(config, auth)
    access.start()
    server = HttpServer(config, databases, telemetry, access=access)
    port = await server.start()
    databases.accept()
    try:
        yield port
    finally:
        await server.stop(1)
        await access.close()


@pytest.fixture
async def client(auth) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving(ServerConfig(http_listen="127.0.0.1:0"), auth) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


async def get(client, path, authorization=None):
    headers = {} if authorization is None else {"Authorization": authorization}
    async with client.get(path, headers=headers) as response:
        body = await response.json()
        return response.status, body.get("error", {}).get("reason", ""), response.headers


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize("authorization", [None, "Bearer nonsense"])
async def test_probes_are_open(client, path, authorization):
    assert (await get(client, path, authorization))[0] == 200


@pytest.mark.parametrize("path", [HEALTH, f"{HEALTH}?database=main", "/nope", "/", "/livez/x"])
async def test_everything_else_wants_to_know_who_asks(client, path):
    status, reason, headers = await get(client, path)
    assert (status, reason) == (401, "CREDENTIAL_MISSING")
    assert headers["WWW-Authenticate"] == 'Bearer realm="dbopsd"'


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("Bearer nonsense", "TOKEN_UNKNOWN"),
        # Each process of the tests collects this one under the same name.
        pytest.param(f"Bearer {EXPIRED}", "TOKEN_EXPIRED", id="expired"),
        ("Bearer a.b.c", "JWT_INVALID"),
        ("Basic YTpi", "CREDENTIAL_MALFORMED"),
        ("", "CREDENTIAL_MALFORMED"),
    ],
)
async def test_a_credential_that_is_no_good(client, authorization, reason):
    status, said, headers = await get(client, HEALTH, authorization)
    assert (status, said) == (401, reason)
    assert headers["WWW-Authenticate"] == 'Bearer realm="dbopsd", error="invalid_token"'


async def test_roles(client, issuer):
    async def status(path, token):
        return (await get(client, path, f"Bearer {token}"))[:2]

    assert await status(HEALTH, VIEWER) == (200, "")
    assert await status(f"{HEALTH}?database=other", VIEWER) == (200, "")
    assert await status("/nope", VIEWER) == (404, "PATH_NOT_FOUND")
    assert await status(f"{HEALTH}?database=main", MAIN) == (200, "")
    assert await status(f"{HEALTH}?database=other", MAIN) == (403, "ROLE_MISSING")
    assert await status(f"{HEALTH}?database=nope", MAIN) == (403, "ROLE_MISSING")
    assert await status(HEALTH, issuer.sign({"roles": "VIEWER:other"})) == (200, "")
    assert await status(HEALTH, issuer.sign({"roles": []})) == (403, "ROLE_MISSING")
    assert await status(HEALTH, issuer.sign({"aud": "another"})) == (401, "JWT_WRONG_AUDIENCE")


async def test_only_what_one_may_see_is_told(client):
    headers = {"Authorization": f"Bearer {MAIN}"}
    async with client.get(HEALTH, headers=headers) as response:
        assert [each["name"] for each in (await response.json())["databases"]] == ["main"]


async def test_one_caller_does_not_lend_its_role_to_the_next_of_its_connection(client):
    for _ in range(3):
        assert (await get(client, HEALTH, f"Bearer {VIEWER}"))[0] == 200
        assert (await get(client, HEALTH))[0] == 401


async def test_two_headers_are_one_too_many(client):
    headers = [("Authorization", f"Bearer {VIEWER}"), ("Authorization", f"Bearer {MAIN}")]
    async with client.get(HEALTH, headers=headers) as response:
        assert response.status == 401


async def test_probes_are_open_only_as_configured(auth):
    closed = AuthConfig(tokens=auth.tokens, open_services=())
    async with (
        serving(ServerConfig(http_listen="127.0.0.1:0"), closed) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        assert (await get(session, "/livez"))[0] == 401
        assert (await get(session, "/livez", f"Bearer {VIEWER}"))[0] == 200


async def test_who_is_not_known_yet_has_no_more_requests_than_others(auth):
    release = asyncio.Event()

    async def hang(_, writer):
        await release.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as issuer_server:
        url = f"http://127.0.0.1:{issuer_server.sockets[0].getsockname()[1]}/jwks"
        config = ServerConfig(http_listen="127.0.0.1:0", max_calls_per_client=3)
        waiting_for_keys = AuthConfig(tokens=auth.tokens, jwt=jwt_config(url))
        unverified = f"Bearer {Issuer().sign()}"
        async with (
            serving(config, waiting_for_keys) as port,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        ):
            asked = [asyncio.ensure_future(get(session, HEALTH, unverified)) for _ in range(4)]
            (first,), waiting = await asyncio.wait(
                asked, timeout=4, return_when=asyncio.FIRST_COMPLETED
            )
            assert first.result()[:2] == (429, "TOO_MANY_CALLS")
            # A probe is not in the way of these, nor they in its.
            assert (await get(session, "/livez"))[0] == 200
            release.set()
            answers = await asyncio.gather(*waiting)
            assert [answer[:2] for answer in answers] == [(503, "JWT_KEYS_UNAVAILABLE")] * 3
            assert (await get(session, HEALTH, f"Bearer {VIEWER}"))[0] == 200


class TestTls:
    @contextlib.asynccontextmanager
    async def client(self, files, port, certificate=None):
        connector = aiohttp.TCPConnector(ssl=files.client_context(certificate))
        base = f"https://localhost:{port}"
        async with aiohttp.ClientSession(base, connector=connector) as session:
            yield session

    async def test_a_new_certificate_is_shown_and_old_connections_stay(self, files, auth):
        config = ServerConfig(http_listen="127.0.0.1:0", tls=files.config())
        async with serving(config, auth) as port, self.client(files, port) as client:
            assert (await get(client, HEALTH, f"Bearer {VIEWER}"))[0] == 200
            files.renew(common_name="renewed")

            async def renewed() -> bool:
                name = await asyncio.to_thread(served_name, port, files.client_context())
                return name == "renewed"

            await eventually(renewed)
            assert (await get(client, HEALTH, f"Bearer {VIEWER}"))[0] == 200

    async def test_a_client_certificate(self, files, auth):
        config = ServerConfig(
            http_listen="127.0.0.1:0", tls=files.config(client_ca=files.ca, require=False)
        )
        known = AuthConfig(
            certificates={
                "ops.example": CertificateConfig(role="VIEWER"),
                "Dashboard": CertificateConfig(databases={"main": "VIEWER"}),
            },
            tokens=auth.tokens,
        )

        async def ask(path, *names, common_name=None, authorization=None):
            shown = files.issue(*names, common_name=common_name) if names else None
            async with self.client(files, port, shown) as client:
                return (await get(client, path, authorization))[:2]

        async with serving(config, known) as port:
            assert await ask(HEALTH, "ops.example") == (200, "")
            assert await ask(HEALTH, "x.example", common_name="Dashboard") == (200, "")
            other = f"{HEALTH}?database=other"
            assert await ask(other, "x.example", common_name="Dashboard") == (403, "ROLE_MISSING")
            assert await ask(HEALTH, "x.example") == (401, "CERTIFICATE_UNKNOWN")
            assert await ask(HEALTH) == (401, "CREDENTIAL_MISSING")
            assert await ask(HEALTH, authorization=f"Bearer {VIEWER}") == (200, "")

    async def test_mutual_tls(self, files, tmp_path_factory):
        config = ServerConfig(http_listen="127.0.0.1:0", tls=files.config(client_ca=files.ca))
        known = AuthConfig(certificates={"ops.example": CertificateConfig(role="VIEWER")})
        shown = files.issue("ops.example")

        async def works(certificate) -> bool:
            try:
                async with self.client(files, port, certificate) as client:
                    return (await get(client, HEALTH))[0] == 200
            except aiohttp.ClientError:
                return False

        async with serving(config, known) as port:
            assert await works(shown)
            assert not await works(None)
            other = Certificates(tmp_path_factory.mktemp("other"))
            stranger = other.issue("ops.example")
            assert not await works(stranger)
            # Another authority in its file's place: whom the old one signed is let in no more.
            files.ca.write_bytes(other.ca_pem)
            await eventually(lambda: _false(works(shown)))
            assert await works(stranger)


async def _false(asked) -> bool:
    return not await asked
