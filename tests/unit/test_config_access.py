"""The configuration of TLS and authentication, and what listening beyond loopback takes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dbopsd.config import load_config
from dbopsd.errors import ConfigurationError

HASH = "sha256:" + "0" * 64
TLS = "[server.tls]\ncert = '/c.pem'\nkey = '/k.pem'\n"
TOKEN = f"[auth.tokens.ci]\nhash = '{HASH}'\nrole = 'VIEWER'\n"
LISTEN = "[server]\ngrpc_listen = '0.0.0.0:50051'\n"


@pytest.fixture
def problem(tmp_path: Path) -> Callable[[str], str]:
    def problem(text: str) -> str:
        path = tmp_path / "dbopsd.toml"
        path.write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            load_config(path)
        return str(caught.value).removeprefix(f"{path}: ")

    return problem


def test_beyond_loopback_with_tls_and_authentication(tmp_path: Path) -> None:
    path = tmp_path / "dbopsd.toml"
    path.write_text(LISTEN + TLS + TOKEN)
    config = load_config(path)
    assert config.server.tls.enabled
    assert config.auth.configured
    assert config.auth.open_services == ("health",)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (
            LISTEN,
            "without encryption ([server.tls] cert and key) and without authentication ([auth])",
        ),
        (LISTEN + TOKEN, "without encryption ([server.tls] cert and key)"),
        (LISTEN + TLS, "without authentication ([auth])"),
        (LISTEN + TLS + "[auth]\nanonymous = 'VIEWER'\n", "without authentication ([auth])"),
        (LISTEN + TLS + "[auth]\nanonymous = 'ADMIN'\n", "without authentication ([auth])"),
        *(
            (
                LISTEN + TLS + f"[auth]\nanonymous = '{role}'\n" + TOKEN,
                f"without authentication (auth.anonymous = '{role}')",
            )
            for role in ("OPERATOR", "ADMIN")
        ),
    ],
)
def test_beyond_loopback_one_of_them_is_not_enough(
    problem: Callable[[str], str], text: str, missing: str
) -> None:
    assert problem(text) == (
        f"server.grpc_listen = '0.0.0.0:50051' is reachable from other machines {missing}: "
        "configure it, listen on 127.0.0.1, or set server.insecure_listen = true"
    )


@pytest.mark.parametrize(
    "text",
    [
        LISTEN + TLS + "[auth]\nanonymous = 'VIEWER'\n" + TOKEN,
        LISTEN + "insecure_listen = true\n" + TLS + "[auth]\nanonymous = 'ADMIN'\n" + TOKEN,
        TLS + "[auth]\nanonymous = 'ADMIN'\n" + TOKEN,
    ],
    ids=["who may only read", "told so", "on loopback"],
)
def test_callers_without_a_credential_may_be_let_in(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dbopsd.toml"
    path.write_text(text)
    assert load_config(path).auth.anonymous


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server.tls]\ncert = '/c'", "'server.tls': needs cert and key together"),
        ("[server.tls]\nclient_ca = '/c'", "'server.tls': has client_ca without cert and key"),
        (
            f"{TLS}[auth.certificates.ops]\nrole = 'ADMIN'",
            "auth.certificates needs server.tls.client_ca, which signs them",
        ),
        (
            f"[auth.tokens.ci]\nhash = '{HASH}'\ndatabases.nope = 'ADMIN'",
            "auth grants a role on 'nope', which is no database here",
        ),
        (
            "[auth.jwt]\nissuer = 'i'\naudience = 'a'\njwks = '/j'\nrole_map.x = 'ADMIN:nope'",
            "auth grants a role on 'nope', which is no database here",
        ),
        (f"[auth.tokens.ci]\nhash = '{HASH}'", "'auth.tokens.ci': needs a role, or databases"),
        (
            f"[auth.tokens.ci]\nhash = '{HASH}'\nrole = 'OWNER'",
            "'auth.tokens.ci.role': Input should be 'VIEWER', 'OPERATOR' or 'ADMIN'",
        ),
        (
            "[auth.jwt]\nissuer = 'i'\naudience = 'a'\njwks = '/j'\nalgorithms = ['HS256']",
            "'auth.jwt.algorithms.0': ",
        ),
        (
            "[auth.jwt]\nissuer = 'i'\naudience = 'a'\njwks = '/j'\nrole_map.x = 'GOD'",
            "'auth.jwt.role_map': has 'GOD' for 'x', which is not ROLE or ROLE:database",
        ),
        ("[auth.jwt]\nissuer = 'i'\njwks = '/j'", "'auth.jwt.audience' is missing"),
        ("[auth]\nopen_services = ['everything']", "'auth.open_services.0': "),
        ("[auth]\ntoken = 1", "unknown key 'auth.token', did you mean 'tokens'?"),
        ("[server]\nmax_calls_per_client = 0", "'server.max_calls_per_client': "),
        ("[server]\nmax_streams_per_connection = 0", "'server.max_streams_per_connection': "),
    ],
)
def test_what_is_said(problem: Callable[[str], str], text: str, says: str) -> None:
    assert problem(text).startswith(says)


def test_a_token_in_the_place_of_its_hash_is_not_repeated(
    problem: Callable[[str], str],
) -> None:
    said = problem("[auth.tokens.ci]\nhash = 'dbops_hunter2'\nrole = 'ADMIN'")
    assert said.startswith("'auth.tokens.ci.hash': is not sha256:")
    assert "hunter2" not in said


def test_the_environment_has_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPSD_AUTH__TOKENS__CI__HASH", HASH)
    monkeypatch.setenv("DBOPSD_AUTH__TOKENS__CI__ROLE", "OPERATOR")
    monkeypatch.setenv("DBOPSD_SERVER__TLS__CERT", "/c.pem")
    monkeypatch.setenv("DBOPSD_SERVER__TLS__KEY", "/k.pem")
    config = load_config()
    assert config.auth.tokens["ci"].role == "OPERATOR"
    assert config.server.tls.cert == Path("/c.pem")
