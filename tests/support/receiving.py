"""The duty to receive WAL, without a daemon: begun, ended, and killed as its process would be."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.trace import NoOpTracer, Tracer

from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.wal.archive import WalArchive, WalRange, read_archive
from dbopsd.backup.wal.events import WalEvent, read_events
from dbopsd.backup.wal.receive import receive_wal
from dbopsd.backup.wal.stored_wal import read_segment
from dbopsd.backup.wal.wal_pages import check_pages
from dbopsd.db.database import Database
from dbopsd.operations.duty import DutyKey
from dbopsd.operations.kind import Request
from dbopsd.operations.program_runner import ProgramRunner
from tests.support.backed_up import repository_of
from tests.support.patience import eventually
from tests.support.servers import PostgresServer

_tokens = itertools.count(1)


class ReceivingRun(ProgramRunner):
    """What the duty is handed. `state_dir` is its worker's directory."""

    def __init__(self, database: Database, state_dir: Path, started: list[tuple[str, str]]) -> None:
        self.token = next(_tokens)
        self.key = DutyKey(database.name, "receive-wal")
        super().__init__(f"{self.key} {self.token} of a test", tracer=NoOpTracer())
        self.database: Database | None = database
        self.tracer: Tracer = NoOpTracer()
        self.state_dir = state_dir
        self.started = started

    async def start(self, kind: str, request: Request, *, request_id: str) -> None:
        """Write down what was asked for."""
        del request
        self.started.append((kind, request_id))

    def check(self) -> None:
        """It is held until its task is cancelled."""


@dataclass
class Receiving:
    """The duty while it runs; begun anew when it fails, as its holder does."""

    database: Database
    state_dir: Path
    failures: list[Exception] = field(default_factory=list)
    started: list[tuple[str, str]] = field(default_factory=list)
    """The kind and the request id of each operation that was asked for."""

    async def run(self) -> None:
        while True:
            run = ReceivingRun(self.database, self.state_dir, self.started)
            try:
                await receive_wal(run)
            except Exception as error:
                self.failures.append(error)
            finally:
                await run.close()
            await asyncio.sleep(0.1)


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have the work go on during the body. A cancellation that comes at its end is not lost."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


@asynccontextmanager
async def receiving(database: Database, state_dir: Path) -> AsyncIterator[Receiving]:
    """The duty for the time of the context; it ends as when its process is killed."""
    duty = Receiving(database, state_dir)
    async with beside(duty.run()):
        yield duty


@dataclass(frozen=True)
class Archived:
    """What is in the store."""

    archive: WalArchive
    events: list[WalEvent]

    @property
    def ranges(self) -> list[WalRange]:
        return [found for wal in self.archive.timelines.values() for found in wal.ranges()]

    def covers(self, lsn: Lsn) -> bool:
        """Whether the WAL before `lsn` is stored, on whatever timeline."""
        return any(each.start < lsn <= each.end for each in self.ranges)


async def archived(database: Database, server: PostgresServer) -> Archived:
    """The archive of the server's cluster."""
    async with repository_of(database) as repository:
        layout = repository.layout(await asyncio.to_thread(system_identifier, server))
        return Archived(
            await read_archive(repository.store, layout),
            await read_events(repository.store, layout),
        )


async def wait_until_archived(
    database: Database, server: PostgresServer, lsn: Lsn, timeout: float = 30.0
) -> Archived:
    """Return once the WAL before `lsn` is in the store."""

    async def found() -> Archived | None:
        now = await archived(database, server)
        return now if now.covers(lsn) else None

    return await eventually(found, timeout=timeout, what=f"WAL before {lsn} is stored")


async def check_archive(database: Database, server: PostgresServer) -> list[str]:
    """The name of every segment that is stored; each is read, and its pages looked at.

    What the server still has of a complete one has to be the same.
    """
    names = []
    async with repository_of(database) as repository:
        system = await asyncio.to_thread(system_identifier, server)
        layout = repository.layout(system)
        archive = await read_archive(repository.store, layout)
        for wal in archive.timelines.values():
            for segment in wal.segments:
                content = await read_segment(repository, layout, segment)
                check_pages(segment, content, system)
                path = server.data_dir / "pg_wal" / str(segment)
                with contextlib.suppress(FileNotFoundError):
                    assert content == path.read_bytes(), segment
                names.append(str(segment))
            for segment, length in wal.partials.items():
                content = await read_segment(repository, layout, segment, length)
                check_pages(segment, content[:length], system)
    return names


def system_identifier(server: PostgresServer) -> str:
    ((found,),) = server.execute("SELECT system_identifier::text FROM pg_control_system()")
    return str(found)


def lsn_of(server: PostgresServer, statement: str = "SELECT 1") -> Lsn:
    """Run a statement, and where the server's WAL ends after it."""
    server.execute(statement)
    ((found,),) = server.execute("SELECT pg_current_wal_flush_lsn()::text")
    return Lsn.parse(str(found))


def slot_position(server: PostgresServer) -> Lsn | None:
    """Where the slot keeps WAL from; None: there is none."""
    rows = server.execute("SELECT restart_lsn::text FROM pg_replication_slots")
    return Lsn.parse(str(rows[0][0])) if rows else None


def process_ids(match: Callable[[str], bool]) -> list[int]:
    """The processes of this machine whose command line matches."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if match(path.read_bytes().replace(b"\0", b" ").decode(errors="replace")):
                found.append(int(path.parent.name))
    return found
