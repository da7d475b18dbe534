"""Who calls, with every kind of credential and without any."""

import json

import pytest

from dbopsd.config import AuthConfig, CertificateConfig, TokenConfig
from dbopsd.security import errors
from dbopsd.security.authenticator import Authenticator
from dbopsd.security.caller import ANONYMOUS, Caller, Role
from dbopsd.security.certificates import Certificates, names_of
from dbopsd.security.jwks import Jwks
from dbopsd.security.jwt import Jwts
from dbopsd.security.limits import CallLimit
from dbopsd.security.tokens import Tokens, hash_token, new_token
from tests.support.issuer import Issuer, jwt_config

TOKEN = new_token()
TOKENS = {"ci": TokenConfig(hash=hash_token(TOKEN), role="OPERATOR")}
CERTIFICATES = {"ops.example": CertificateConfig(role="ADMIN", databases={"main": "VIEWER"})}


def authenticator(config: AuthConfig) -> Authenticator:
    jwts = None
    if config.jwt is not None:
        jwks = Jwks(config.jwt.jwks)
        jwks.load()
        jwts = Jwts(config.jwt, jwks)
    return Authenticator(config, Tokens.load(config), Certificates(config.certificates), jwts)


async def test_with_nothing_configured_everybody_may_do_everything():
    asked = authenticator(AuthConfig())
    assert asked.lets_everybody_do_everything
    assert await asked.authenticate([]) is ANONYMOUS
    assert await asked.authenticate(["Bearer x"]) is ANONYMOUS


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER  {} "])
async def test_a_token(header):
    asked = authenticator(AuthConfig(tokens=TOKENS))
    assert not asked.lets_everybody_do_everything
    assert await asked.authenticate([header.format(TOKEN)]) == Caller(
        "ci", Role.OPERATOR, method="token"
    )


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([], errors.CredentialMissing),
        ([""], errors.CredentialMalformed),
        (["Bearer"], errors.CredentialMalformed),
        (["Bearer "], errors.CredentialMalformed),
        (["Basic Og=="], errors.CredentialMalformed),
        ([TOKEN], errors.CredentialMalformed),
        ([f"Bearer {TOKEN}", f"Bearer {TOKEN}"], errors.CredentialMalformed),
        ([f"Bearer {TOKEN}x"], errors.TokenUnknown),
        (["Bearer a.b.c"], errors.TokenUnknown),
    ],
)
async def test_no_good_credential(headers, error):
    asked = authenticator(AuthConfig(tokens=TOKENS))
    with pytest.raises(error) as caught:
        await asked.authenticate(headers)
    assert TOKEN not in str(caught.value)
    assert caught.value.metadata == {}


async def test_what_looks_like_a_jwt_is_one_where_there_is_an_issuer(tmp_path):
    issuer = Issuer()
    path = tmp_path / "jwks.json"
    path.write_text(issuer.jwks())
    asked = authenticator(AuthConfig(tokens=TOKENS, jwt=jwt_config(str(path))))
    assert (await asked.authenticate([f"Bearer {issuer.sign()}"])).method == "jwt"
    assert (await asked.authenticate([f"Bearer {TOKEN}"])).method == "token"
    with pytest.raises(errors.JwtInvalid):
        await asked.authenticate(["Bearer a.b.c"])


async def test_a_certificate():
    asked = authenticator(AuthConfig(certificates=CERTIFICATES, tokens=TOKENS))
    found = await asked.authenticate([], lambda: ["other", "ops.example"])
    assert found == Caller("ops.example", Role.ADMIN, (("main", Role.VIEWER),), "certificate")
    with pytest.raises(errors.CertificateUnknown):
        await asked.authenticate([], lambda: ["other"])
    with pytest.raises(errors.CredentialMissing):
        await asked.authenticate([], list)


async def test_a_bad_token_is_not_made_up_for_by_a_certificate():
    asked = authenticator(AuthConfig(certificates=CERTIFICATES, tokens=TOKENS, anonymous="VIEWER"))
    with pytest.raises(errors.TokenUnknown):
        await asked.authenticate(["Bearer x"], lambda: ["ops.example"])
    found = await asked.authenticate([f"Bearer {TOKEN}"], lambda: ["ops.example"])
    assert found.name == "ci"


@pytest.mark.parametrize(
    "config", [AuthConfig(anonymous="VIEWER"), AuthConfig(tokens=TOKENS, anonymous="VIEWER")]
)
async def test_what_the_anonymous_may(config):
    asked = authenticator(config)
    assert not asked.lets_everybody_do_everything
    assert await asked.authenticate([]) == Caller("anonymous", Role.VIEWER)


def test_the_names_in_a_certificate():
    assert names_of(
        {
            "subject": ((("organizationName", "o"),), (("commonName", "cn"),)),
            "subjectAltName": (
                ("DNS", "a.example"),
                ("email", "e@example.org"),
                ("URI", "spiffe://x/y"),
                ("IP Address", "10.0.0.1"),
            ),
        }
    ) == ("a.example", "spiffe://x/y", "cn")
    assert names_of({}) == ()


def test_calls_are_counted_by_caller():
    limit = CallLimit(2)
    with limit.running("a"), limit.running("a"), limit.running("b"):
        with pytest.raises(errors.TooManyCalls) as caught, limit.running("a"):
            raise AssertionError
        assert caught.value.metadata == {"limit": "2"}
        with limit.running("b"):
            pass
    with limit.running("a"), limit.running("a"):
        pass
    assert json.dumps(limit._running) == "{}"
