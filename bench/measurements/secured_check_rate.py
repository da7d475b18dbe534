"""How many `Health.Check` calls the whole daemon answers over TLS to callers that it knows.

Against grpc.aio with the same certificate and nothing around it. `grpc.health.v1` is open as it
comes, so the bar is for a daemon where it is not: there every call's token is verified.
"""

import json
import time

from bench.child import Child
from bench.measurement import Measurement, Row, at_least
from bench.rounds import Server, measure_in_turn, rate_row, ratio_row
from bench.workbench import Workbench
from dbopsd.security.tokens import hash_token, new_token
from tests.support.certificates import Certificates
from tests.support.issuer import AUDIENCE, ISSUER, Issuer

_SERVING_S = 30.0
_BOUND = 0.7
_JWT_LIFE_S = 3600
_CLOSED = {"AUTH__OPEN_SERVICES": "[]"}


def _run(bench: Workbench) -> list[Row]:
    certificates = Certificates(bench.directory("certificates"))
    dsn = bench.postgres().dsn()
    bare_server = bench.child("bare_server", str(certificates.cert), str(certificates.key))
    bare = Server(bare_server.ask("target"), bare_server.pid)
    token = new_token()
    issuer = Issuer()
    jwks = certificates.directory / "jwks.json"
    jwks.write_text(issuer.jwks())
    by_token = {"AUTH__TOKENS": json.dumps({"bench": _grant(token)})}
    by_jwt = {
        "AUTH__JWT__ISSUER": ISSUER,
        "AUTH__JWT__AUDIENCE": AUDIENCE,
        "AUTH__JWT__JWKS": str(jwks),
    }
    with_token = _daemon(bench, dsn, certificates, **by_token, **_CLOSED)
    with_jwt = _daemon(bench, dsn, certificates, **by_jwt, **_CLOSED)
    as_it_comes = _daemon(bench, dsn, certificates, **by_token)
    signed = issuer.sign({"exp": int(time.time()) + _JWT_LIFE_S})
    client = bench.child("client")
    for server, credential in (
        (bare, None),
        (with_token, token),
        (with_jwt, signed),
        (as_it_comes, token),
    ):
        client.ask("secure", target=server.target, ca=str(certificates.ca), token=credential)
    for server in (with_token, with_jwt, as_it_comes):
        client.ask("until_serving", target=server.target, within_s=_SERVING_S)
    for server in (with_token, with_jwt):
        _require_credential(client, server)
    measure_in_turn(bench, client, [bare, with_token, with_jwt, as_it_comes])
    return [
        ratio_row("TLS, every call's token verified", with_token, bare, at_least(_BOUND)),
        ratio_row("TLS, every call's JWT verified", with_jwt, bare),
        ratio_row("TLS, a token, health open (as it comes)", as_it_comes, bare),
        rate_row("bare grpc.aio with TLS", bare),
        rate_row("TLS, every call's token verified", with_token),
        rate_row("TLS, every call's JWT verified", with_jwt),
        rate_row("TLS, a token, health open (as it comes)", as_it_comes),
    ]


def _grant(token: str) -> dict[str, str]:
    return {"hash": hash_token(token), "role": "VIEWER"}


def _require_credential(client: Child, server: Server) -> None:
    """Raise unless the server refuses `Check` to a caller that shows none."""
    code = client.ask("refused_without_token", target=server.target)
    if code != "UNAUTHENTICATED":
        raise AssertionError(f"Check without a credential: {code}; nobody is asked for one")


def _daemon(bench: Workbench, dsn: str, certificates: Certificates, **settings: str) -> Server:
    daemon = bench.daemon(
        bench.directory("state") / "state",
        DATABASES__MAIN__DSN=dsn,
        # Those of three daemons beside it would take from what the fourth can do.
        SERVER__WORKERS="0",
        SERVER__TLS__CERT=str(certificates.cert),
        SERVER__TLS__KEY=str(certificates.key),
        TELEMETRY__OTLP_ENDPOINT=bench.otlp_sink(),
        **settings,
    )
    return Server(daemon.target, daemon.pid)


MEASUREMENT = Measurement("Health.Check calls/s with TLS and a token against bare TLS", _run)
