"""Two replicas and ten clients apply the same folder to the same database at once."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import Answer, database, run, wait_until_ready
from tests.support.daemon import Daemon
from tests.support.servers import PostgresServer

_CLIENTS = 10
_FILES = {
    "001_users": "CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    "002_by_email": """-- dbops: transaction=off
        CREATE INDEX CONCURRENTLY users_by_email ON users (email);
        CREATE UNIQUE INDEX CONCURRENTLY users_by_id_and_name ON users (id, name);
        """,
    "003_posts": """
        CREATE TABLE posts (id bigint PRIMARY KEY, author bigint NOT NULL REFERENCES users);
        CREATE INDEX posts_by_author ON posts (author);
        """,
    "004_by_name": """-- dbops: transaction=off
        CREATE INDEX CONCURRENTLY users_by_name ON users (name);
        """,
}
_DONE = """
  SELECT version, count(*), bool_and(result = 'done' AND statements_done = statements)
  FROM dbops.migration_runs GROUP BY version ORDER BY version
"""
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


@pytest.mark.thorough
def test_each_migration_runs_once_and_every_client_ends_well(
    server: PostgresServer, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    for name, text in _FILES.items():
        (tmp_path / f"{name}.sql").write_text(text)
    target = server.create_database()
    config = database(
        "main", server.dsn(dbname=target), f"migrations_dir = {json.dumps(str(tmp_path))}"
    )
    replicas = [start_daemon(config, server={"workers": 1}) for _ in range(2)]
    for replica in replicas:
        wait_until_ready(replica)

    def apply(number: int) -> Answer:
        replica = replicas[number % len(replicas)]
        environment = {"DBOPS_SERVER": replica.grpc_address}
        command = ("dbops", "migrate", "apply", "main", "--output", "json")
        return run(*command, timeout=120, **environment)

    with ThreadPoolExecutor(_CLIENTS) as clients:
        answers = list(clients.map(apply, range(_CLIENTS)))
    assert [answer.code for answer in answers] == [0] * _CLIENTS, answers
    reports = [json.loads(answer.out) for answer in answers]
    assert {report["outcome"] for report in reports} <= {"SUCCEEDED", "NOTHING_TO_DO"}
    done = [each["version"] for report in reports for each in report.get("migrations", [])]
    assert sorted(done) == ["001", "002", "003", "004"]
    assert server.execute(_DONE, target) == [(version, 1, True) for version in sorted(done)]
    assert server.execute(_INVALID, target) == []
