"""The log's formats, levels and redaction."""

import io
import json
import logging
import time

import pytest
from opentelemetry import trace

from dbopsd.config import TelemetryConfig
from dbopsd.telemetry.log import set_up_logging
from dbopsd.telemetry.redact import redact
from dbopsd.telemetry.setup import start_telemetry

TOKEN = "dbops_" + "aB3_-xYz" * 5 + "Qw7"
# RFC 7519's own example.
JWT = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)


@pytest.fixture
def stream():
    """Where the log goes; the process's own set-up comes back after the test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {
        name: logger.level
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    yield io.StringIO()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)


@pytest.fixture
def set_up(stream):
    def call(**keys):
        set_up_logging(TelemetryConfig(**keys), stream=stream)
        return logging.getLogger("dbopsd.test")

    return call


def test_text_is_a_line_with_time_level_and_logger(set_up, stream):
    set_up().info("pool of %d", 3)
    time, rest = stream.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == "INFO dbopsd.test: pool of 3\n"


def test_json_is_an_object_a_line(set_up, stream):
    set_up(log_format="json").warning("two\nlines", extra={"database": "main"})
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("Z")
    assert entry == {
        "level": "warning",
        "logger": "dbopsd.test",
        "message": "two\nlines",
        "database": "main",
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_span_is_named_while_there_is_one(set_up, stream, log_format):
    log = set_up(log_format=log_format)
    tracer = start_telemetry(TelemetryConfig(), version="1").tracer
    with tracer.start_as_current_span("one") as span:
        log.info("within")
    log.info("outside")
    within, outside = stream.getvalue().splitlines()
    context = span.get_span_context()
    for text in (trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)):
        assert text in within
    if log_format == "json":
        assert json.loads(within)["trace_id"] == trace.format_trace_id(context.trace_id)
        assert "trace_id" not in json.loads(outside)
    else:
        assert "trace=" not in outside


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_comes_along_redacted(set_up, stream, log_format):
    log = set_up(log_format=log_format)
    try:
        raise ValueError("postgresql://app:hunter2@db/x")
    except ValueError:
        log.exception("password=hunter2")
    text = stream.getvalue()
    if log_format == "json":
        entry = json.loads(text)
        assert entry["message"] == "password=***"
        text = entry["exception"]
    assert "Traceback" in text
    assert "ValueError: postgresql://app:***@db/x" in text
    assert "hunter2" not in stream.getvalue()


def test_an_extra_with_a_telling_name_is_redacted(set_up, stream):
    set_up(log_format="json").info("x", extra={"password": "hunter2", "dsn": "host=a pwd=hunter2"})
    entry = json.loads(stream.getvalue())
    assert (entry["message"], entry["password"]) == ("x", "***")
    assert entry["dsn"].startswith("host=a pwd=")
    assert "hunter2" not in stream.getvalue()


def test_a_line_break_cannot_pass_for_a_line(set_up, stream):
    set_up().info("one\n2026-01-01T00:00:00.000Z ERROR forged: two\r")
    assert len(stream.getvalue().splitlines()) == 1


def test_levels_and_quiet_libraries(set_up, stream):
    log = set_up(log_level="info")
    log.debug("hidden")
    logging.getLogger("psycopg.pool").info("hidden")
    logging.getLogger("grpc._cython").info("hidden")
    logging.getLogger("grpc._cython").warning("gRPC")
    # One for each attempt to connect while a server is away.
    logging.getLogger("psycopg.pool").warning("hidden")
    logging.getLogger("psycopg.pool").error("pool")
    log.info("mine")
    lines = [line.rsplit(": ")[-1] for line in stream.getvalue().splitlines()]
    assert lines == ["gRPC", "pool", "mine"]


def test_debug_opens_the_libraries_too(set_up, stream):
    set_up(log_level="debug")
    logging.getLogger("psycopg.pool").info("pool")
    assert "pool" in stream.getvalue()


def test_error_closes_everything_below(set_up, stream):
    set_up(log_level="error").warning("x")
    logging.getLogger("psycopg.pool").warning("x")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:hunter2@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgres://u:hunt%40er2@h/d?x=1", "postgres://u:***@h/d?x=1"),
        ("postgresql://u:a@hunter2@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:hunter2@h", "postgresql://:***@h"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("https://h:4317/v1/traces", "https://h:4317/v1/traces"),
        ("host=h password=hunter2 dbname=d", "host=h password=*** dbname=d"),
        ("password = 'hunter 2\\'s' user=u", "password = *** user=u"),
        ("PGPASSWORD=hunter2", "PGPASSWORD=***"),
        ("sslpassword=hunter2", "sslpassword=***"),
        ("{'password': 'hunter2', 'a': 1}", "{'password': ***, 'a': 1}"),
        ('{"password":"hunter2"}', '{"password":***}'),
        ("?password=hunter2&x=1", "?password=***&x=1"),
        ("Authorization: Bearer hunter2.x-y", "Authorization: Bearer ***"),
        ("('authorization', 'Basic aHVudGVyMg==')", "('authorization', 'Basic ***')"),
        ("api_key=hunter2", "api_key=***"),
        ("ALTER ROLE u PASSWORD 'hunter2'", "ALTER ROLE u PASSWORD ***"),
        (f"the file says {TOKEN}, which", "the file says dbops_***, which"),
        (f"got '{JWT}'", "got '***'"),
        (f"https://h/?jwt={JWT}", "https://h/?jwt=***"),
        ("dbops_client and eyelid.eyes.shut", "dbops_client and eyelid.eyes.shut"),
        ("no secret here: a=1", "no secret here: a=1"),
    ],
)
def test_credentials_are_struck_out(text, expected):
    assert redact(text) == expected


def test_redacting_is_quick_on_hostile_text():
    """A pattern that backtracks would hold the event loop up."""
    text = "postgresql://" + "a:" * 20_000 + "password" * 5_000 + "'" * 10_000
    text += "dbops_" * 10_000 + "." + "ey-" * 20_000 + "." + "eyabcdefgh.eyabcd." * 5_000
    started = time.thread_time()
    redact(text)
    assert time.thread_time() - started < 1
