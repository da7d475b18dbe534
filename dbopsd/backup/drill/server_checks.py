"""What is checked of a restored cluster, but for its rows. Each says whether, and in words."""

import re
import secrets
from collections.abc import Sequence
from typing import Final

from opentelemetry.metrics import NoOpMeter

from dbopsd.backup.drill.scratch_server import run_as_owner, session_options, superuser_session
from dbopsd.backup.restore.cluster import RestoredCluster
from dbopsd.backup.restore.start import PORT, RestoredServer
from dbopsd.db.dedicated import dedicated_session
from dbopsd.db.errors import DatabaseError, one_line
from dbopsd.db.server.settings import conninfo
from dbopsd.db.session import Row, Session
from dbopsd.db.statement import Statement, load_sql
from dbopsd.operations.kind import Run

CHECK_ROWS_AT_MOST: Final = 10_000
_CHECK_TIMEOUT_S: Final = 300

_AVAILABLE: Final = load_sql(__package__, "amcheck_available.sql").statement
_CREATE: Final = load_sql(__package__, "create_checker.sql").statement
_READ: Final = load_sql(__package__, "grant_read.sql").statement
_CONNECT: Final = load_sql(__package__, "grant_connect.sql").statement
_DECLARE: Final = "DECLARE dbopsd_check NO SCROLL CURSOR FOR"
_FETCH: Final = Statement("FETCH FORWARD 100 FROM dbopsd_check", "FETCH user's check")
_VERSION: Final = re.compile(rb"^Data page checksum version:\s*(\d+)$", re.MULTILINE)
_BAD: Final = re.compile(rb"^Bad checksums:\s*(\d+)$", re.MULTILINE)
_SCANNED: Final = re.compile(rb"^Blocks scanned:\s*(\d+)$", re.MULTILINE)
_MOST_NAMED: Final = 3
_MOST_CHARS: Final = 300

Outcome = tuple[bool, str]
"""Whether the check passed, and what was found."""


async def check_indexes(run: Run, server: RestoredServer) -> Outcome:
    """`pg_amcheck` on every database: tables, indexes, and that each row is in its indexes."""
    installation = server.restored.plan.installation
    async with superuser_session(run, server, "postgres") as session:
        ((available,),) = await session.fetch_all(_AVAILABLE)
    if not available:
        where = f"the extension amcheck is not installed with PostgreSQL {installation.version}"
        return True, f"not made: {where} on the worker's machine"
    done = await run.child(
        str(installation.tool("pg_amcheck")),
        *("--all", "--install-missing", "--heapallindexed", "--jobs=2"),
        *(f"--host={server.sockets}", f"--port={PORT}", f"--username={server.superuser}"),
        "--no-password",
        environment={"PGOPTIONS": session_options(installation.major)},
        summary="pg_amcheck",
    )
    if done.exit_status == 0:
        return True, "pg_amcheck --heapallindexed found nothing wrong in any database"
    said = (done.stdout + b"\n" + done.stderr).decode(errors="replace").splitlines()
    found = [" ".join(line.split()) for line in said if line.strip()]
    return False, _few(found) or f"pg_amcheck ended with {done.exit_status}"


async def check_checksums(run: Run, restored: RestoredCluster) -> Outcome:
    """`pg_checksums` on every page of a cluster that does not run."""
    control = await run_as_owner(run, restored, "pg_controldata", "-D", str(restored.data))
    version = _VERSION.search(control.stdout)
    if control.exit_status != 0 or version is None:
        return False, f"pg_controldata says: {_text(control.stderr or control.stdout)}"
    if int(version[1]) == 0:
        return True, (
            "finding: the cluster has no data checksums, so nothing tells a damaged byte in a "
            "table; `pg_checksums --enable` on the stopped server adds them"
        )
    done = await run_as_owner(run, restored, "pg_checksums", "--check", "-D", str(restored.data))
    bad, scanned = _BAD.search(done.stdout), _SCANNED.search(done.stdout)
    blocks = "" if scanned is None else f" of {int(scanned[1])} blocks"
    if done.exit_status == 0:
        return True, f"the checksums{blocks} are right"
    if bad is None:
        return False, f"pg_checksums says: {_text(done.stderr or done.stdout)}"
    lines = done.stderr.decode(errors="replace").splitlines()
    named = _few([line.replace(f"{restored.data}/", "") for line in lines])
    return False, f"{int(bad[1])}{blocks} have a wrong checksum: {named}"


async def create_checker(run: Run, server: RestoredServer, dbname: str) -> str:
    """A role that may read everything and change nothing, for the user's checks; its name."""
    role = f"dbopsd_drill_{secrets.token_hex(4)}"
    async with superuser_session(run, server, dbname) as session:
        await session.execute(_CREATE.with_identifiers(role=role))
        await session.execute(_READ.with_identifiers(role=role))
        await session.execute(_CONNECT.with_identifiers(database=dbname, role=role))
    return role


async def check_statement(
    run: Run, server: RestoredServer, dbname: str, role: str, statement: str
) -> Outcome:
    """Run one of the user's checks in a read-only transaction: each row begins with true.

    As the role `role`, with limits of time and rows.
    """
    login = conninfo(
        host=str(server.sockets),
        port=PORT,
        user=role,
        dbname=dbname,
        application_name="dbopsd-drill",
        options=f"-c statement_timeout={_CHECK_TIMEOUT_S}s -c default_transaction_read_only=on",
    )
    try:
        async with dedicated_session(
            login,
            database=run.database.name,
            tracer=run.tracer,
            meter=NoOpMeter("dbopsd-drill"),
            query_timeout_s=_CHECK_TIMEOUT_S + 10.0,
        ) as session:
            return await _all_true(session, statement)
    except DatabaseError as error:
        # Its message may quote a value: the report is kept in the store as it is.
        return False, f"it failed with {type(error.__cause__ or error).__name__}"


async def _all_true(session: Session, statement: str) -> Outcome:
    rows = 0
    # DECLARE takes nothing but a query, and `single` no second statement after it.
    declare = Statement(f"{_DECLARE} {statement}", "DECLARE user's check", sensitive=True)
    async with session.transaction(read_only=True):
        await session.execute(declare, single=True)
        while batch := await session.fetch_all(_FETCH):
            for row in batch:
                rows += 1
                if not row or row[0] is not True:
                    return False, f"row {rows} begins with {_kind(row)}, and not with true"
            if rows > CHECK_ROWS_AT_MOST:
                return False, f"more than {CHECK_ROWS_AT_MOST} rows, which are too many for a check"
    return True, f"{rows} rows, all true"


def _kind(row: Row) -> str:
    """What the first column is. Not its value: the report is kept in the store as it is."""
    if not row:
        return "nothing"
    if row[0] is None:
        return "NULL"
    return "false" if row[0] is False else f"a value of type {type(row[0]).__name__}"


def _few(lines: Sequence[str]) -> str:
    more = len(lines) - _MOST_NAMED
    text = "; ".join(one_line(line)[:_MOST_CHARS] for line in lines[:_MOST_NAMED])
    return f"{text}; and {more} more" if more > 0 else text


def _text(output: bytes) -> str:
    return one_line(output.decode(errors="replace"))[:_MOST_CHARS]
