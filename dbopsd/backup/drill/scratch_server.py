"""The server of a drill: sessions with it, PostgreSQL's programs beside it, and its end."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from opentelemetry.metrics import NoOpMeter

from dbopsd.backup.restore.cluster import RestoredCluster
from dbopsd.backup.restore.errors import RecoveryFailed
from dbopsd.backup.restore.start import PORT, RestoredServer
from dbopsd.db.dedicated import dedicated_session
from dbopsd.db.server.process import command_as
from dbopsd.db.server.settings import conninfo
from dbopsd.db.session import Session
from dbopsd.operations.kind import Completed, Run

_APPLICATION: Final = "dbopsd-drill"
# Since then an event trigger may run at each login, of which nothing is wanted here.
_LOGIN_TRIGGERS_MAJOR: Final = 17


def session_options(major: int, **settings: str) -> str:
    """Settings of a superuser's session, as libpq's `options`."""
    if major >= _LOGIN_TRIGGERS_MAJOR:
        settings = {"event_triggers": "off", **settings}
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


@asynccontextmanager
async def superuser_session(
    run: Run, server: RestoredServer, dbname: str, **settings: str
) -> AsyncIterator[Session]:
    """A session with one database of the server. Raises `ConnectFailed`."""
    major = server.restored.plan.installation.major
    login = conninfo(
        host=str(server.sockets),
        port=PORT,
        user=server.superuser,
        dbname=dbname,
        application_name=_APPLICATION,
        options=session_options(major, search_path="pg_catalog", **settings),
    )
    async with dedicated_session(
        login, database=run.database.name, tracer=run.tracer, meter=NoOpMeter(_APPLICATION)
    ) as session:
        yield session


async def run_as_owner(
    run: Run, restored: RestoredCluster, tool: str, *arguments: str
) -> Completed:
    """Run one of PostgreSQL's programs as the account that the cluster belongs to."""
    program = restored.plan.installation.tool(tool)
    command = command_as(restored.account, program, *arguments, death_signal=signal.SIGKILL)
    return await run.child(*command, summary=tool)


async def shut_down(run: Run, restored: RestoredCluster) -> None:
    """Have the server end as after a good day's work. Raises `RecoveryFailed` where it does not."""
    done = await run_as_owner(
        run, restored, "pg_ctl", "stop", "-D", str(restored.data), "-m", "fast", "-w", "-t", "3600"
    )
    if done.exit_status != 0:
        cause = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
        target = restored.plan.described_target
        raise RecoveryFailed(str(restored.data), target, f"it does not stop: {cause}")
