"""Every method of a running server and every kind of caller, over real TLS with real tokens.

The methods and the roles that they need are read from the server's own descriptors, so a new method
is in this table from its first day.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc.aio
import pytest
from dbops.v1 import backup_pb2, health_pb2, metrics_pb2, migrate_pb2, operations_pb2, options_pb2
from google.api import field_behavior_pb2, resource_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from dbopsd.app.features import BACKUP, IMPORTER, MIGRATIONS
from dbopsd.config import AuthConfig, CertificateConfig, ServerConfig, TokenConfig
from dbopsd.metrics.hub import MetricsHub
from dbopsd.operations.alert_records import Silence
from dbopsd.rpc.server import RpcServer
from dbopsd.security.access import Access
from dbopsd.security.failed_credentials import FailedCredentials
from dbopsd.security.tokens import hash_token, new_token
from tests.support.certificates import Certificates
from tests.support.demo.feature import METHODS
from tests.support.issuer import Issuer, jwt_config
from tests.unit.rpc.answers import Answer, answer_of
from tests.unit.rpc.backup_service import backup_service
from tests.unit.rpc.metrics_service import metrics_service
from tests.unit.rpc.migrate_service import migrate_service

STARTING = (*IMPORTER.methods, *MIGRATIONS.methods, *BACKUP.methods)
VIEWER, OPERATOR, ADMIN = options_pb2.VIEWER, options_pb2.OPERATOR, options_pb2.ADMIN
ROLES = {"VIEWER": VIEWER, "OPERATOR": OPERATOR, "ADMIN": ADMIN}
OPEN = "grpc.health.v1.Health"
STANDARD = (OPEN, "grpc.reflection.v1alpha.ServerReflection", "grpc.channelz.v1.Channelz")
TIMEOUT_S = 5
BACKUP_NAME = "databases/main/backups/full-1"

TOKENS = {name: new_token() for name in (*ROLES, "expired", "main", "other", "unknown")}
ISSUER, FORGER = Issuer(), Issuer()


@dataclass(frozen=True)
class Who:
    """A caller: what it shows, and what is to be expected of it."""

    authorization: str | None
    reason: str = ""
    """Why it is not known; "": it is."""

    role: int = 0
    """The role that it has on `main`."""

    everywhere: bool = True
    """Whether it has that role on every database; else on `main` alone."""

    somewhere: int = 0
    """The most that it has on any database, where that is not `role`."""


# Of the database `main`.
SILENCE = Silence("s1", "*", "main", (), 2.0**32, "c", "somebody")


def bearer(token: str) -> str:
    return f"Bearer {token}"


def signed(**claims: Any) -> str:
    # Made when the tests are collected, and shown when their turn has come.
    return bearer(ISSUER.sign({"exp": 2**33, **claims}))


WHO = {
    "nobody": Who(None, "CREDENTIAL_MISSING"),
    "another scheme": Who("Basic YTpi", "CREDENTIAL_MALFORMED"),
    "unknown token": Who(bearer(TOKENS["unknown"]), "TOKEN_UNKNOWN"),
    "expired token": Who(bearer(TOKENS["expired"]), "TOKEN_EXPIRED"),
    "expired jwt": Who(signed(exp=1, roles="ADMIN"), "JWT_EXPIRED"),
    "jwt not valid yet": Who(signed(nbf=2**33, roles="ADMIN"), "JWT_NOT_YET_VALID"),
    "wrong audience": Who(signed(aud="another", roles="ADMIN"), "JWT_WRONG_AUDIENCE"),
    "wrong issuer": Who(signed(iss="https://evil/", roles="ADMIN"), "JWT_WRONG_ISSUER"),
    "forged jwt": Who(bearer(FORGER.sign({"roles": "ADMIN"})), "JWT_INVALID"),
    "jwt without a role": Who(signed(roles=[]), role=0),
    **{f"{name} by token": Who(bearer(TOKENS[name]), role=ROLES[name]) for name in ROLES},
    **{f"{name} by jwt": Who(signed(roles=[name]), role=ROLES[name]) for name in ROLES},
    "main's by token": Who(bearer(TOKENS["main"]), role=ADMIN, everywhere=False),
    "main's by jwt": Who(signed(roles="OPERATOR:main"), role=OPERATOR, everywhere=False),
    "other's by token": Who(bearer(TOKENS["other"]), everywhere=False, somewhere=ADMIN),
    "other's by jwt": Who(signed(roles=["ADMIN:other"]), everywhere=False, somewhere=ADMIN),
}


@pytest.fixture
def certificates(tmp_path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def auth(tmp_path) -> AuthConfig:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(ISSUER.jwks())

    def table(name: str, **keys: Any) -> TokenConfig:
        return TokenConfig(hash=hash_token(TOKENS[name]), **keys)

    return AuthConfig(
        tokens={
            **{name: table(name, role=name) for name in ROLES},
            "expired": table(
                "expired", role="ADMIN", expire_time=datetime.now(UTC) - timedelta(seconds=1)
            ),
            "main": table("main", databases={"main": "ADMIN"}),
            "other": table("other", databases={"other": "ADMIN"}),
        },
        jwt=jwt_config(str(jwks)),
    )


@pytest.fixture
async def channel(
    certificates, auth, databases, kept, desk, tmp_path
) -> AsyncIterator[grpc.aio.Channel]:
    config = ServerConfig(grpc_listen="127.0.0.1:0", tls=certificates.config())
    hub = MetricsHub(["main", "other"])
    rpc = RpcServer(
        config,
        databases,
        kept.telemetry,
        services=[
            metrics_service(hub, desk.alerts()),
            backup_service(tmp_path / "backups", ["main", "other"]),
            migrate_service(["main", "other"]),
        ],
        access=Access.load(config, auth, failed_credentials=FailedCredentials(1000, sleep=at_once)),
        operations=desk.operations,
        operation_methods=[*METHODS, *STARTING],
    )
    port = await rpc.start()
    databases.accept()
    target, credentials = f"localhost:{port}", certificates.channel_credentials()
    async with grpc.aio.secure_channel(target, credentials) as opened:
        yield opened
    hub.drain()
    desk.operations.drain()
    await rpc.stop(0)


async def at_once(_: float) -> None:
    """In place of a wait after credentials that were refused."""


async def served(channel: grpc.aio.Channel) -> list[MethodDescriptor]:
    """The methods that the server itself says it has."""

    async def ask() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="*")

    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(ask(), metadata=[("authorization", bearer(TOKENS["VIEWER"]))])
    (answer,) = [answer async for answer in call]
    return [
        method
        for service in answer.list_services_response.service
        for method in descriptor_pool.Default().FindServiceByName(service.name).methods
    ]


def needed(method: MethodDescriptor) -> int:
    """The role that the protos ask for."""
    service = method.containing_service.full_name
    if service in STANDARD:
        return VIEWER
    declared = operations_pb2.DESCRIPTOR.GetOptions().Extensions[options_pb2.method_role]
    for entry in declared:
        if entry.full_name == f"{service}/{method.name}":
            return entry.role
    return method.GetOptions().Extensions[options_pb2.role]


def request_for(method: MethodDescriptor, operation: str) -> tuple[Any, bool]:
    """A request about `main`, and whether the method takes one about a database at all."""
    request = message_factory.GetMessageClass(method.input_type)()
    about = False
    for field in method.input_type.fields:
        options = field.GetOptions()
        reference = options.Extensions[resource_pb2.resource_reference].type
        required = (
            field_behavior_pb2.REQUIRED in options.Extensions[field_behavior_pb2.field_behavior]
        )
        if reference == "dbops.v1/Schedule":
            value = "databases/main/schedules/nightly"
        elif reference == "dbops.v1/Database" or (field.name == "parent" and required):
            value = "databases/main"
        elif field.name == "name" and method.name.endswith("Operation"):
            value = operation
        elif reference == "dbops.v1/Silence":
            value = f"silences/{SILENCE.id}"
        elif reference == "dbops.v1/Backup" and not field.is_repeated:
            value = BACKUP_NAME
        elif field.message_type is not None and field.message_type.name == "Backup":
            request.backup.name = BACKUP_NAME
            about = True
            continue
        else:
            continue
        setattr(request, field.name, value)
        about = True
    if method.name == "WaitOperation":
        request.timeout.FromMilliseconds(1)
    return request, about


async def call(
    channel: grpc.aio.Channel, method: MethodDescriptor, request: Any, authorization: str | None
) -> Answer | None:
    """The error, or None."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    metadata = [("authorization", authorization)] if authorization is not None else []
    encoded = request.SerializeToString()

    async def requests() -> AsyncIterator[bytes]:
        yield encoded

    try:
        if method.server_streaming:
            stream = channel.stream_stream(path)(requests(), metadata=metadata, timeout=TIMEOUT_S)
            async for _ in stream:
                break
            stream.cancel()
        else:
            await channel.stream_unary(path)(requests(), metadata=metadata, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return answer_of(error) if error.code() in REFUSALS else None
    except asyncio.CancelledError:
        return None
    return None


REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)


def expected(who: Who, method: MethodDescriptor, *, about: bool, role: int = 0) -> tuple[str, str]:
    """The code and the reason of the refusal; two empty texts where there is none.

    `role`: what a field of the request needs.
    """
    if method.full_name == f"{OPEN}.List":
        # It tells databases to who may see them: what is shown must be good, if anything is.
        known = who.reason in ("", "CREDENTIAL_MISSING")
        return ("", "") if known else ("UNAUTHENTICATED", who.reason)
    if method.containing_service.full_name == OPEN:
        return "", ""
    if who.reason:
        return "UNAUTHENTICATED", who.reason
    role = max(role, needed(method))
    if about:
        held = who.role
    elif role == VIEWER:
        held = who.role or who.somewhere
    else:
        held = who.role if who.everywhere else 0
    if held >= role:
        return "", ""
    # To who sees other databases it does not say whether there is such an operation.
    hides = {"Operation": "OPERATION_HIDDEN", "Silence": "SILENCE_HIDDEN"}
    hidden = [reason for end, reason in hides.items() if method.name.endswith(end)]
    if about and hidden and who.somewhere and method.name != "CreateSilence":
        return "PERMISSION_DENIED", hidden[0]
    return "PERMISSION_DENIED", "ROLE_MISSING"


@pytest.mark.parametrize("who", WHO.values(), ids=WHO.keys())
async def test_who_may_call_what(channel, desk, who):
    got, want = {}, {}
    for method in await served(channel):
        operation = await desk.start("main", role=OPERATOR)
        await desk.silence(SILENCE)
        request, about = request_for(method, f"operations/{operation.id}")
        answer = await call(channel, method, request, who.authorization)
        got[method.full_name] = (answer.code.name, answer.reason) if answer else ("", "")
        want[method.full_name] = expected(who, method, about=about)
        secret = (who.authorization or "Bearer x").rpartition(" ")[2]
        assert len(secret) < 10 or secret not in repr(answer)
    assert got == want


def fields_that_need_more() -> dict[str, int]:
    """The role that each field of a request needs, where its method needs less."""
    return {
        field.full_name: field.GetOptions().Extensions[options_pb2.field_role]
        for method in STARTING
        for field in method.descriptor.input_type.fields
        if field.GetOptions().HasExtension(options_pb2.field_role)
    }


def test_the_fields_that_need_more_than_their_method():
    assert fields_that_need_more() == {
        "dbops.v1.ApplyMigrationsRequest.override_findings": ADMIN,
        "dbops.v1.DrillBackupRequest.check_sql": ADMIN,
    }


@pytest.mark.parametrize("who", WHO.values(), ids=WHO.keys())
async def test_who_may_set_what(channel, who):
    for name, role in fields_that_need_more().items():
        field = descriptor_pool.Default().FindFieldByName(name)
        for method in await served(channel):
            if method.input_type is not field.containing_type:
                continue
            request, about = request_for(method, "operations/none")
            setattr(request, field.name, "SELECT true")
            for validate_only in (True, False):
                request.validate_only = validate_only
                answer = await call(channel, method, request, who.authorization)
                got = (answer.code.name, answer.reason) if answer else ("", "")
                assert got == expected(who, method, about=about, role=role)


async def test_the_table_leaves_no_method_out(channel):
    methods = await served(channel)
    names = {method.full_name for method in methods}
    assert {needed(method) for method in methods} == {VIEWER, OPERATOR, ADMIN}
    assert {"google.longrunning.Operations.DeleteOperation", f"{OPEN}.Watch"} <= names
    assert names >= set(ours())


def ours() -> Iterator[str]:
    for module in (health_pb2, metrics_pb2, operations_pb2, migrate_pb2, backup_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from (method.full_name for method in service.methods)


async def test_a_client_certificate_instead(certificates, databases, kept, tmp_path_factory):
    """Known names get in; others of the same authority do not; strangers do not even get TLS."""
    config = ServerConfig(
        grpc_listen="127.0.0.1:0", tls=certificates.config(client_ca=certificates.ca)
    )
    auth = AuthConfig(
        certificates={
            "ops.example": CertificateConfig(role="ADMIN"),
            "spiffe://example/ci": CertificateConfig(databases={"main": "VIEWER"}),
            "Dashboard": CertificateConfig(role="VIEWER"),
        },
        open_services=(),
    )
    rpc = RpcServer(config, databases, kept.telemetry, access=Access.load(config, auth))
    port = await rpc.start()
    databases.accept()
    method = descriptor_pool.Default().FindMethodByName("dbops.v1.HealthService.GetHealth")
    request = message_factory.GetMessageClass(method.input_type)(name="databases/other")

    async def ask(client: tuple[bytes, bytes] | None) -> Answer | None:
        credentials = certificates.channel_credentials(client)
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            return await call(channel, method, request, None)

    async def reason(*names: str, common_name: str | None = None) -> str:
        answer = await ask(certificates.issue(*names, common_name=common_name))
        return answer.reason if answer else ""

    assert await reason("ops.example") == ""
    assert await reason("x.example", common_name="Dashboard") == ""
    assert await reason("spiffe-less.example") == "CERTIFICATE_UNKNOWN"
    assert await reason("Dashboard@example.org") == "CERTIFICATE_UNKNOWN"
    for stranger in (None, Certificates(tmp_path_factory.mktemp("other")).issue("ops.example")):
        credentials = certificates.channel_credentials(stranger)
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/dbops.v1.HealthService/GetHealth")(b"", timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await rpc.stop(0)
