"""Duties and their leases, on SQLite and on PostgreSQL: who holds one, and until when."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer

from dbopsd.config import OperationsConfig
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.duty import Duty, DutyKey, DutyRun, Place
from dbopsd.operations.duty_holder import DutyHolder
from dbopsd.operations.errors import ControlStoreUnavailable, DutyLost
from dbopsd.operations.metrics import DutyMetrics
from dbopsd.operations.process_deadline import ProcessDeadline
from dbopsd.operations.store import duties, liveness
from dbopsd.operations.store.duties import Lease
from dbopsd.operations.store.store import ControlStore
from tests.support.patience import eventually

KEY = DutyKey("main", "receive-wal")
OTHER = DutyKey("", "send-alerts")
SOON_S = 20.0


def lease(control: ControlStore, key: DutyKey = KEY) -> Lease:
    _, (found,) = duties.renew(control, "nobody", {}, [key])
    return found


def test_one_of_many_takes_a_duty_that_is_free(control: ControlStore) -> None:
    duties.declare(control, [KEY])
    free = lease(control)
    assert (free.holder, free.age_s) == ("", None)

    taken = [duties.acquire(control, f"workers/{number}", free) for number in range(3)]

    assert taken == [free.token + 1, None, None]
    assert lease(control).holder == "workers/0"


def test_a_lease_is_renewed_by_its_holder_alone_and_by_its_token(control: ControlStore) -> None:
    duties.declare(control, [KEY, OTHER])
    token = duties.acquire(control, "workers/a", lease(control)) or 0
    before = lease(control)

    for holder, number in (("workers/b", token), ("workers/a", token - 1)):
        assert duties.renew(control, holder, {KEY: number}, []) == (set(), [])
    unchanged = lease(control)
    assert (unchanged.holder, unchanged.token) == ("workers/a", token)
    assert unchanged.renewals == before.renewals
    renewed, watched = duties.renew(control, "workers/a", {KEY: token}, [OTHER])
    assert renewed == {KEY}
    assert [each.key for each in watched] == [OTHER]
    assert lease(control).renewals == before.renewals + 1


def test_a_duty_is_taken_over_unless_its_holder_was_heard_of(control: ControlStore) -> None:
    duties.declare(control, [KEY])
    token = duties.acquire(control, "workers/a", lease(control)) or 0
    seen = lease(control)
    duties.renew(control, "workers/a", {KEY: token}, [])
    assert duties.acquire(control, "workers/b", seen) is None

    taken = duties.acquire(control, "workers/b", lease(control))

    assert taken == token + 1
    assert duties.renew(control, "workers/a", {KEY: token}, []) == (set(), [])
    # Late, and of the one that has lost it.
    duties.release(control, "workers/a", KEY, token)
    assert lease(control).holder == "workers/b"
    duties.release(control, "workers/b", KEY, taken, problem="it broke")
    (listed,) = duties.list_duties(control)
    assert (listed.name, listed.holder) == ("databases/main/duties/receive-wal", "")
    assert (listed.token, listed.last_problem) == (taken, "it broke")


def test_what_a_worker_held_that_is_known_to_be_gone_is_free(control: ControlStore) -> None:
    duties.declare(control, [KEY])
    liveness.register(control, "w-1", host="here", pid=1, version="0", replaces="")
    duties.acquire(control, "workers/w-1", lease(control))

    liveness.register(control, "w-2", host="here", pid=2, version="0", replaces="w-1")

    assert lease(control).holder == ""


def test_a_duty_that_nobody_wants_is_forgotten_once_nobody_holds_it(control: ControlStore) -> None:
    duties.declare(control, [KEY, OTHER])
    token = duties.acquire(control, "workers/a", lease(control)) or 0

    duties.declare(control, [])
    assert [each.name for each in duties.list_duties(control)] == [str(KEY)]
    duties.release(control, "workers/a", KEY, token)
    duties.declare(control, [])
    assert duties.list_duties(control) == []
    # Wanted again, its tokens go on growing.
    time.sleep(0.01)
    duties.declare(control, [KEY])
    assert lease(control).token > token


class Kernel(ProcessDeadline):
    """Notes when this process were killed, and kills nobody."""

    def __init__(self) -> None:
        super().__init__(suspended=False)
        self.at: float | None = None

    def set(self, at_s: float | None) -> None:
        self.at = at_s


class CutOff(AsyncControlStore):
    """Can be cut off from the store."""

    away = False

    async def ask(self, question: Any, *, timeout_s: float | None = None) -> Any:
        if self.away:
            raise ControlStoreUnavailable(self.where, "cut off")
        return await super().ask(question, timeout_s=timeout_s)


class Process:
    """One that may hold the duty, and what its work did."""

    def __init__(self, name: str, threads: CutOff, story: list[str]) -> None:
        self.name = name
        self.threads = threads
        self.kernel = Kernel()
        self.story = story
        self.run: DutyRun | None = None
        self.stubborn = asyncio.Event()
        self.stubborn.set()
        self.fails = False
        self.holder = DutyHolder(
            threads,
            f"workers/{name}",
            [Duty(KEY.name, self._work, database="")],
            place=Place.WORKER,
            config=OperationsConfig(heartbeat_s=0.2, takeover_after_s=2),
            databases={},
            state_dir=Path("/nowhere"),
            tracer=NoOpTracer(),
            metrics=DutyMetrics(NoOpMeter("test")),
            deadline=self.kernel,
        )
        self._task = asyncio.create_task(self.holder.run())

    async def _work(self, run: DutyRun) -> None:
        self.run = run
        self.story.append(f"{self.name} begins")
        try:
            if self.fails:
                raise LookupError("it broke")
            await asyncio.Event().wait()
        finally:
            await self.stubborn.wait()
            self.story.append(f"{self.name} ends")

    async def until(self, what: str) -> None:
        await eventually(lambda: f"{self.name} {what}" in self.story, SOON_S, f"{self.story}")

    async def end(self) -> None:
        self.stubborn.set()
        await self.holder.close(SOON_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


Start = Callable[[str], Awaitable[Process]]


@pytest.fixture
def start(control_url: str | None, tmp_path: Path) -> Iterator[Start]:
    """`await start(name)`: another process, ended by `end` in the test or after it."""
    story: list[str] = []
    made: list[Process] = []

    async def make(name: str) -> Process:
        threads = CutOff(control_url, tmp_path / "control" / "c.db", NoOpTracer())
        made.append(Process(name, threads, story))
        return made[-1]

    yield make
    for each in made:
        each.threads.close()


async def ended(*processes: Process) -> None:
    for each in processes:
        each.threads.away = False
        await each.end()


async def test_a_duty_is_handed_over_at_once(start: Start) -> None:
    one = await start("one")
    await one.until("begins")
    other = await start("other")
    assert one.run is not None
    before = one.run.token
    one.run.check()

    await one.end()
    await other.until("begins")

    assert one.story == ["one begins", "one ends", "other begins"]
    assert other.run is not None
    assert other.run.token == before + 1
    with pytest.raises(DutyLost):
        one.run.check()
    await ended(other)


async def test_a_duty_that_others_do_not_want_is_held_on(start: Start) -> None:
    one = await start("one")
    await one.until("begins")
    other = await start("other")
    await eventually(lambda: other.holder._declared)
    other.threads.away = True
    await one.end()
    # A process of another configuration begins while nobody holds it.
    await one.threads.ask(lambda store: duties.declare(store, []))
    other.threads.away = False

    await other.until("begins")

    await ended(other)


async def test_who_is_cut_off_has_ended_before_another_begins(start: Start) -> None:
    one = await start("one")
    await one.until("begins")
    other = await start("other")
    one.threads.away = True
    cut_at = one.kernel.now()

    await other.until("begins")

    assert one.story == ["one begins", "one ends", "other begins"]
    # Not before its time: it was seen to be silent for two seconds.
    assert other.kernel.now() - cut_at > 1.5
    assert one.kernel.at is None, "it has ended, so nobody need be killed"
    await ended(one, other)


async def test_who_does_not_end_its_work_is_killed_before_another_begins(start: Start) -> None:
    one = await start("one")
    await one.until("begins")
    one.stubborn.clear()
    one.threads.away = True
    other = await start("other")

    await other.until("begins")

    assert one.story == ["one begins", "other begins"]
    assert one.kernel.at is not None
    assert one.kernel.at < other.kernel.now(), "the kernel would have killed it"
    await ended(one, other)


async def test_a_duty_that_fails_is_tried_elsewhere_and_says_why(
    start: Start, control: ControlStore
) -> None:
    one = await start("one")
    one.fails = True
    await one.until("ends")
    other = await start("other")
    await other.until("begins")
    await ended(one, other)

    (listed,) = await asyncio.to_thread(duties.list_duties, control)
    assert listed.last_problem == "LookupError: it broke"


async def test_the_clock_of_the_store_decides_nothing(start: Start, control: ControlStore) -> None:
    one = await start("one")
    await one.until("begins")
    other = await start("other")
    for hours in (-5, 5, 0):
        with control.transaction() as connection:
            connection.execute(
                sa.text(
                    "UPDATE duties SET heartbeat_time = heartbeat_time + :by"
                    if control.is_sqlite
                    else "UPDATE dbopsd.duties SET heartbeat_time = heartbeat_time + :by"
                ),
                {"by": hours * 3_600_000},
            )
        await asyncio.sleep(0.5)
    assert one.story == ["one begins"]
    await ended(other, one)


def test_a_deadline_kills_a_process_even_if_it_is_stopped() -> None:
    pid = os.fork()
    if pid == 0:
        deadline = ProcessDeadline(suspended=True)
        deadline.set(deadline.now() + 60)
        deadline.set(None)
        deadline.set(deadline.now() + 0.5)
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(60)
        os._exit(0)
    began = time.monotonic()
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert time.monotonic() - began < 30
