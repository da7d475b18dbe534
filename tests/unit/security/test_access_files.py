"""What is looked after in the background, from its start to its close."""

import asyncio

from dbopsd.config import AuthConfig, ServerConfig, TokenConfig
from dbopsd.security.access import Access
from dbopsd.security.errors import TokenUnknown
from dbopsd.security.token_file import append_token
from dbopsd.security.tokens import hash_token
from tests.support.certificates import Certificates
from tests.support.issuer import Issuer, jwt_config
from tests.support.patience import eventually


async def test_every_file_counts_within_seconds_of_its_change(tmp_path):
    files, issuer, tokens = Certificates(tmp_path), Issuer("a"), tmp_path / "tokens.toml"
    jwks = tmp_path / "jwks.json"
    jwks.write_text(issuer.jwks())
    append_token(tokens, "old", TokenConfig(hash=hash_token("1"), role="VIEWER"))
    access = Access.load(
        ServerConfig(tls=files.config()), AuthConfig(tokens_file=tokens, jwt=jwt_config(str(jwks)))
    )
    access.start()

    async def name(token: str) -> str:
        return (await access.authenticator.authenticate([f"Bearer {token}"])).name

    assert await name("1") == "old"
    assert await name(issuer.sign()) == "ann"
    before = access.tls.current
    files.renew()
    append_token(tokens, "new", TokenConfig(hash=hash_token("2"), role="VIEWER"))
    other = Issuer("b")
    jwks.write_text(other.jwks())
    assert await eventually(lambda: name("2")) == "new"
    assert await eventually(lambda: name(other.sign())) == "ann"
    await eventually(lambda: access.tls.current is not before)
    await access.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_token_that_is_taken_back_does_not_wait_for_a_url(tmp_path):
    tokens, asked, release = tmp_path / "tokens.toml", asyncio.Event(), asyncio.Event()
    append_token(tokens, "old", TokenConfig(hash=hash_token("1"), role="VIEWER"))

    async def never_answer(_, writer):
        asked.set()
        await release.wait()
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
        access = Access.load(ServerConfig(), AuthConfig(tokens_file=tokens, jwt=jwt_config(url)))
        access.start()
        # It is not answered for five seconds.
        await asyncio.wait_for(asked.wait(), 5)
        assert await access.authenticator.authenticate(["Bearer 1"])
        tokens.unlink()

        async def refused() -> bool:
            try:
                await access.authenticator.authenticate(["Bearer 1"])
            except TokenUnknown:
                return True
            return False

        await eventually(refused, 3)
        release.set()
        await access.close()


async def test_one_that_never_started_closes():
    await Access.load(ServerConfig(), AuthConfig()).close()
