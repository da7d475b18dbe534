"""The issuer's keys, from a file and over HTTP."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import jwt
import pytest
from aiohttp import web

from dbopsd.errors import ConfigurationError
from dbopsd.security.errors import JwtKeysUnavailable, JwtKeyUnknown
from dbopsd.security.jwks import Jwks
from tests.support.issuer import Issuer, jwt_config


class Endpoint:
    """Publishes `body`, after `pause_s`, and counts who asks."""

    def __init__(self) -> None:
        self.body = Issuer().jwks()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.pause_s = 0.0
        self.asked = 0
        self.url = ""
        self.released = asyncio.Event()

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.released.wait(), self.pause_s)
        return web.Response(text=self.body, status=self.status, headers=self.headers)

    async def answer_other(self, _: web.Request) -> web.Response:
        """What nobody configured."""
        return web.Response(text=Issuer("key-2").jwks())


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    application = web.Application()
    application.add_routes([web.get("/jwks", made.answer), web.get("/other", made.answer_other)])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield made
    made.released.set()
    await runner.cleanup()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class TestFile:
    def test_what_it_says(self, tmp_path):
        path = tmp_path / "jwks.json"
        path.write_text(Issuer("a").jwks())
        jwks = Jwks(str(path))
        jwks.load()
        found = asyncio.run(jwks.key("a"))
        assert asyncio.run(jwks.key(None)) is found
        with pytest.raises(JwtKeyUnknown):
            asyncio.run(jwks.key("b"))

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "nonsense",
            "[]",
            "{}",
            '{"keys": {}}',
            '{"keys": [1, {}, {"kty": "RSA"}]}',
            '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
            '{"keys": [{"kty": "RSA", "n": "AQAB", "e": "x", "use": "enc"}]}',
            "[" * 100_000,
        ],
    )
    def test_what_has_no_public_key_in_it(self, tmp_path, content):
        path = tmp_path / "jwks.json"
        path.write_text(content)
        with pytest.raises(ConfigurationError, match=r"^auth\.jwt\.jwks: "):
            Jwks(str(path)).load()

    def test_a_private_key_among_them_is_passed_over(self, tmp_path):
        """Somebody's mistake: who reads the file could sign, so nothing it signed is believed."""
        issuer = Issuer("a")
        published = json.loads(issuer.jwks())
        private = jwt.get_algorithm_by_name("ES256").to_jwk(issuer.key("ES256"), as_dict=True)
        assert "d" in private
        published["keys"].append({**private, "kid": "private", "use": "sig"})
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps(published))
        jwks = Jwks(str(path))
        jwks.load()
        assert asyncio.run(jwks.key("a"))
        with pytest.raises(JwtKeyUnknown):
            asyncio.run(jwks.key("private"))
        path.write_text(json.dumps({"keys": published["keys"][1:]}))
        with pytest.raises(ConfigurationError, match="no public key"):
            Jwks(str(path)).load()

    def test_one_that_is_not_there(self, tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read: no such file"):
            Jwks(str(tmp_path / "jwks.json")).load()

    def test_a_change_counts_and_a_broken_one_does_not(self, tmp_path, caplog):
        path = tmp_path / "jwks.json"
        path.write_text(Issuer("a").jwks())
        jwks = Jwks(str(path))
        jwks.load()
        path.write_text("{")
        jwks.refresh_file()
        jwks.refresh_file()
        assert asyncio.run(jwks.key("a"))
        assert caplog.text.count("keys before it stay") == 1
        path.write_text(Issuer("b").jwks())
        jwks.refresh_file()
        assert asyncio.run(jwks.key("b"))
        with pytest.raises(JwtKeyUnknown):
            asyncio.run(jwks.key("a"))


class TestUrl:
    async def test_it_is_asked_for_a_key_that_is_not_known_but_not_all_the_time(
        self, endpoint, clock
    ):
        jwks = Jwks(endpoint.url, clock)
        assert await jwks.key("key-1")
        for number in range(20):
            with pytest.raises(JwtKeyUnknown):
                await jwks.key(f"made-up-{number}")
        assert endpoint.asked == 1
        endpoint.body = Issuer("key-2").jwks()
        clock.now += 11
        assert await jwks.key("key-2")
        assert endpoint.asked == 2

    async def test_many_who_wait_ask_once(self, endpoint, clock):
        endpoint.pause_s = 0.2
        jwks = Jwks(endpoint.url, clock)
        found = await asyncio.gather(*(jwks.key("key-1") for _ in range(50)))
        assert len(set(map(id, found))) == 1
        assert endpoint.asked == 1

    async def test_one_who_hangs_up_takes_nothing_from_the_others(self, endpoint, clock):
        endpoint.pause_s = 0.2
        jwks = Jwks(endpoint.url, clock)
        first = asyncio.create_task(jwks.key("key-1"))
        second = asyncio.create_task(jwks.key("key-1"))
        await asyncio.sleep(0.05)
        first.cancel()
        assert await second

    async def test_it_is_asked_again_when_its_keys_are_old(self, endpoint, clock):
        jwks = Jwks(endpoint.url, clock)
        await jwks.refresh_url()
        clock.now += 299
        await jwks.refresh_url()
        assert endpoint.asked == 1
        clock.now += 2
        await jwks.refresh_url()
        assert endpoint.asked == 2

    @pytest.mark.parametrize("how", ["status", "nonsense", "redirect", "large", "empty"])
    async def test_what_goes_wrong_leaves_the_last_good_keys(self, endpoint, clock, caplog, how):
        jwks = Jwks(endpoint.url, clock)
        key = await jwks.key("key-1")
        if how == "status":
            endpoint.status = 500
        elif how == "redirect":
            endpoint.status, endpoint.headers = 302, {"Location": "/other"}
        else:
            endpoint.body = {"nonsense": "<html>", "large": " " * 2_000_000, "empty": ""}[how]
        clock.now += 1000
        await jwks.refresh_url()
        assert await jwks.key("key-1") is key
        assert "old keys stay" in caplog.text
        with pytest.raises(JwtKeyUnknown):
            await jwks.key("key-2")

    async def test_before_the_first_keys_nobody_can_be_told_from_a_forger(self, clock):
        jwks = Jwks("http://127.0.0.1:9/jwks", clock)
        with pytest.raises(JwtKeysUnavailable):
            await jwks.key("key-1")

    async def test_closing_ends_a_request_that_hangs(self, endpoint, clock):
        endpoint.pause_s = 30
        jwks = Jwks(endpoint.url, clock)
        waiting = asyncio.create_task(jwks.key("key-1"))
        await asyncio.sleep(0.1)
        await asyncio.wait_for(jwks.close(), 2)
        with pytest.raises(asyncio.CancelledError):
            await waiting


@pytest.mark.parametrize(
    "source",
    [
        "jwks.json",
        "ftp://issuer.example/jwks",
        "http://issuer.example/jwks",
        "https://",
        "https://user:password@issuer.example/jwks",
        "",
    ],
)
def test_sources_that_are_refused(source):
    with pytest.raises(ValueError, match="jwks") as caught:
        jwt_config(source)
    assert "password" not in json.dumps([error["msg"] for error in caught.value.errors()])


@pytest.mark.parametrize(
    "source", ["/etc/jwks.json", "https://issuer.example/jwks", "http://127.0.0.1:1/x"]
)
def test_sources_that_are_taken(source):
    assert jwt_config(source).jwks == source
