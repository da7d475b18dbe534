"""The embedded PostgreSQL in a configuration: its pool, thresholds, schedules and imports."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import run, wait_until_ready
from tests.support.daemon import Daemon
from tests.support.dbops_command import check_config

CONFIG = """
[databases.app]
health.thresholds.connections = { warning = 0.31, critical = 0.95 }
health.thresholds.storage = { warning = 1, critical = 1 }
import_roots = ["ROOTS"]

[databases.app.pool]
max_size = 7

[databases.app.schedules.nightly]
kind = "verify-import"
cron = "0 3 * * *"
request = { operation = "operations/none" }
"""


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    return tmp_path / "roots"


@pytest.fixture
def running(roots: Path) -> Iterator[Daemon]:
    with Daemon(CONFIG.replace("ROOTS", str(roots)), server={"workers": 1}) as daemon:
        # Making a server takes most of a first start.
        yield daemon.wait_until_serving(120)


@pytest.mark.thorough
def test_every_key_of_a_database_works_for_the_embedded_one(
    running: Daemon, roots: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    for directory in (roots, outside):
        directory.mkdir()
        with sqlite3.connect(directory / "app.db") as source:
            source.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
            source.execute("INSERT INTO notes VALUES (1, 'kept')")
        source.close()
    wait_until_ready(running)

    def dbops(*arguments: str) -> tuple[int, dict[str, object]]:
        answer = run(
            "dbops", *arguments, "--output=json", timeout=60, DBOPS_SERVER=running.grpc_address
        )
        return answer.code, json.loads(answer.out)

    _, listed = dbops("databases", "list")
    (found,) = listed["databases"]  # type: ignore[misc]
    assert (found["name"], found["embedded"]) == ("databases/app", True)
    _, health = dbops("health", "app")
    checks = {each["check"]: each for each in health["checks"]}  # type: ignore[attr-defined]
    assert checks["connections"]["warningThreshold"] == 0.31
    assert "of 7" in checks["pool_use"]["message"]
    _, schedules = dbops("schedules", "list")
    (schedule,) = schedules["schedules"]  # type: ignore[misc]
    assert schedule["name"] == "databases/app/schedules/nightly"

    code, report = dbops("import", "run", str(roots / "app.db"), "--database=app", "--schema=app")
    assert (code, report["outcome"]) == (0, "SUCCEEDED")
    refused = run(
        "dbops",
        *("import", "run", str(outside / "app.db"), "--database=app", "--schema=other"),
        timeout=60,
        DBOPS_SERVER=running.grpc_address,
    )
    assert refused.code != 0
    assert "PATH_OUTSIDE_ROOTS" in refused.err


def test_a_worker_of_its_own_is_told_that_it_cannot_have_it(tmp_path: Path) -> None:
    file = tmp_path / "dbopsd.toml"
    file.write_text(f"[server]\nstate_dir = '{tmp_path}'\n[databases.app]\n")
    assert "databases: app (embedded)" in check_config(file).out
    answer = run("dbopsd", "worker", "--config", str(file), timeout=60)
    assert answer.code == 2
    assert answer.err.splitlines()[-1] == (
        "dbopsd: databases.app: has no dsn, and only `dbopsd serve` has workers for its embedded "
        "PostgreSQL: give it a dsn"
    )
