"""How many `Health.Check` calls the whole daemon answers, against grpc.aio with nothing around it.

Several servers and one client process, in turn within each round.
"""

from bench.measurement import Measurement, Row, at_least
from bench.rounds import Server, measure_in_turn, rate_row, ratio_row
from bench.workbench import Workbench

_SERVING_S = 30.0
# Of one span, encoded: far below what one takes, far above what the prober's own come to.
_LEAST_SPAN_BYTES = 100


def _run(bench: Workbench) -> list[Row]:
    dsn = bench.postgres().dsn()
    bare_server = bench.child("bare_server")
    bare = Server(bare_server.ask("target"), bare_server.pid)
    sink = bench.child("otlp_sink")
    endpoint = sink.ask("endpoint")
    # Health checks get a span each only when asked to: here they are.
    traced = _daemon(
        bench, dsn, TELEMETRY__OTLP_ENDPOINT=endpoint, TELEMETRY__TRACE_HEALTH_CHECKS="true"
    )
    usual = _daemon(bench, dsn, TELEMETRY__OTLP_ENDPOINT=bench.otlp_sink())
    silent = _daemon(bench, dsn)
    client = bench.child("client")
    for server in (traced, usual, silent):
        client.ask("until_serving", target=server.target, within_s=_SERVING_S)
    measure_in_turn(bench, client, [bare, traced, usual, silent])
    span_bytes = sink.ask("received_bytes").get("traces", 0) / traced.calls
    if span_bytes < _LEAST_SPAN_BYTES:
        raise AssertionError(f"{span_bytes:.0f} bytes of spans a call: not every call was traced")
    return [
        ratio_row(
            "a span for every call, traces and metrics exported", traced, bare, at_least(0.8)
        ),
        ratio_row("exporting, probes without a span (as it comes)", usual, bare),
        ratio_row("no OTLP endpoint", silent, bare),
        rate_row("bare grpc.aio", bare),
        rate_row("a span for every call", traced, f"{span_bytes:.0f} bytes of spans a call"),
        rate_row("exporting, as it comes", usual),
        rate_row("no OTLP endpoint", silent),
    ]


def _daemon(bench: Workbench, dsn: str, **settings: str) -> Server:
    state_dir = bench.directory("state") / "state"
    # Without workers: those of three daemons beside it would take from what the fourth can do.
    daemon = bench.daemon(state_dir, DATABASES__MAIN__DSN=dsn, SERVER__WORKERS="0", **settings)
    return Server(daemon.target, daemon.pid)


MEASUREMENT = Measurement("Health.Check calls/s against a bare grpc.aio handler", _run)
