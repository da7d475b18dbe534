"""pgloader, a peer: a program of Debian's that is run and timed from outside, where it is there."""

import re
import shutil
import subprocess
import time
from pathlib import Path

from bench.measurement import Row
from bench.workbench import Workbench
from tests.support.controlurl import as_url
from tests.support.servers import PostgresServer

NOT_COMPARED = Row("pgloader: not compared", 0, "", note="not installed: apt-get install pgloader")
_TIMEOUT_S = 600.0
_LOAD = """
LOAD DATABASE FROM sqlite://{source} INTO {target}
WITH {options};
"""
_WHOLE = "include drop, create tables, create indexes, reset sequences"
_COPY_ONLY = "include drop, create tables, create no indexes, reset no sequences, no foreign keys"


def pgloader_version() -> str | None:
    """None: it is not installed."""
    if shutil.which("pgloader") is None:
        return None
    done = subprocess.run(["pgloader", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r'"([^"]+)"', done.stdout)
    return found[1] if found else "?"


def pgloader_s(
    bench: Workbench, postgres: PostgresServer, source: Path, *, copy_only: bool = False
) -> tuple[float, int]:
    """Seconds for the file into a new database, from pgloader's start to its end, and its tables.

    With indexes and sequences as it does by itself, or the rows alone. It exits 0 whatever it has
    not loaded, so what counts is how many tables there are.
    """
    database = postgres.create_database(prefix="pgloader_")
    directory = bench.directory("pgloader")
    load = directory / "import.load"
    load.write_text(
        _LOAD.format(
            source=source,
            target=as_url(postgres.dsn(dbname=database)).partition("?")[0],
            options=_COPY_ONLY if copy_only else _WHOLE,
        )
    )
    postgres.execute("CHECKPOINT")
    began = time.monotonic()
    subprocess.run(
        ["pgloader", "--root-dir", str(directory), str(load)],
        env={"PATH": "/usr/bin:/bin", "HOME": str(directory), "PGPASSFILE": _passfile(postgres)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
        check=True,
    )
    took_s = time.monotonic() - began
    ((tables,),) = postgres.execute(
        "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND pg_relation_size(oid) > 0"
        " AND relnamespace = 'public'::regnamespace",
        dbname=database,
    )
    postgres.drop_database(database)
    return took_s, int(str(tables))


def _passfile(postgres: PostgresServer) -> str:
    return str(postgres.cluster.passfile)
