"""Every hostile file through the `dbops` command; a judge written apart from the importer decides.

Each is imported as the command does it by default, and, where that fails, once more with the bad
rows kept apart.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Answer, database, run, wait_until_ready
from tests.support.daemon import Daemon
from tests.support.hostile import CASES
from tests.support.hostile.case import Case
from tests.support.import_checker import complaints, look
from tests.support.judging.report import PUBLISHED
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer, PostgresServers

TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Importer:
    """A daemon with a worker, and the database that it imports into."""

    daemon: Daemon
    dsn: str
    files: Path

    def run(self, source: Path, schema: str, *options: str) -> tuple[Answer, dict[str, Any]]:
        """`dbops import run`, with its report."""
        answer = run(
            *("dbops", "import", "run", str(source), "--database", "main"),
            *("--schema", schema, "--output", "json", *options),
            timeout=TIMEOUT_S,
            DBOPS_SERVER=self.daemon.grpc_address,
        )
        assert answer.code in (0, 1), answer.err
        return answer, json.loads(answer.out)


@pytest.fixture(scope="module")
def importer(servers: PostgresServers, server: PostgresServer) -> Iterator[Importer]:
    files = new_directory("dbopsd-hostile-")
    name = server.create_database()
    dsn = server.dsn(dbname=name)
    config = database("main", dsn, f"import_roots = [{json.dumps(str(files))}]")
    with Daemon(config, server={"workers": 1}) as running:
        wait_until_ready(running.wait_until_serving())
        yield Importer(running, dsn, files)


def _digests(source: Path) -> dict[str, str]:
    found = source.parent.glob("*")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_everything_arrives_or_is_told_of(importer: Importer, case: Case) -> None:
    directory = importer.files / case.name
    directory.mkdir()
    source = case.make(directory)
    was = _digests(source)
    for schema, options in ((case.name, ()), (f"{case.name}_q", ("--on-bad-rows", "quarantine"))):
        before = look(importer.dsn, schema)
        answer, report = importer.run(source, schema, *options)
        assert _digests(source) == was, "the source was changed"
        assert answer.code == (0 if report["outcome"] in PUBLISHED else 1), answer.err
        found = complaints(source, importer.dsn, schema, report, before, impossible=case.impossible)
        assert found == [], report.get("problem")
        if report["outcome"] in PUBLISHED:
            return
    assert case.impossible, f"it fails with its bad rows kept apart: {report['problem']}"
