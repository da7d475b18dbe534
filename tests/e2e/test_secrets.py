"""No credential leaves the daemon, by whatever way; at the level of log that says most."""

import base64
import contextlib
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from dbops_client import DbopsClient
from google.protobuf.json_format import MessageToJson

from dbopsd.security.tokens import hash_token, new_token
from tests.e2e.conftest import Answer, run
from tests.e2e.test_telemetry import SOON, telemetry
from tests.support.certificates import Certificates
from tests.support.daemon import Daemon
from tests.support.demo.daemon import demo_daemon
from tests.support.issuer import AUDIENCE, ISSUER, Issuer
from tests.support.otlp import OtlpReceiver
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

# Characters that URLs, libpq and JSON each write in another way.
SECRETS = {
    "right": "kV8@x'q/Zr",
    "from_file": 'mT4 w"e:Lp',
    "wrong": "bN7%h&c?Ys",
    "misspelt": "gD2#j=f\\Xt",
    "in_url": "pR5@s:u/Wv",
    "header": "Bearer nQ6zA1yB2xC3",
    "header_key": "hU9kE4mF7oG0",
}


def spellings(secret: str) -> set[str]:
    """How a secret may stand in a text."""
    plain = {secret, secret.removeprefix("Bearer ")}
    escaped = {text.replace("\\", "\\\\").replace("'", "\\'") for text in plain}
    quoted = {urllib.parse.quote(text, safe="") for text in plain}
    in_json = {json.dumps(text)[1:-1] for text in plain}
    encoded = {base64.b64encode(text.encode()).decode().rstrip("=") for text in plain}
    return plain | escaped | quoted | in_json | encoded


def libpq(value: str) -> str:
    """A value of a connection string, quoted."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def test_no_secret_leaves_it(
    otlp: OtlpReceiver,
    server: PostgresServer,
    start_daemon: Callable[..., Daemon],
    tmp_path: Path,
) -> None:
    password_file = tmp_path / "password"
    password_file.write_text(SECRETS["from_file"] + "\n")
    for role in ("right", "from_file"):
        literal = SECRETS[role].replace("'", "''")
        server.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{literal}' IN ROLE pg_monitor")
    where = f"host=127.0.0.1 port={server.port} dbname=postgres"
    in_url = urllib.parse.quote(SECRETS["in_url"], safe="")
    dsns = {
        "right": f"{where} user=right password={libpq(SECRETS['right'])}",
        "from-file": f"{where} user=from_file",
        "wrong": f"{where} user=right password={libpq(SECRETS['wrong'])}",
        "misspelt": f"{where} pasword={libpq(SECRETS['misspelt'])}",
        "in-url": f"postgresql://right:{in_url}@127.0.0.1:{server.port}/postgres",
        "broken-url": f"postgresql://right:{SECRETS['in_url']}@127.0.0.1:{server.port}/postgres",
        "refused": f"host=127.0.0.1 port=1 user=right password={libpq(SECRETS['wrong'])}",
    }
    tables = [f"[databases.{name}]\ndsn = {json.dumps(dsn)}\n" for name, dsn in dsns.items()]
    tables[1] += f"password_file = {json.dumps(str(password_file))}\n"
    headers = {"authorization": SECRETS["header"], "x-api-key": SECRETS["header_key"]}
    lines = "\n".join(f"{json.dumps(name)} = {json.dumps(text)}" for name, text in headers.items())
    otlp.fail()
    running = start_daemon(
        telemetry(otlp.grpc_endpoint, log_level="debug")
        + f"[telemetry.otlp_headers]\n{lines}\n"
        + "".join(tables),
        environment=SOON,
    )
    with DbopsClient(running.grpc_address) as client:
        expected = {
            "right": "",
            "from-file": "",
            "wrong": "LOGIN_REJECTED",
            "misspelt": "INVALID_DSN",
            "in-url": "LOGIN_REJECTED",
            "refused": "CONNECTION_REFUSED",
        }

        def reasons() -> dict[str, str] | None:
            found = {name: client.health.get(name).checks[0].reason for name in expected}
            return found if found == expected else None

        eventually_blocking(reasons, 15, "each database says what is wrong")
        # The collector is asked and refuses, then takes all of it.
        eventually_blocking(lambda: otlp.requests > 2, 10, "failed exports")
        otlp.heal()
        otlp.wait_for(lambda r: r.spans() and r.metrics("db.client.operation.duration"), 10)
        shown = {f"GetHealth {name}": MessageToJson(client.health.get(name)) for name in dsns}
        shown["ListDatabases"] = "".join(MessageToJson(each) for each in client.databases.list())
    for path in ("/api/health/database?detailed=true", "/readyz"):
        shown[path] = fetched(running, path)
    for method in ("GetServers", "GetTopChannels"):
        answer = grpcurl(running, f"grpc.channelz.v1.Channelz/{method}")
        assert answer.code == 0
        shown[method] = answer.out
    shown["describe"] = run("grpcurl", "-plaintext", running.grpc_address, "describe").out
    shown["dbops"] = "".join(
        run("dbops", "--server", running.grpc_address, "health").out.split("  ")
    )
    shown["command line"] = Path(f"/proc/{running.pid}/cmdline").read_text()
    assert running.terminate() == 0
    shown["log"] = running.log_text()
    shown["output"] = running.output_text()
    shown["spans"] = "".join(f"{span.raw}{span.resource}" for span in otlp.spans())
    shown["metrics"] = "".join(f"{metric.raw}{metric.resource}" for metric in otlp.metrics())

    assert "LOGIN_REJECTED" in shown["GetHealth wrong"]
    assert " DEBUG psycopg" in shown["log"]
    assert len(otlp.spans()) > 20
    leaks = [
        (place, name)
        for place, text in shown.items()
        for name, secret in SECRETS.items()
        for spelling in spellings(secret)
        if spelling in text
    ]
    assert leaks == []


@pytest.mark.parametrize("control", ["right", pytest.param("wrong", marks=pytest.mark.thorough)])
def test_no_secret_of_callers_or_of_the_control_store_leaves_it(
    otlp: OtlpReceiver, server: PostgresServer, tmp_path: Path, control: str
) -> None:
    files, issuer = Certificates(tmp_path), Issuer()
    (tmp_path / "jwks.json").write_text(issuer.jwks())
    secrets = {
        "token": new_token(),
        "unknown token": new_token(),
        "jwt": issuer.sign({"roles": ["ADMIN"], "exp": int(time.time()) + 600}),
        "expired jwt": issuer.sign({"exp": 1}),
        "control store": "cT6@y'w/Vr?",
        "wrong control store": "jW3@r;n/Hk?",
        **{
            f"TLS key, line {number}": line
            for number, line in enumerate(files.key.read_text().splitlines())
            if "PRIVATE KEY" not in line
        },
    }
    keeper, shown_password = f"keeper_{control}", secrets["control store"]
    literal = shown_password.replace("'", "''")
    server.execute(f"CREATE ROLE {keeper} LOGIN PASSWORD '{literal}'")
    server.execute(f"CREATE DATABASE {keeper} OWNER {keeper}")
    if control == "wrong":
        shown_password = secrets["wrong control store"]
    in_url = urllib.parse.quote(shown_password, safe="")
    config = f"""
[server.tls]
cert = "{files.cert}"
key = "{files.key}"
[audit]
otlp = true
[auth.tokens.ci]
hash = "{hash_token(secrets["token"])}"
role = "ADMIN"
[auth.jwt]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
jwks = "{tmp_path / "jwks.json"}"
[databases.main.schedules.nightly]
kind = "demo"
cron = "0 3 * * *"
request = {{ steps = 1, step_seconds = 2, child = true, traced = true, ledger = "{tmp_path}/l" }}
""" + telemetry(otlp.grpc_endpoint, log_level="debug")
    url = f"postgresql://{keeper}:{in_url}@127.0.0.1:{server.port}/{keeper}"
    shown: dict[str, str] = {}
    with demo_daemon(
        server.dsn(dbname="postgres"), control_url=url, more=config, environment=SOON
    ) as running:
        running.wait_until_serving()
        address = f"localhost:{running.grpc_port}"

        def dbops(token: str, *arguments: str) -> Answer:
            answer = run(
                *("dbops", *arguments, "--ca", str(files.ca), "--server", address),
                DBOPS_TOKEN=secrets[token],
            )
            shown[f"dbops {token} {arguments}"] = answer.out + answer.err
            return answer

        for each in ("unknown token", "expired jwt"):
            assert dbops(each, "operations", "list").code == 3
        if control == "right":
            eventually_blocking(
                lambda: dbops("token", "schedules", "list").out.count("nightly"), 60, "a worker"
            )
            started = dbops("token", "schedules", "run", "main/nightly", "--no-wait")
            assert started.code == 0, started.err
            (name,) = set(re.findall(r"operations/[a-z0-9-]+", started.out + started.err))
            eventually_blocking(
                lambda: "RUNNING" in dbops("jwt", "operations", "get", name).out, 30, "it runs"
            )
            shown["command lines"] = command_lines()
            assert dbops("jwt", "operations", "wait", name).code == 0
            for output in ("table", "json"):
                listed = dbops("jwt", "operations", "list", "--output", output)
                assert (listed.code, name.rpartition("/")[2] in listed.out) == (0, True)
                dbops("token", "operations", "get", name, "--output", output)
            otlp.wait_for(lambda r: r.spans("operation demo") and r.logs(), 10)
        else:
            refused = dbops("token", "operations", "list")
            assert (refused.code, "password authentication failed" in refused.err) == (3, True)
            waiting = "waiting for the control store"
            eventually_blocking(lambda: waiting in running.log_text(), 60, "the worker says so")
            shown["command lines"] = command_lines()
            otlp.wait_for(lambda r: r.spans(), 10)
        assert str(running.config_file) in shown["command lines"]
        audit = running.state_dir / "audit" / "audit.jsonl"
        shown["audit log"] = audit.read_text() if audit.exists() else ""
        assert running.terminate() == 0
        shown["log"], shown["output"] = running.log_text(), running.output_text()
    shown["spans"] = "".join(f"{span.raw}{span.resource}" for span in otlp.spans())
    shown["metrics"] = "".join(f"{metric.raw}{metric.resource}" for metric in otlp.metrics())
    shown["log records"] = "".join(f"{log.raw}{log.resource}" for log in otlp.logs())

    assert " DEBUG " in shown["log"]
    assert control == "wrong" or "OperationsService" in shown["audit log"]
    leaks = [
        (place, name)
        for place, text in shown.items()
        for name, secret in secrets.items()
        for spelling in spellings(secret)
        if spelling in text
    ]
    assert leaks == []


def command_lines() -> str:
    """Those of every process on this machine, as anybody may read them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(entry.read_text(errors="replace"))
    return "\n".join(found)


def fetched(running: Daemon, path: str) -> str:
    try:
        with urllib.request.urlopen(f"{running.http_url}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def grpcurl(running: Daemon, method: str) -> Answer:
    return run("grpcurl", "-plaintext", running.grpc_address, method)
