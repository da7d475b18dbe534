"""The copy of the log that goes to a collector."""

import time

import pytest

from dbopsd.config import AuditConfig, TelemetryConfig
from dbopsd.security.audit.factory import configured_journal
from dbopsd.telemetry.setup import start_telemetry
from tests.support.auditlog import call, lines_of, refused, result

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
async def test_each_record_arrives_with_its_line(otlp, tmp_path, protocol):
    telemetry = start_telemetry(
        TelemetryConfig(
            otlp_endpoint=otlp.grpc_endpoint if protocol == "grpc" else otlp.http_endpoint,
            otlp_protocol=protocol,
        ),
        version="1",
        logs=True,
    )
    journal = configured_journal(AuditConfig(otlp=True), tmp_path, telemetry.logger)
    await journal.start()
    await journal.append(call(1, trace_id=TRACE_ID, time="2026-01-02T03:04:05.000006Z"))
    await journal.append(result(1, trace_id=TRACE_ID))
    await journal.append(refused(2, reason="ROLE_MISSING"))
    await journal.stop()
    await telemetry.shutdown(5)
    lines = [line.decode().rstrip("\n") for line in lines_of(tmp_path / "audit" / "audit.jsonl")]
    assert [log.body for log in otlp.logs()] == lines
    assert [log.event.removeprefix("dbops.audit.") for log in otlp.logs()] == [
        "header",
        "call",
        "result",
        "refused",
    ]
    _, first, _, last = otlp.logs()
    assert first.trace_id == TRACE_ID
    assert first.raw.time_unix_nano == 1_767_323_045_000_006_000
    assert first.attributes["dbops.audit.sequence"] == 2
    assert first.attributes["dbops.audit.caller"] == "ann"
    assert first.attributes["dbops.audit.resource.parent"] == "databases/main"
    assert first.attributes["dbops.audit.validate_only"] is False
    assert first.resource["service.name"] == "dbopsd"
    assert (last.raw.severity_text, last.trace_id) == ("WARN", "")
    assert last.attributes["dbops.audit.reason"] == "ROLE_MISSING"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
async def test_a_collector_that_fails_or_hangs_refuses_no_call(otlp, tmp_path, protocol, caplog):
    telemetry = start_telemetry(
        TelemetryConfig(
            otlp_endpoint=otlp.grpc_endpoint if protocol == "grpc" else otlp.http_endpoint,
            otlp_protocol=protocol,
        ),
        version="1",
        logs=True,
    )
    otlp.fail()
    journal = configured_journal(AuditConfig(otlp=True), tmp_path, telemetry.logger)
    await journal.start()
    started = time.monotonic()
    for number in range(3000):  # more than the exporter's queue holds
        journal.submit(call(number))
    await journal.append(result(1))
    assert time.monotonic() - started < 5
    await journal.stop()
    await telemetry.shutdown(0.3)
    assert len(lines_of(tmp_path / "audit" / "audit.jsonl")) == 3002
    ours = [each for each in caplog.records if not each.name.startswith("opentelemetry")]
    assert len([each for each in ours if "not exported" in each.getMessage()]) == 1


async def test_nothing_is_sent_unless_asked_for(otlp, tmp_path):
    config = TelemetryConfig(otlp_endpoint=otlp.grpc_endpoint)
    assert start_telemetry(TelemetryConfig(), version="1", logs=True).logger is None
    telemetry = start_telemetry(config, version="1", logs=True)
    journal = configured_journal(AuditConfig(), tmp_path, telemetry.logger)
    await journal.start()
    await journal.append(call(1))
    await journal.stop()
    await telemetry.shutdown(5)
    assert otlp.logs() == []
