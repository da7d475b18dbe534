"""What backups are compared with: pgBackRest, where it is there, and a pipe of the shell.

Each compresses by zstd at level 3 with two threads or processes and encrypts by AES-256.
"""

import os
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.measurement import Row
from tests.support.servers import PostgresServer

NOT_COMPARED = Row(
    "pgBackRest: not compared", 0, "", note="not installed: apt-get install pgbackrest"
)

_TIMEOUT_S = 900.0
_PIPE = (
    'set -o pipefail; "$1/pg_basebackup" --dbname="$2" --pgdata=- --format=tar --wal-method=fetch'
    " --checkpoint=fast | zstd -3 -T2 --quiet"
    ' | openssl enc -aes-256-ctr -pbkdf2 -pass pass:bench -out "$3"'
)
_CONFIGURATION = """
[global]
repo1-path={directory}/repository
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=bench
compress-type=zst
compress-level=3
process-max=2
start-fast=y
archive-check=n
lock-path={directory}/lock
log-path={directory}/log
log-level-file=off
[main]
pg1-path={data}
pg1-port={port}
pg1-socket-path={sockets}
pg1-user=postgres
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What something has taken, of the clock and of processors."""

    wall_s: float
    cpu_s: float


class PgBackRest:
    """pgBackRest with a repository of its own for one server."""

    def __init__(self, server: PostgresServer, directory: Path) -> None:
        self._directory = directory
        self._configuration = directory / "pgbackrest.conf"
        self._configuration.write_text(
            _CONFIGURATION.format(
                directory=directory,
                data=server.data_dir,
                port=server.port,
                sockets=_sockets(server),
            )
        )
        # That of the server is for its TCP address only.
        password = server.cluster.passfile.read_text().strip().rpartition(":")[2]
        self._passfile = directory / "pgpass"
        self._passfile.write_text(f"*:*:*:postgres:{password}\n")
        self._passfile.chmod(0o600)

    @staticmethod
    def version() -> str | None:
        """None: it is not installed."""
        if shutil.which("pgbackrest") is None:
            return None
        done = subprocess.run(["pgbackrest", "version"], capture_output=True, text=True, check=True)
        return done.stdout.split()[-1]

    def create_stanza(self) -> None:
        """Make the repository."""
        self._run("stanza-create")

    def full(self) -> Cost:
        """Take a full backup."""
        return self._run("--type=full", "backup")

    def restore(self, into: Path) -> Cost:
        """Restore the newest backup into a new directory."""
        into.mkdir(mode=0o700)
        cost = self._run(f"--pg1-path={into}", "--type=immediate", "restore")
        shutil.rmtree(into)
        return cost

    def _run(self, *arguments: str) -> Cost:
        return _measured(
            [
                "pgbackrest",
                f"--config={self._configuration}",
                "--stanza=main",
                "--log-level-console=error",
                *arguments,
            ],
            {"PGPASSFILE": str(self._passfile)},
        )


def pipe(server: PostgresServer, into: Path) -> Cost:
    """`pg_basebackup | zstd | openssl` into a file that is removed again."""
    cost = _measured(
        ["bash", "-c", _PIPE, "pipe", str(server.bin_dir), server.dsn(), str(into)], {}
    )
    into.unlink()
    return cost


def _measured(command: list[str], environment: dict[str, str]) -> Cost:
    began, cpu_s = time.monotonic(), _children_cpu_s()
    done = subprocess.run(
        command,
        env={"PATH": os.defpath, "LC_ALL": "C", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-2000:]}")
    return Cost(time.monotonic() - began, _children_cpu_s() - cpu_s)


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _sockets(server: PostgresServer) -> str:
    ((found,),) = server.execute("SHOW unix_socket_directories")
    return str(found).strip('"')
