"""Schedules while the workers that start their operations die and freeze.

The clock's minutes are as long as they are, so these are for the long form alone (`--soak`).
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.controlurl import as_url
from tests.support.demo.client import DemoClient, metadata_of
from tests.support.demo.daemon import demo_daemon, start_worker
from tests.support.fleet import Fleet
from tests.support.patience import eventually_blocking
from tests.support.soak import Soak

MINUTE_S = 60
# DBOS comes up to ten seconds late; what it never comes for is looked for after fifteen.
LATE_S = 30
MINUTELY = """
[databases.main.schedules.minutely]
kind = "demo"
cron = "* * * * *"
"""


pytestmark = pytest.mark.long_only


@pytest.fixture
def worker_of(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """`worker_of(daemon) -> pid` of a worker that nobody supervises, ended after the test."""
    started = []

    def start(daemon: object) -> int:
        started.append(start_worker(daemon, tmp_path / "worker.log"))  # type: ignore[arg-type]
        return started[-1].pid

    yield start
    for each in started:
        each.kill()
        each.wait()


def times(client: DemoClient) -> Counter[int]:
    """How many operations the clock started for each of its times, in seconds since 1970."""
    found = [metadata_of(each).request_id for each in client.operations()]
    return Counter(int(each.rpartition("@")[2]) for each in found)


@pytest.mark.soak
@pytest.mark.timeout(700)
def test_of_the_times_that_a_worker_is_frozen_through_the_last_is_made_up_for(
    database_dsn: str, tmp_path: Path, worker_of: Callable[..., int]
) -> None:
    with (
        demo_daemon(database_dsn, workers=0, more=MINUTELY) as running,
        DemoClient(running.wait_until_serving().grpc_address, tmp_path / "ledger") as client,
    ):
        pid = worker_of(running)
        eventually_blocking(lambda: times(client), 2 * MINUTE_S, "a minute has begun")
        (before,) = times(client)

        os.kill(pid, signal.SIGSTOP)
        # Three times, and past what is merely late.
        time.sleep(max(before + 3 * MINUTE_S + 20 - time.time(), 0))
        assert times(client).keys() == {before}
        os.kill(pid, signal.SIGCONT)

        last = before + 3 * MINUTE_S
        eventually_blocking(lambda: times(client)[last] == 1, LATE_S, "the last is made up for")
        # And it goes on with the next, with nothing more made up for meanwhile.
        following = last + MINUTE_S
        wait_s = following + LATE_S - time.time()
        eventually_blocking(lambda: times(client)[following] == 1, wait_s, "the next is run")
        assert times(client) == dict.fromkeys((before, last, following), 1)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_each_time_is_run_once_however_many_workers_die(
    database_dsn: str, make_database: Callable[..., str], tmp_path: Path, soak: Soak
) -> None:
    minutes = 5
    fleet = Fleet(
        tmp_path,
        dsn=database_dsn,
        control_url=as_url(make_database()),
        replicas=2,
        workers=3,
        more=MINUTELY,
    )
    chance = soak.random()
    async with fleet:
        await fleet.at_work()
        first = int(time.time()) // MINUTE_S * MINUTE_S + MINUTE_S
        last = first + (minutes - 1) * MINUTE_S
        kills = 0
        while time.time() < last + LATE_S:
            await asyncio.sleep(chance.uniform(1, 8))
            for victim in chance.sample(fleet.workers, chance.choice((1, 1, 2))):
                victim.kill()
                victim.start()
                kills += 1
        await fleet.at_work()
        address = fleet.replicas[0].address
        assert address is not None
        with DemoClient(address, fleet.ledger) as client:
            await asyncio.sleep(LATE_S)
            found = await asyncio.to_thread(times, client)
    print(f"--seed={soak.seed}: {dict(found)}; killed: {kills}")
    wanted = range(first, last + 1, MINUTE_S)
    assert [found[each] for each in wanted] == [1] * minutes, fleet.logs()
    assert set(found.values()) == {1}
