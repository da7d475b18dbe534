"""A daemon with a worker that imports SQLite files, by the `dbops` command, and the judge of it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from tests.support.dbops_command import run_dbops
from tests.support.import_checker import complaints, look
from tests.support.judging.overrides import read_overrides
from tests.support.judging.report import PUBLISHED
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer

QUARANTINE = ("--on-bad-rows", "quarantine")


@dataclass(frozen=True)
class Imported:
    """How an import ended, and what the judge has against it."""

    code: int
    errors: str
    report: dict[str, Any]
    complaints: list[str] = field(default_factory=list)

    def check(self) -> None:
        """AssertionError with all that the judge has against it."""
        if self.complaints:
            raise AssertionError("\n".join(self.complaints))

    @property
    def published(self) -> bool:
        return self.report["outcome"] in PUBLISHED


class ImportDaemon:
    """A running daemon whose database `main` is an empty one of its own."""

    def __init__(self, daemon: Daemon, dsn: str, files: Path) -> None:
        self.daemon = daemon
        self.dsn = dsn
        self.files = files
        """Where files must be to be imported."""

    def run(
        self, source: Path, schema: str, *options: str, impossible: str = "", toml: str = ""
    ) -> Imported:
        """`dbops import run`, judged. `toml` is the mapping that the options name, if any."""
        before = look(self.dsn, schema)
        done = self.run_unjudged(source, schema, *options)
        found = complaints(
            source,
            self.dsn,
            schema,
            done.report,
            before,
            overrides=read_overrides(toml),
            impossible=impossible,
        )
        return replace(done, complaints=found)

    def run_unjudged(self, source: Path, schema: str, *options: str) -> Imported:
        """`dbops import run` alone."""
        done = run_dbops(
            *(self.daemon.grpc_address, "import", "run", str(source), "--database", "main"),
            *("--schema", schema, "--output", "json", "--timeout", "60", *options),
        )
        if done.code not in (0, 1):
            ended = self.daemon.exit_code
            log = self.daemon.log_text()[-3000:]
            raise AssertionError(f"{done.err}the daemon's exit code: {ended}; its log: {log}")
        return Imported(done.code, done.err, json.loads(done.out))

    def command(self, verb: str, operation: str) -> dict[str, Any]:
        """`dbops import verify` or `revert` of an import: its result."""
        done = run_dbops(
            *(self.daemon.grpc_address, "import", verb, operation),
            *("--output", "json", "--timeout", "60"),
        )
        if done.code:
            raise AssertionError(f"{done.err}{done.out}")
        told: dict[str, Any] = json.loads(done.out)
        return told


@contextmanager
def import_daemon(server: PostgresServer, more: str = "") -> Iterator[ImportDaemon]:
    """A daemon with one worker, on a new database of the server. `more`: keys of its table."""
    files = new_directory("dbopsd-sqlite-")
    name = server.create_database()
    dsn = server.dsn(dbname=name)
    config = (
        f"[databases.main]\ndsn = {json.dumps(dsn)}\nimport_roots = [{json.dumps(str(files))}]\n"
        f"{more}"
    )
    with Daemon(config, server={"workers": 1}) as running:
        yield ImportDaemon(running.wait_until_serving(), dsn, files)
    server.drop_database(name)
    shutil.rmtree(files)
