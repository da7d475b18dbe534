"""What the audit log has of calls, and what becomes of calls when it cannot be written."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.longrunning import operations_pb2

from dbopsd.config import AuditConfig, AuthConfig, ServerConfig
from dbopsd.errors import DatabaseNotFound
from dbopsd.rpc.server import RpcServer
from dbopsd.security.access import Access
from dbopsd.security.audit.factory import configured_journal
from dbopsd.security.audit.verify import verify
from dbopsd.security.tokens import hash_token, new_token
from tests.support.patience import eventually
from tests.unit.rpc.answers import answer_of, refused
from tests.unit.rpc.boards import NOW, board
from tests.unit.rpc.vault import PACKAGE, Vault, VaultRequest

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACED = ("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01")
ADMIN, VIEWER = new_token(), new_token()
# By who holds it: a token in the name of a test would be another in each process that runs some.
TOKENS = {"admin": ADMIN, "viewer": VIEWER, "stranger": "dbops_wrong", "nobody": ""}


@dataclass
class Audited:
    channel: grpc.aio.Channel
    vault: Vault
    log: Path

    def unary(self, name, request, *metadata, token=ADMIN):
        metadata = [*metadata, ("authorization", f"Bearer {token}")] if token else metadata
        return self.channel.unary_unary(f"/{PACKAGE}/{name}")(
            request if isinstance(request, bytes) else request.SerializeToString(),
            metadata=metadata,
        )

    def records(self, count=None):
        """The records but the headers; `count` of them."""
        lines = [json.loads(line) for line in self.log.read_bytes().splitlines()]
        records = [line for line in lines if line["event"] != "header"]
        assert count is None or len(records) == count, records
        return records


@pytest.fixture
async def audited(kept, tmp_path) -> AsyncIterator[Audited]:
    config = ServerConfig(grpc_listen="127.0.0.1:0", state_dir=tmp_path)
    auth = AuthConfig(
        tokens={
            "ann": {"hash": hash_token(ADMIN), "role": "ADMIN"},
            "vic": {"hash": hash_token(VIEWER), "role": "VIEWER"},
        }
    )
    journal = configured_journal(AuditConfig(), tmp_path, None)
    await journal.start()
    databases, vault = board("main"), Vault()
    rpc = RpcServer(
        config,
        databases,
        kept.telemetry,
        services=[vault.service()],
        access=Access.load(config, auth),
        journal=journal,
        clock=lambda: NOW,
    )
    port = await rpc.start()
    databases.accept()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Audited(channel, vault, AuditConfig().path_in(tmp_path))
    await rpc.stop(0)
    await journal.stop()


def request(**fields):
    return VaultRequest(**{"must": "be there", "parent": "databases/main", **fields})


async def test_a_call_is_on_disk_before_its_servicer_is_called(audited):
    seen = []

    async def look(asked, context):
        seen.extend(audited.records())
        return operations_pb2.Operation(name="operations/42")

    audited.vault.work = look
    asked = request(request_id="r-1", validate_only=True, name="databases/main/backups/b-1")
    await audited.unary("Open", asked, TRACED)
    (before,) = seen
    first, last = audited.records(2)
    assert first == before
    peer = first["peer"]
    assert peer.startswith("127.0.0.1:")
    common = {
        "call": first["call"],
        "caller": "ann",
        "authenticated": "token",
        "peer": peer,
        "method": f"{PACKAGE}/Open",
        "resource": {"parent": "databases/main", "name": "databases/main/backups/b-1"},
        "request_id": "r-1",
        "validate_only": True,
        "trace_id": TRACE_ID,
    }
    chain = ("sequence", "time", "previous", "hash")
    assert {key: value for key, value in first.items() if key not in chain} == {
        **common,
        "event": "call",
    }
    assert {key: value for key, value in last.items() if key not in chain} == {
        **common,
        "event": "result",
        "status": "OK",
        "reason": "",
        "operation": "operations/42",
    }
    assert verify(audited.log).whole


async def test_reads_leave_no_record(audited):
    await audited.unary("Look", request())
    await refused(audited.unary("Look", request(), token=""))
    await audited.channel.unary_unary("/dbops.v1.HealthService/ListDatabases")(
        b"", metadata=[("authorization", f"Bearer {ADMIN}")]
    )
    await refused(audited.channel.unary_unary("/no.Such/Method")(b""))
    assert audited.records() == []


@pytest.mark.parametrize(
    ("name", "asked", "holder", "caller", "status", "reason"),
    [
        ("Open", request(), "nobody", "", "UNAUTHENTICATED", "CREDENTIAL_MISSING"),
        ("Open", request(), "stranger", "", "UNAUTHENTICATED", "TOKEN_UNKNOWN"),
        ("Open", request(), "viewer", "vic", "PERMISSION_DENIED", "ROLE_MISSING"),
        ("Open", request(must=""), "admin", "ann", "INVALID_ARGUMENT", "INVALID_FIELD"),
        ("Open", b"\x0a\xff", "admin", "ann", "INVALID_ARGUMENT", "MALFORMED_REQUEST"),
        ("Unruled", request(), "admin", "ann", "PERMISSION_DENIED", "METHOD_WITHOUT_ROLE"),
    ],
    ids=["no credential", "unknown token", "role", "field", "bytes", "method without role"],
)
async def test_a_refused_call_has_one_record(audited, name, asked, holder, caller, status, reason):
    answer = await refused(audited.unary(name, asked, token=TOKENS[holder]))
    (record,) = audited.records(1)
    assert (record["event"], record["status"], record["reason"]) == ("refused", status, reason)
    assert (answer.code.name, answer.reason) == (status, reason)
    assert record["caller"] == caller
    assert record["authenticated"] == ("token" if caller else "")
    assert record["method"] == f"{PACKAGE}/{name}"
    expected = {} if isinstance(asked, bytes) else {"parent": "databases/main"}
    assert record["resource"] == expected
    assert audited.vault.calls == 0


async def test_a_refused_stream_has_one_too(audited):
    call = audited.channel.unary_stream(f"/{PACKAGE}/Drain")(request().SerializeToString())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert answer_of(caught.value).reason == "CREDENTIAL_MISSING"
    (record,) = audited.records(1)
    assert (record["event"], record["reason"]) == ("refused", "CREDENTIAL_MISSING")


async def test_an_error_of_the_servicer_is_the_result(audited):
    async def fail(asked, context):
        raise DatabaseNotFound("main")

    async def crash(asked, context):
        raise RuntimeError("the secret is squirrel")

    async def abort(asked, context):
        await context.abort(grpc.StatusCode.DATA_LOSS, "the secret is squirrel")

    for work in (fail, crash, abort):
        audited.vault.work = work
        with pytest.raises(grpc.aio.AioRpcError):
            await audited.unary("Open", request())
    # What a servicer aborts is answered before it ends.
    records = await eventually(lambda: audited.records(6))
    results = [record for record in records if record["event"] == "result"]
    assert [(result["status"], result["reason"], result["operation"]) for result in results] == [
        ("NOT_FOUND", "DATABASE_NOT_FOUND", ""),
        ("INTERNAL", "INTERNAL", ""),
        ("DATA_LOSS", "", ""),
    ]
    assert "squirrel" not in audited.log.read_text()


@pytest.mark.parametrize("deadline", [True, False])
async def test_a_call_that_is_broken_off_has_its_result(audited, deadline):
    begun = asyncio.Event()

    async def wait(asked, context):
        begun.set()
        await asyncio.sleep(60)

    audited.vault.work = wait
    metadata = [("authorization", f"Bearer {ADMIN}")]
    call = audited.channel.unary_unary(f"/{PACKAGE}/Open")(
        request().SerializeToString(), metadata=metadata, timeout=0.5 if deadline else None
    )
    await asyncio.wait_for(begun.wait(), 5)
    if not deadline:
        call.cancel()
    await asyncio.wait([asyncio.ensure_future(call.code())])
    _, last = await eventually(lambda: audited.records(2))
    assert (last["event"], last["status"]) == (
        "result",
        "DEADLINE_EXCEEDED" if deadline else "CANCELLED",
    )


async def test_every_shape_of_call_has_its_two_records(audited):
    metadata = [("authorization", f"Bearer {ADMIN}")]
    one = request().SerializeToString()

    async def requests():
        yield one

    await audited.unary("Open", request())
    await audited.channel.stream_unary(f"/{PACKAGE}/Fill")(requests(), metadata=metadata)
    drained = audited.channel.unary_stream(f"/{PACKAGE}/Drain")(one, metadata=metadata)
    assert len([response async for response in drained]) == 3
    swapped = audited.channel.stream_stream(f"/{PACKAGE}/Swap")(requests(), metadata=metadata)
    assert len([response async for response in swapped]) == 3
    records = audited.records(8)
    assert [record["event"] for record in records] == ["call", "result"] * 4
    assert [record["method"].rpartition("/")[2] for record in records[::2]] == [
        "Open",
        "Fill",
        "Drain",
        "Swap",
    ]
    for first, last in zip(records[::2], records[1::2], strict=True):
        assert first["call"] == last["call"]
        assert last["status"] == "OK"
    assert len({record["call"] for record in records}) == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"passphrase": "squirrel"},
        {"parent": "squirrel"},
        {"name": "my passphrase is squirrel"},
        {"name": "postgresql://ann:squirrel@host/db"},
        {"names": ["databases/main", "Squirrel!/squirrel"]},
        {"request_id": "squirrel squirrel"},
        {"request_id": "squirrel" * 9},
        {"must": "squirrel"},
        {"name": "databases/" + "squirrel" * 20},
    ],
)
async def test_what_is_no_name_is_not_quoted(audited, fields):
    with_all = request(**fields)
    for token in (ADMIN, VIEWER, "squirrel"):
        await asyncio.wait([asyncio.ensure_future(audited.unary("Open", with_all, token=token))])
    assert len(audited.records()) >= 3
    assert "squirrel" not in audited.log.read_text().lower()


async def test_many_names_are_counted(audited):
    names = [f"databases/d{number}" for number in range(20)]
    await audited.unary("Open", request(names=names))
    first, _ = audited.records(2)
    assert first["resource"]["names[0]"] == "databases/d0"
    assert first["resource"]["names[7]"] == "databases/d7"
    assert first["resource"]["names[]"] == "20 in all"
    assert "databases/d8" not in audited.log.read_text()


async def test_while_the_log_cannot_be_written_what_changes_something_is_refused(audited, tmp_path):
    await audited.unary("Open", request())
    audited.log.parent.rename(tmp_path / "away")
    answer = await refused(audited.unary("Open", request()))
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAVAILABLE, "AUDIT_UNAVAILABLE")
    assert str(tmp_path) not in answer.text
    call = audited.channel.unary_stream(f"/{PACKAGE}/Drain")(
        request().SerializeToString(), metadata=[("authorization", f"Bearer {ADMIN}")]
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert answer_of(caught.value).reason == "AUDIT_UNAVAILABLE"
    assert audited.vault.calls == 1
    # Who may not call at all is told so, and not more.
    assert (await refused(audited.unary("Open", request(), token=VIEWER))).reason == "ROLE_MISSING"
    # Reads go on.
    await audited.unary("Look", request())
    assert audited.vault.calls == 2
    (tmp_path / "away").rename(audited.log.parent)
    await audited.unary("Open", request())
    assert [record["event"] for record in audited.records()] == [
        "call",
        "result",
        "gap",
        "call",
        "result",
    ]
    gap = audited.records()[2]
    assert (gap["results"], gap["refused"]) == (0, 3)
    assert verify(audited.log).whole


async def test_a_result_that_cannot_be_written_takes_no_answer_away(audited, tmp_path):
    async def take_away(asked, context):
        audited.log.parent.rename(tmp_path / "away")
        return operations_pb2.Operation(name="operations/42")

    usual, audited.vault.work = audited.vault.work, take_away
    answer = await audited.unary("Open", request())
    assert operations_pb2.Operation.FromString(answer).name == "operations/42"
    (tmp_path / "away").rename(audited.log.parent)
    audited.vault.work = usual
    await audited.unary("Open", request())
    records = audited.records()
    assert [record["event"] for record in records] == ["call", "gap", "call", "result"]
    assert (records[1]["results"], records[1]["refused"]) == (1, 0)


async def test_calls_side_by_side_are_kept_apart(audited):
    async def answer(asked, context):
        await asyncio.sleep(0.001)
        return operations_pb2.Operation(name=f"operations/{asked.request_id}")

    audited.vault.work = answer
    await asyncio.gather(
        *(audited.unary("Open", request(request_id=f"r{number}")) for number in range(100))
    )
    calls: dict[str, list] = {}
    for record in audited.records(200):
        calls.setdefault(record["call"], []).append(record)
    assert len(calls) == 100
    for first, last in calls.values():
        assert (first["event"], last["event"]) == ("call", "result")
        assert last["operation"] == f"operations/{first['request_id']}"


async def test_callers_that_nobody_knows_do_not_fill_the_disk(audited):
    async def flood(token: str) -> None:
        for _ in range(10):
            await refused(audited.unary("Open", request(), token=token))

    began = time.monotonic()
    await asyncio.gather(*(flood(token) for token in ["", "dbops_wrong"] * 4))
    passed_s = time.monotonic() - began
    for number in range(20):
        await audited.unary("Open", request(request_id=f"r{number}"))
        await refused(audited.unary("Open", request(), token=VIEWER))
    records = audited.records()
    events = Counter((record["event"], record.get("caller")) for record in records)
    # Of those who are known there is everything.
    known = [("call", "ann"), ("result", "ann"), ("refused", "vic")]
    assert [events[each] for each in known] == [20, 20, 20]
    told = events["refused", ""]
    assert 10 <= told <= 11 + passed_s
    gaps = [record for record in records if record["event"] == "gap"]
    assert len(gaps) <= told + 1
    assert told + sum(gap["refused"] for gap in gaps) == 80
    assert {gap["results"] for gap in gaps} == {0}
    assert verify(audited.log).whole


async def test_without_a_journal_calls_go_through_as_they_are(kept):
    databases, vault = board("main"), Vault()
    rpc = RpcServer(
        ServerConfig(grpc_listen="127.0.0.1:0"),
        databases,
        kept.telemetry,
        services=[vault.service()],
    )
    port = await rpc.start()
    databases.accept()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.unary_unary(f"/{PACKAGE}/Open")(request().SerializeToString())
    await rpc.stop(0)
    assert vault.calls == 1
