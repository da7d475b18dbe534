"""JSON Web Tokens, with real keys and signatures."""

import asyncio
import base64
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from dbopsd.security import errors
from dbopsd.security.caller import Caller, Role
from dbopsd.security.jwks import Jwks
from dbopsd.security.jwt import Jwts
from tests.support.issuer import AUDIENCE, ISSUER, Issuer, jwt_config
from tests.support.patience import eventually


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    issuer = Issuer()
    for algorithm in ("RS256", "PS256", "EdDSA"):
        issuer.key(algorithm)
    return issuer


@pytest.fixture
def make(issuer, tmp_path):
    """`make(clock=…, **keys of the configuration)`: what checks the issuer's tokens."""

    def make(*, clock=time.time, **keys) -> Jwts:
        path = tmp_path / "jwks.json"
        path.write_text(issuer.jwks())
        jwks = Jwks(str(path))
        jwks.load()
        return Jwts(jwt_config(str(path), **keys), jwks, clock)

    return make


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
async def test_each_algorithm(issuer, make, algorithm):
    found = await make().find(issuer.sign(algorithm=algorithm))
    assert found == Caller("ann", Role.VIEWER, (), "jwt")


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"exp": 1}, errors.JwtExpired),
        ({"nbf": 2**33}, errors.JwtNotYetValid),
        ({"iat": 2**33}, errors.JwtNotYetValid),
        ({"aud": "another"}, errors.JwtWrongAudience),
        ({"aud": ["another", "third"]}, errors.JwtWrongAudience),
        ({"iss": "https://evil.example/"}, errors.JwtWrongIssuer),
        ({"sub": ""}, errors.JwtInvalid),
        ({"sub": "a\nb"}, errors.JwtInvalid),
        ({"sub": " "}, errors.JwtInvalid),
        ({"sub": "databases/main/schedules/nightly"}, errors.JwtInvalid),
        ({"sub": "/"}, errors.JwtInvalid),
        ({"sub": "a" * 201}, errors.JwtInvalid),
        ({"exp": "soon"}, errors.JwtInvalid),
        ({"exp": 1e400}, errors.JwtInvalid),
    ],
)
async def test_claims_that_are_no_good(issuer, make, claims, error):
    token = issuer.sign(claims)
    with pytest.raises(error) as caught:
        await make().find(token)
    assert type(caught.value) is error
    assert token not in str(caught.value)


async def test_the_longest_name_stays_whole(issuer, make):
    assert (await make().find(issuer.sign({"sub": "a" * 200}))).name == "a" * 200


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub"])
async def test_claims_that_must_be_there(issuer, make, claim):
    with pytest.raises(errors.JwtInvalid):
        await make().find(issuer.sign(without=(claim,)))


class TestForgeries:
    async def refused(self, jwts, token, error=errors.JwtInvalid):
        with pytest.raises(error) as caught:
            await jwts.find(token)
        assert type(caught.value) is error

    async def test_without_a_signature(self, make):
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": 2**33, "roles": "ADMIN"}
        await self.refused(make(), jwt.encode(claims, None, algorithm="none"))

    async def test_with_the_public_key_as_a_shared_secret(self, issuer, make):
        public = (
            issuer.key("RS256")
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        head = {"alg": "HS256", "kid": issuer.key_id_of("RS256")}
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": 2**33, "roles": "ADMIN"}
        signed = ".".join(encode(json.dumps(part).encode()) for part in (head, claims))
        # By hand: PyJWT does not sign with a public key.
        signature = hmac.digest(public, signed.encode(), "sha256")
        await self.refused(make(), f"{signed}.{encode(signature)}")

    async def test_with_another_key_of_the_same_name(self, issuer, make):
        await self.refused(make(), Issuer(issuer.key_id).sign())

    async def test_with_a_key_that_is_not_published(self, make):
        await self.refused(make(), Issuer("other").sign(), errors.JwtKeyUnknown)

    async def test_with_the_key_of_another_algorithm(self, issuer, make):
        token = issuer.sign(algorithm="RS256", headers={"kid": issuer.key_id})
        await self.refused(make(), token)

    async def test_with_another_algorithm_than_the_key_is_published_for(self, issuer, tmp_path):
        """PS256 with a key for RS256: both are RSA, and the signature itself is right."""
        published = json.loads(issuer.jwks())
        for entry in published["keys"]:
            if entry["kid"] == issuer.key_id_of("RS256"):
                entry["alg"] = "RS256"
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps(published))
        jwks = Jwks(str(path))
        jwks.load()
        jwts = Jwts(jwt_config(str(path)), jwks)
        headers = {"kid": issuer.key_id_of("RS256")}
        assert await jwts.find(issuer.sign(algorithm="RS256", headers=headers))
        token = issuer.sign(algorithm="PS256", key=issuer.key("RS256"), headers=headers)
        await self.refused(jwts, token)

    async def test_with_an_algorithm_that_is_not_taken(self, issuer, make):
        await self.refused(make(algorithms=("RS256",)), issuer.sign())

    async def test_with_other_claims(self, issuer, make):
        head, _, signature = issuer.sign().split(".")
        claims = json.dumps({"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": 2**33})
        await self.refused(make(), f"{head}.{encode(claims.encode())}.{signature}")

    async def test_without_a_key_id_where_there_are_several_keys(self, issuer, make):
        await self.refused(make(), issuer.sign(headers={}), errors.JwtKeyUnknown)


class TestRoles:
    async def roles(self, issuer, jwts, claims):
        caller = await jwts.find(
            issuer.sign(claims, without=() if "roles" in claims else ("roles",))
        )
        return caller.role, dict(caller.database_roles)

    @pytest.mark.parametrize(
        ("value", "roles"),
        [
            ("ADMIN", (Role.ADMIN, {})),
            (["VIEWER", "OPERATOR"], (Role.OPERATOR, {})),
            ("VIEWER OPERATOR:main", (Role.VIEWER, {"main": Role.OPERATOR})),
            (["ADMIN:main", "VIEWER:main"], (None, {"main": Role.ADMIN})),
            (["ADMIN", "VIEWER:main"], (Role.ADMIN, {"main": Role.ADMIN})),
            (["dba", "viewer", "ADMIN:", "ADMIN:a:b", 7, None, ["ADMIN"]], (None, {})),
            ({"ADMIN": True}, (None, {})),
            (None, (None, {})),
            (7, (None, {})),
        ],
    )
    async def test_what_the_claim_says(self, issuer, make, value, roles):
        assert await self.roles(issuer, make(), {"roles": value}) == roles

    async def test_without_the_claim_nothing(self, issuer, make):
        assert await self.roles(issuer, make(), {}) == (None, {})

    async def test_the_issuers_own_names(self, issuer, make):
        jwts = make(role_map={"dba": "ADMIN:main", "dev": "VIEWER"})
        found = await self.roles(issuer, jwts, {"roles": ["dba", "dev", "x"]})
        assert found == (Role.VIEWER, {"main": Role.ADMIN})

    async def test_a_claim_within_another(self, issuer, make):
        jwts = make(roles_claim="realm_access.roles")
        claims = {"realm_access": {"roles": ["OPERATOR"]}}
        assert (await self.roles(issuer, jwts, claims))[0] is Role.OPERATOR
        assert (await self.roles(issuer, jwts, {"realm_access": ["OPERATOR"]}))[0] is None

    async def test_a_claim_with_dots_in_its_name(self, issuer, make):
        name = "https://example.org/roles"
        jwts = make(roles_claim=name)
        assert (await self.roles(issuer, jwts, {name: "ADMIN"}))[0] is Role.ADMIN

    async def test_another_claim_names_the_caller(self, issuer, make):
        found = await make(name_claim="email").find(issuer.sign({"email": "ann@example.org"}))
        assert found.name == "ann@example.org"


class TestRemembering:
    async def test_it_ends_when_the_token_does(self, issuer, make):
        jwts = make()
        token = issuer.sign({"exp": int(time.time()) + 2})
        await jwts.find(token)

        async def expired() -> bool:
            try:
                await jwts.find(token)
            except errors.JwtExpired:
                return True
            return False

        assert not await expired()
        await eventually(expired, 4)

    async def test_a_known_one_costs_microseconds(self, issuer, make):
        jwts = make()
        token = issuer.sign(algorithm="RS256")
        first = await jwts.find(token)
        began = time.perf_counter()
        for _ in range(1000):
            assert await jwts.find(token) is first
        assert (time.perf_counter() - began) / 1000 < 50e-6

    async def test_keys_taken_back_take_back_what_they_signed(self, issuer, make, tmp_path):
        jwts = make()
        token = issuer.sign()
        await jwts.find(token)
        (tmp_path / "jwks.json").write_text(Issuer("new").jwks())
        jwts._jwks.refresh_file()
        with pytest.raises(errors.JwtKeyUnknown):
            await jwts.find(token)


@settings(max_examples=300, deadline=None, database=None)
@given(
    header=st.one_of(
        st.binary(max_size=40),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: st.dictionaries(
                st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]), inner, max_size=4
            ),
            max_leaves=6,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    body=st.binary(max_size=40),
    signature=st.binary(max_size=80),
)
def test_whatever_is_shown_is_answered(header, body, signature):
    token = ".".join(encode(part) for part in (header, body, signature))

    async def ask() -> None:
        jwts = Jwts(jwt_config("/nowhere"), Jwks("/nowhere"))
        with pytest.raises(errors.Unauthenticated):
            await jwts.find(token)

    asyncio.run(ask())
