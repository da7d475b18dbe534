"""Real PostgreSQL servers for tests: shared ones, and disposable ones to do harm to."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from dbopsd.db.server.account import ServerAccount, server_account
from dbopsd.db.server.cluster import Cluster, StopMode
from dbopsd.db.server.installation import Installation, reachable
from dbopsd.db.server.leftovers import server_processes
from dbopsd.db.server.process import Completed, run
from tests.support import serverlog
from tests.support.installations import has_contrib, installation
from tests.support.loopthread import LoopThread
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory

Settings = Mapping[str, str | int | bool]

TEST_SETTINGS: Settings = {
    "fsync": False,
    "full_page_writes": False,
    "max_connections": 200,
    "shared_buffers": "64MB",
    "max_wal_senders": 10,
    "max_replication_slots": 10,
    "wal_level": "replica",
    "track_io_timing": True,
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_statement": "all",
    "log_line_prefix": serverlog.LOG_LINE_PREFIX,
    # Several of these run on two cores: no helpers that no test needs.
    "max_parallel_workers_per_gather": 0,
    "max_logical_replication_workers": 0,
}


class PostgresServer:
    """One server. Its methods block; from a coroutine that must go on, use asyncio.to_thread."""

    def __init__(self, cluster: Cluster, thread: LoopThread) -> None:
        self.cluster = cluster
        self._thread = thread
        self._templates: dict[str, str] = {}

    @property
    def version(self) -> int:
        return self.cluster.installation.major

    @property
    def has_contrib(self) -> bool:
        return has_contrib(self.cluster.installation)

    @property
    def bin_dir(self) -> Path:
        return self.cluster.installation.bin_dir

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return self.cluster.port

    @property
    def log_path(self) -> Path:
        return self.cluster.log_path

    @property
    def data_dir(self) -> Path:
        return self.cluster.data_dir

    @property
    def running(self) -> bool:
        return self.cluster.running

    @property
    def pid(self) -> int | None:
        return self.cluster.pid

    def dsn(self, **parameters: str | int) -> str:
        """The superuser's DSN to database `postgres`; `parameters` are libpq's."""
        return self.cluster.dsn(**parameters)

    def start(self) -> None:
        self._thread.run(self.cluster.start(timeout_s=60))

    def stop(self, mode: StopMode = "fast") -> None:
        self.resume()
        self._thread.run(self.cluster.stop(mode, timeout_s=20))

    def kill(self, *, postmaster_only: bool = False) -> None:
        """SIGKILL to every process of the server, or to the postmaster; returns once it is dead."""
        victims = [self.pid] if postmaster_only else [self.pid, *self.processes()]
        self._signal([pid for pid in victims if pid], signal.SIGKILL)
        self._thread.run(self.cluster.wait())

    def pause(self) -> None:
        """SIGSTOP to every process: connections open and hang, nothing answers."""
        # The postmaster first, or it would fork a backend behind our back.
        if self.pid:
            self._signal([self.pid], signal.SIGSTOP)
        self._signal(self.processes(), signal.SIGSTOP)
        # A process that is running stops a moment after the signal.
        eventually_blocking(
            lambda: all(_is_stopped(pid) for pid in self.processes()), what="every process stopped"
        )

    def resume(self) -> None:
        self._signal(self.processes(), signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def processes(self) -> list[int]:
        """The postmaster and everything that it has forked."""
        return server_processes(self.data_dir)

    def execute(self, statement: str, dbname: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements as the superuser, outside a transaction; the last one's rows."""
        dsn = self.dsn(dbname=dbname, application_name="tests.support")
        with psycopg.connect(dsn, autocommit=True) as connection:
            cursor = connection.execute(statement)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def terminate_backends(self, application_name: str | None = None) -> int:
        """Terminate the client backends (of that name) and see them gone; how many there were."""
        dsn = self.dsn(application_name="tests.support")
        with psycopg.connect(dsn, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                " AND (%(name)s::text IS NULL OR application_name = %(name)s)",
                {"name": application_name},
            ).fetchall()
        return len(rows)

    def log_text(self) -> str:
        """All that the server has logged. A statement is there before its answer is sent."""
        return self.log_path.read_text(errors="replace")

    def statements_logged(
        self, application_name: str | None = None, *, database: str | None = None
    ) -> list[serverlog.LoggedStatement]:
        """The statements executed (by that application, in that database), in order."""
        return [
            statement
            for statement in serverlog.statements(self.log_text())
            if application_name in (None, statement.application)
            and database in (None, statement.database)
        ]

    def create_database(self, template_sql: str = "", *, prefix: str = "test_") -> str:
        """A new database, filled by `template_sql` once a server and copied from then on."""
        name = f"{prefix}{uuid.uuid4().hex[:16]}"
        template = self._template(template_sql) if template_sql else "template0"
        self._copy_database(name, template)
        return name

    def drop_database(self, name: str) -> None:
        dsn = self.dsn(application_name="tests.support")
        with psycopg.connect(dsn, autocommit=True) as connection:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))

    def _template(self, template_sql: str) -> str:
        key = hashlib.sha256(template_sql.encode()).hexdigest()[:16]
        if key not in self._templates:
            name = f"template_{key}"
            self._copy_database(name, "template0")
            self.execute(template_sql, dbname=name)
            self._templates[key] = name
        return self._templates[key]

    def _copy_database(self, name: str, template: str) -> None:
        dsn = self.dsn(application_name="tests.support")
        with psycopg.connect(dsn, autocommit=True) as connection:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    @staticmethod
    def _signal(pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def _is_stopped(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] in ("T", "Z")


class PostgresServers:
    """All servers of a test session, in a directory that the server's account can reach.

    A version's data directory is made by initdb once and copied for each server.
    """

    def __init__(self) -> None:
        self._root = new_directory("dbopsd-tests-")
        self._thread = LoopThread("postgres servers")
        self._installations: dict[int, Installation] = {}
        self._templates: dict[int, Path] = {}
        self._shared: dict[int, PostgresServer] = {}
        self._servers: list[PostgresServer] = []

    def installation(self, major: int) -> Installation:
        if major not in self._installations:
            self._installations[major] = self._thread.run(installation(major))
        return self._installations[major]

    def shared(self, major: int) -> PostgresServer:
        """The session's server of a version. Leave it as it was: others use it too."""
        if major not in self._shared:
            self._shared[major] = self.disposable(major)
        return self._shared[major]

    def disposable(
        self, major: int, settings: Settings | None = None, *, started: bool = True
    ) -> PostgresServer:
        """A server of one's own. `discard` it, or it stays until the session's end."""
        directory = self._new_directory(f"pg{major}")
        subprocess.run(
            ["cp", "--archive", "--reflink=auto", f"{self._template(major)}/.", str(directory)],
            check=True,
        )
        return self._server(directory, major, settings, started=started)

    def stranger(self, major: int, settings: Settings | None = None) -> PostgresServer:
        """A server of one's own of another cluster: the others share a system identifier."""
        directory = self._new_directory(f"pg{major}-stranger")
        cluster = Cluster(directory, self._reachable(major))
        self._thread.run(cluster.initialise(durable=False))
        return self._server(directory, major, settings)

    def standby(
        self, primary: PostgresServer, *, port: int, slot: str, settings: Settings | None = None
    ) -> PostgresServer:
        """A streaming standby by pg_basebackup, following the primary through `port`."""
        directory = self._new_directory(f"pg{primary.version}-standby")
        account = self._thread.run(server_account(primary.data_dir))
        shutil.copy(primary.cluster.passfile, directory / "pgpass")
        # The standby's own account reads this one, at every reconnection.
        own_pass = directory / "primary.pgpass"
        shutil.copy(primary.cluster.passfile, own_pass)
        data = directory / "data"
        data.mkdir(mode=0o700)
        for path in (own_pass, data):
            os.chown(path, account.uid, account.gid)
        conninfo = primary.dsn(port=port, passfile=str(own_pass), application_name=slot)
        done = self.run_tool(
            primary,
            "pg_basebackup",
            *("--dbname", conninfo, "--pgdata", str(data), "--write-recovery-conf"),
            *("--create-slot", "--slot", slot, "--wal-method=stream", "--checkpoint=fast"),
            "--no-sync",
            account=account,
        )
        assert done.exit_status == 0, done.output
        return self._server(directory, primary.version, settings)

    def run_tool(
        self, server: PostgresServer, tool: str, *arguments: str, account: ServerAccount
    ) -> Completed:
        """Run one of the server's programs as the account."""
        program = server.cluster.installation.tool(tool)
        return self._thread.run(run(program, *arguments, account=account))

    def directory(self, name: str) -> Path:
        """A new directory that the server's account can pass through, gone after the session."""
        return self._new_directory(name)

    def discard(self, server: PostgresServer) -> None:
        server.stop("immediate")
        self._servers.remove(server)
        shutil.rmtree(server.data_dir.parent)

    def close(self) -> None:
        for server in self._servers:
            server.stop("immediate")
        self._thread.close()
        shutil.rmtree(self._root)

    def _server(
        self, directory: Path, major: int, settings: Settings | None, *, started: bool = True
    ) -> PostgresServer:
        defaults: dict[str, str | int | bool] = dict(TEST_SETTINGS)
        if has_contrib(self.installation(major)):
            defaults["shared_preload_libraries"] = "pg_stat_statements"
        cluster = Cluster(
            directory, self.installation(major), settings={**defaults, **(settings or {})}
        )
        server = PostgresServer(cluster, self._thread)
        self._servers.append(server)
        if started:
            server.start()
        return server

    def _template(self, major: int) -> Path:
        if major not in self._templates:
            directory = self._new_directory(f"template{major}")
            cluster = Cluster(directory, self._reachable(major))
            self._thread.run(cluster.initialise(durable=False))
            self._templates[major] = directory
        return self._templates[major]

    def _reachable(self, major: int) -> Installation:
        """One copy for all servers, should the virtual environment be in a 0700 home."""
        account = self._thread.run(server_account(self._root / "nothing"))
        copies = self._root / f"installation{major}"
        made = self._thread.run(reachable(self.installation(major), account, copies))
        self._installations[major] = made
        return made

    def _new_directory(self, name: str) -> Path:
        directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._root))
        directory.chmod(0o711)
        return directory
