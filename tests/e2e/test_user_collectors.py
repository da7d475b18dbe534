"""Collectors of a user's own in a running daemon, and the operations that it counts."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbops_client import DbopsClient

from tests.e2e.conftest import database, run
from tests.support.daemon import Daemon
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer
from tests.support.user_collector_files import user_collector

ROLE = "collector_of_my_own"


@pytest.fixture
def daemon(server: PostgresServer, tmp_path: Path) -> Iterator[Daemon]:
    server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'secret'")
    (tmp_path / "password").write_text("secret\n")
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.sql").write_text(user_collector("mine", "SELECT 7 AS n"))
    (own / "broken.sql").write_text(user_collector("broken", "COMMIT"))
    config = (
        f'[metrics]\ncollectors_dir = "{own}"\nrole = "{ROLE}"\n'
        f'role_password_file = "{tmp_path}/password"\n'
        + database("main", server.dsn(), "metrics.interval_s = 1\n")
    )
    with Daemon(config) as running:
        yield running.wait_until_serving()
    server.execute(f"DROP ROLE {ROLE}")


def test_they_are_listed_sampled_and_judged_as_those_of_the_daemon(
    daemon: Daemon, tmp_path: Path
) -> None:
    sqlite3.connect(tmp_path / "app.db").execute("CREATE TABLE t (a)")
    planned = run(
        *("dbops", "import", "run", str(tmp_path / "app.db"), "--database", "main", "--no-wait"),
        DBOPS_SERVER=daemon.grpc_address,
    )
    assert planned.code == 0, planned.err
    with DbopsClient(daemon.grpc_address) as client:

        def value(metric: str) -> float | None:
            return next(
                (each.value for each in client.metrics.get("main", metrics=[metric]).samples), None
            )

        assert eventually_blocking(lambda: value("mine_value"), 30) == 7
        (mine,) = [each for each in client.metrics.list("main") if each.metric == "mine_value"]
        assert mine.collector == "mine"
        found = client.metrics.get("main")
        (broken,) = [each for each in found.collectors if each.name == "broken"]
        assert "syntax error" in broken.message

        def success() -> dict[str, float]:
            told = client.metrics.get("main", metrics=["pg_scrape_collector_success"])
            return {each.labels["collector"]: each.value for each in told.samples}

        # How collectors do is told a moment after they ran.
        eventually_blocking(lambda: {"mine", "broken"} <= success().keys())
        assert (success()["mine"], success()["broken"]) == (1.0, 0.0)
        # Nobody runs it here. Operations are counted a while after the start.
        eventually_blocking(lambda: value("dbops_operations") is not None, 60)
        counted = client.metrics.get("main", metrics=["dbops_operations"]).samples
        numbers = {(each.labels["kind"], each.labels["state"]): each.value for each in counted}
        assert {each: n for each, n in numbers.items() if n} == {("run-import", "QUEUED"): 1}
        assert numbers["verify-import", "FAILED"] == 0
