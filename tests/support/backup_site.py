"""A database whose backups a real daemon takes, as people ask for them: by the `dbops` command."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.support.daemon import BIN, ROOT, Daemon, clean_environment, end_servers
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer

KEYS = ("k1", "k2")


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    code: int
    out: str
    err: str


@dataclass
class BackupSite:
    """A daemon with backups of `main`, and where things are. `dsn`: empty for the embedded one."""

    daemon: Daemon
    directory: Path
    config: str
    dsn: str = ""

    def start(self, config: str = "", **how: Any) -> None:
        """Another daemon in the place of this one, which has ended; by default of the same kind."""
        self.daemon.close()
        self.config = config or self.config
        self.daemon = site_daemon(self.directory, self.config, **how)

    def dbops(self, *arguments: str, timeout: float = 120) -> Ended:
        """Run `dbops backup` to its end."""
        return self.run("backup", *arguments, timeout=timeout)

    def run(self, *arguments: str, timeout: float = 120) -> Ended:
        """Run any `dbops` command to its end."""
        done = subprocess.run(
            [str(BIN / "dbops"), "--timeout", "60", *arguments],
            cwd=ROOT,
            env=clean_environment(DBOPS_SERVER=self.daemon.grpc_address),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What `dbops backup` prints as JSON."""
        answer = self.dbops(*arguments, "--output", "json")
        assert answer.code == code, f"{answer.err}{answer.out}"
        return json.loads(answer.out)

    def refused(self, *arguments: str) -> str:
        """What standard error says of a command that was refused; nothing is printed then."""
        answer = self.dbops(*arguments, "--output", "json")
        assert (answer.code, answer.out) == (3, ""), f"{answer.err}{answer.out}"
        return answer.err

    def sql(self, statement: str) -> Any:
        """The rows of a statement in the database, if it has any."""
        with psycopg.connect(self.dsn or self.daemon.embedded_dsn(), autocommit=True) as connection:
            found = connection.execute(statement)  # type: ignore[call-overload]
            return found.fetchall() if found.description else None

    def add(self, *numbers: int) -> str:
        """Commit a row of each number by itself; the xid of the last."""
        for number in numbers:
            ((xid,),) = self.sql(
                f"INSERT INTO numbers VALUES ({number}) RETURNING pg_current_xact_id()::text"
            )
        return str(xid)

    def wait_until_archived(self, timeout: float = 30) -> None:
        """Return once all WAL up to now is in the store."""
        ((lsn,),) = self.sql("SELECT pg_current_wal_flush_lsn() - '0/0'")

        def archived() -> bool:
            status = self.json("wal", "status")
            return lsn_number(status["archivedLsn"]) >= int(lsn)

        eventually_blocking(archived, timeout, "the WAL is archived")

    def restored(self, *arguments: str) -> "list[int]":
        """Restore, start, and the numbers that are there then; the server is ended."""
        directory = self.directory / f"restored-{len(list(self.directory.iterdir()))}"
        report = self.json("restore", *arguments, "--to", str(directory), "--start")
        try:
            return numbers_of(report)
        finally:
            end_servers(directory)


def lsn_number(lsn: str) -> int:
    """A position in the WAL as a number; 0 for none."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16) if low else 0


def numbers_of(report: Any) -> list[int]:
    """The numbers in a restored server, by the report of the restore."""
    with psycopg.connect(host=report["address"], user="postgres", dbname="postgres") as restored:
        return [number for (number,) in restored.execute("SELECT number FROM numbers ORDER BY 1")]


@contextmanager
def site_directory() -> Iterator[Path]:
    """A directory with keys, that the account of a restored server reaches; removed at the end."""
    directory = new_directory("dbopsd-backup-")
    directory.chmod(0o755)
    (directory / "keys").mkdir()
    for name in KEYS:
        (directory / "keys" / name).write_bytes(base64.b64encode(os.urandom(32)))
    try:
        yield directory
    finally:
        for restored in directory.glob("restored-*"):
            end_servers(restored)
        shutil.rmtree(directory)


def site_config(
    directory: Path,
    server: PostgresServer | None = None,
    *,
    dsn: str = "",
    more: str = "",
    **backup: object,
) -> str:
    """The configuration of `main`, whose `[databases.main.backup]` has these keys, too.

    `server` None: the embedded one. `more` is TOML of tables of its own.
    """
    database: dict[str, object] = {}
    if server is not None:
        database = {"dsn": dsn or server.dsn(), "pg_bin": str(server.bin_dir)}
    settings = {"store": (directory / "store").as_uri(), "wal_flush_s": 0.5, **backup}
    keys = {"current": "k1", **{name: f"file:{directory}/keys/{name}" for name in KEYS}}
    return "\n".join(
        [
            *_table("databases.main", database),
            # The disk of the machine that runs the tests is nobody's business here.
            "health.thresholds.storage = { warning = 1, critical = 1 }",
            *_table("databases.main.backup", settings),
            *_table("databases.main.backup.keys", keys),
            more,
        ]
    )


def _table(name: str, keys: Mapping[str, object]) -> list[str]:
    # A JSON scalar is a TOML scalar.
    return [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]


@contextmanager
def backup_site(
    server: PostgresServer | None = None,
    *,
    dsn: str = "",
    more: str = "",
    environment: Mapping[str, str] | None = None,
    **backup: object,
) -> Iterator[BackupSite]:
    """A daemon with one worker, once it serves."""
    with site_directory() as directory:
        config = site_config(directory, server, dsn=dsn, more=more, **backup)
        daemon = site_daemon(directory, config, environment=environment)
        site = BackupSite(daemon, directory, config, dsn or (server.dsn() if server else ""))
        try:
            yield site
        finally:
            site.daemon.close()


def site_daemon(
    directory: Path,
    config: str,
    *,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Daemon:
    """A daemon that serves, with the state of the one before it."""
    daemon = Daemon(
        config,
        server={"workers": workers, "shutdown_grace_s": 5},
        state_dir=directory / "state",
        environment=environment,
    )
    try:
        return daemon.wait_until_serving(120)
    except BaseException:
        daemon.close()
        raise
