"""A daemon with TLS and tokens, as people ask it: grpcurl, an HTTP client, `check-config`."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_health.v1 import health_pb2_grpc as grpc_health_pb2_grpc

from dbopsd.config import TokenConfig
from dbopsd.security.token_file import append_token
from dbopsd.security.tokens import hash_token, new_token
from tests.e2e.conftest import Answer, run
from tests.support.certificates import Certificates
from tests.support.daemon import Daemon
from tests.support.dbops_command import check_config
from tests.support.patience import eventually_blocking

GET_HEALTH = "dbops.v1.HealthService/GetHealth"
CHECK = "grpc.health.v1.Health/Check"
UNAUTHENTICATED, PERMISSION_DENIED = 64 + 16, 64 + 7
# Nothing listens there: who asks is answered all the same.
DATABASES = "".join(
    f"[databases.{name}]\ndsn = 'host=127.0.0.1 port=9 dbname=x'\n" for name in ("main", "other")
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tokens(files: Certificates) -> Path:
    return files.directory / "tokens.toml"


def add(tokens: Path, name: str, **keys: Any) -> str:
    made = new_token()
    append_token(tokens, name, TokenConfig.model_validate({"hash": hash_token(made), **keys}))
    return made


@pytest.fixture(scope="module")
def viewer(tokens: Path) -> str:
    return add(tokens, "viewer", databases={"main": "VIEWER"})


def configuration(files: Certificates, tokens: Path) -> str:
    return (
        f"tls = {{ cert = '{files.cert}', key = '{files.key}' }}\n"
        f"[auth]\ntokens_file = '{tokens}'\n{DATABASES}"
    )


@pytest.fixture(scope="module")
def guarded(files: Certificates, tokens: Path, viewer: str) -> Iterator[Daemon]:
    assert viewer
    # Beyond loopback, which TLS and tokens allow.
    with Daemon(
        configuration(files, tokens),
        server={"grpc_listen": "0.0.0.0:0", "workers": 0},
    ) as daemon:
        yield daemon.wait_until_serving()


def grpcurl(
    daemon: Daemon, files: Certificates, method: str, token: str | None, data: str = "{}"
) -> Answer:
    header = [] if token is None else ["-H", f"authorization: Bearer {token}"]
    address = f"localhost:{daemon.grpc_port}"
    return run("grpcurl", "-cacert", str(files.ca), *header, "-d", data, address, method)


MAIN, OTHER = '{"name": "databases/main"}', '{"name": "databases/other"}'


def test_who_gets_an_answer(guarded: Daemon, files: Certificates, viewer: str) -> None:
    answer = grpcurl(guarded, files, GET_HEALTH, viewer, MAIN)
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["name"] == "databases/main"
    denied = grpcurl(guarded, files, GET_HEALTH, viewer, OTHER)
    assert denied.code == PERMISSION_DENIED
    assert "lacks the role VIEWER on database 'other'" in denied.err


def test_without_a_token_not_even_reflection(guarded: Daemon, files: Certificates) -> None:
    for token in (None, "nonsense"):
        answer = grpcurl(guarded, files, GET_HEALTH, token, MAIN)
        assert answer.code != 0
        assert (
            "Unauthenticated" in answer.err or "credential" in answer.err or "token" in answer.err
        )


def test_clear_text_gets_nothing(guarded: Daemon) -> None:
    answer = run("grpcurl", "-plaintext", "-connect-timeout", "3", guarded.grpc_address, "list")
    assert answer.code != 0


def test_http(guarded: Daemon, files: Certificates, viewer: str) -> None:
    assert http(guarded, files, "/livez") == 200
    assert http(guarded, files, "/api/health/database") == 401
    # The database cannot be reached, which is what 503 says.
    assert http(guarded, files, "/api/health/database?database=main", viewer) == 503
    assert http(guarded, files, "/api/health/database?database=other", viewer) == 403


def test_strangers_learn_no_database_name(
    guarded: Daemon, files: Certificates, viewer: str
) -> None:
    """Neither from health, which is open, nor through a name that was made to resolve here."""
    for token, names in ((None, set()), (viewer, {"databases/main"})):
        address = f"localhost:{guarded.grpc_port}"
        with grpc.secure_channel(address, files.channel_credentials()) as channel:
            metadata = (("authorization", f"Bearer {token}"),) if token else None
            listed = grpc_health_pb2_grpc.HealthStub(channel).List(
                grpc_health_pb2.HealthListRequest(), metadata=metadata, timeout=10
            )
            assert {name for name in listed.statuses if name.startswith("databases")} == names
    assert http(guarded, files, "/livez", host="rebound.example") == 421
    assert http(guarded, files, "/livez", host="localhost") == 200


def test_a_refused_token_is_seen_in_the_log(guarded: Daemon, files: Certificates) -> None:
    assert http(guarded, files, "/api/health/database", "dbops_guessed") == 401
    line = r"WARNING .*a credential from 127\.0\.0\.1 was refused: TOKEN_UNKNOWN"
    eventually_blocking(lambda: re.search(line, guarded.log_text()), 5)
    assert "dbops_guessed" not in guarded.log_text()


def test_a_token_added_and_taken_back_without_a_restart(
    guarded: Daemon, files: Certificates, tokens: Path
) -> None:
    before = tokens.read_text()
    made = add(tokens, "late", role="OPERATOR")
    eventually_blocking(lambda: grpcurl(guarded, files, GET_HEALTH, made, OTHER).code == 0, 10)
    tokens.write_text(before)
    eventually_blocking(lambda: grpcurl(guarded, files, GET_HEALTH, made, OTHER).code != 0, 10)


def test_no_token_is_in_what_it_says(guarded: Daemon, tokens: Path, viewer: str) -> None:
    said = guarded.log_text() + guarded.output_text()
    assert viewer not in said
    assert hash_token(viewer) not in said
    arguments = Path(f"/proc/{guarded.pid}/cmdline").read_bytes().decode()
    assert viewer not in arguments


def http(
    daemon: Daemon,
    files: Certificates,
    path: str,
    token: str | None = None,
    *,
    host: str | None = None,
) -> int:
    request = urllib.request.Request(f"https://localhost:{daemon.http_port}{path}")
    if host is not None:
        request.add_header("Host", host)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    context = files.client_context()
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server.tls]\ncert = '{cert}'", "'server.tls': needs cert and key together"),
        (
            "[server.tls]\ncert = '{cert}'\nkey = '/nope'",
            "server.tls.key: '/nope' cannot be read: no such file or directory",
        ),
        (
            "[server.tls]\ncert = '{cert}'\nkey = '{other}'",
            "server.tls.key: '{other}' is not the key of the certificate '{cert}'",
        ),
        (
            "[auth.tokens.ci]\nrole = 'ADMIN'\nhash = 'hunter2'",
            "'auth.tokens.ci.hash': is not sha256:",
        ),
        (
            "[auth.jwt]\nissuer = 'i'\naudience = 'a'\njwks = '/nope.json'",
            "auth.jwt.jwks: '/nope.json' cannot be read: no such file or directory",
        ),
        (
            "[auth.jwt]\nissuer = 'i'\naudience = 'a'\njwks = '{cert}'",
            "auth.jwt.jwks: '{cert}': it is not JSON",
        ),
        ("[auth]\ntokens_file = '/nope'", "auth.tokens_file: '/nope' cannot be read"),
    ],
)
def test_check_config_says_what_is_wrong(
    files: Certificates, tmp_path: Path, text: str, says: str
) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(files.issue("localhost")[1])
    names = {"{cert}": str(files.cert), "{other}": str(other)}
    for name, value in names.items():
        text, says = text.replace(name, value), says.replace(name, value)
    path = tmp_path / "dbopsd.toml"
    path.write_text(f"{text}\n[databases.main]\ndsn = 'host=x'\n")
    done = check_config(path, DBOPSD_SERVER__STATE_DIR=str(tmp_path / "state"))
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert says in line
    assert "hunter2" not in line
