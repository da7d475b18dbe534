"""The history of a running daemon, which is killed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from dbops_client import DbopsClient

from tests.e2e.conftest import database, run
from tests.support.daemon import Daemon
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

METRIC = "pg_up"


def points(daemon: Daemon, since: datetime) -> dict[int, float]:
    """The values of `pg_up` by the second."""
    with DbopsClient(daemon.grpc_address) as client:
        found = client.metrics.history("main", METRIC, start=since, step_s=1)
    return {each.time.seconds: each.value for series in found.series for each in series.points}


def test_a_daemon_that_is_killed_has_its_history_but_for_the_last_tick(
    start_daemon: Callable[..., Daemon], server: PostgresServer, tmp_path: Path
) -> None:
    config = database("main", server.dsn(), "metrics.interval_s = 1\n")
    began = datetime.now(UTC)
    first = start_daemon(config, state_dir=tmp_path / "state")
    path = tmp_path / "state" / "metrics" / "history.db"
    eventually_blocking(lambda: len(points(first, began)) >= 2, 60, "two ticks are recorded")
    before = points(first, began)
    first.kill()
    assert path.stat().st_mode & 0o777 == 0o600
    second = start_daemon(config, state_dir=tmp_path / "state")
    eventually_blocking(lambda: len(points(second, began)) > len(before) + 1, 60, "it goes on")
    after = points(second, began)
    assert before.items() <= after.items()
    assert 1.0 in after.values()
    answer = run(
        *("dbops", "--server", second.grpc_address, "metrics", "history", "main", METRIC),
        *("--since", "10m", "--step", "10s", "--output", "json"),
    )
    assert answer.code == 0, answer
    assert len(json.loads(answer.out)["series"][0]["points"]) >= 3
    nothing = run("dbops", "--server", second.grpc_address, "metrics", "history", "main", "nope")
    assert nothing.code == 3
    assert "has no metric 'nope'" in nothing.err
    # Two days of history are needed, and there is half a minute of it.
    trends = run("dbops", "--server", second.grpc_address, "metrics", "trends", "main")
    assert (trends.code, trends.out) == (0, "The history shows no trend.\n"), trends
