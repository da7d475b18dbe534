"""The holder of a duty dies, freezes, stops or loses its control store, again and again."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.controlurl import as_url
from tests.support.daemon import Daemon
from tests.support.demo import duty
from tests.support.demo.client import DemoClient
from tests.support.demo.daemon import demo_daemon
from tests.support.fleet import Fleet, Member
from tests.support.patience import eventually, eventually_blocking
from tests.support.servers import PostgresServer
from tests.support.soak import Soak

TAKEOVER_S = 3.0
UNHELD_S = 20.0
KINDS = ("kill -9", "SIGSTOP", "SIGTERM", "a short SIGSTOP", "the control store away")


class Holders:
    """The workers of a fleet that hold the duty in turn, and what harms them."""

    def __init__(self, fleet: Fleet, ledger: Path, control: PostgresServer, chance: random.Random):
        self._fleet = fleet
        self._ledger = ledger
        self._control = control
        self._chance = chance
        self.harmed: Counter[str] = Counter()

    def last(self) -> duty.Mark:
        return duty.read(self._ledger)[-1]

    async def holder(self) -> Member:
        """Who holds the duty now."""

        def alive() -> Member | None:
            marks = duty.read(self._ledger)
            by_pid = {member.pid: member for member in self._fleet.workers if member.running}
            return by_pid.get(marks[-1].pid) if marks and marks[-1].what == duty.ALIVE else None

        return await eventually(alive, UNHELD_S, f"the duty is held; {self._fleet.logs()}")

    async def goes_on(self, after: duty.Mark) -> None:
        """Return once it is held by somebody who was not at it then, or by the same one again."""

        def held() -> bool:
            last = self.last()
            return last.what == duty.ALIVE and last.at > after.at

        await eventually(held, UNHELD_S, f"the duty is held again; {self._fleet.logs()}")

    async def harm(self, kind: str) -> None:
        """Do it to the holder, and wait until the duty is held by whoever is well."""
        self.harmed[kind] += 1
        member = await self.holder()
        match kind:
            case "kill -9":
                member.kill()
            case "SIGSTOP":
                # The kernel kills it before anybody else may begin, so that it never wakes.
                member.signal(signal.SIGSTOP)
                assert await member.ended() == -signal.SIGKILL
            case "SIGTERM":
                member.terminate()
                assert await member.ended() == 0
            case "a short SIGSTOP":
                member.signal(signal.SIGSTOP)
                await asyncio.sleep(self._chance.uniform(0.1, TAKEOVER_S / 4))
                member.signal(signal.SIGCONT)
            case _:
                away_s = self._chance.choice((0.5, 1.0, 6.0))
                if self._chance.random() < 0.5:
                    await asyncio.to_thread(self._control.stop, "immediate")
                    await asyncio.sleep(away_s)
                    await asyncio.to_thread(self._control.start)
                else:
                    await asyncio.to_thread(self._control.pause)
                    await asyncio.sleep(away_s)
                    await asyncio.to_thread(self._control.resume)
        await self.goes_on(self.last())

    def restart(self) -> None:
        """Start those that have ended."""
        for each in self._fleet.workers:
            if not each.running:
                each.start()


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_duty_is_never_held_twice_and_never_unheld_for_long(
    tmp_path: Path,
    database_dsn: str,
    disposable_server: Callable[..., PostgresServer],
    soak: Soak,
) -> None:
    control = disposable_server()
    control.execute("CREATE DATABASE control")
    ledger = tmp_path / "duty"
    chance = soak.random()
    fleet = Fleet(
        tmp_path,
        dsn=database_dsn,
        control_url=as_url(control.dsn(dbname="control")),
        replicas=1,
        workers=3,
        takeover_after_s=TAKEOVER_S,
        environment={duty.LEDGER: str(ledger)},
    )
    async with fleet:
        await fleet.at_work()
        holders = Holders(fleet, ledger, control, chance)
        kinds = [*KINDS[:3]] if not soak.long else [*KINDS * 10]
        chance.shuffle(kinds)
        for number, kind in enumerate(kinds):
            if soak.long:
                await fleet.at_work()
            await holders.harm(kind)
            if soak.long or number == 0:
                # In the short form one more is enough, and each takes seconds to start.
                holders.restart()
            if soak.long:
                gap_s = duty.longest_gap_s(duty.read(ledger))
                print(f"{number + 1}: {kind}; longest unheld so far: {gap_s:.1f} s", flush=True)
            await asyncio.sleep(chance.uniform(0, 1))
        holder = await holders.holder()
        address = fleet.replicas[0].address
        assert address is not None
        with DemoClient(address, tmp_path / "none") as client:
            # Its first question opens the store, which takes long on a busy machine.
            found = await eventually(lambda: asyncio.to_thread(client.duties), 60, "it is listed")
            (listed,) = found
            workers = {each.name: each.pid for each in await asyncio.to_thread(client.workers)}
        assert listed.name == f"databases/main/duties/{duty.NAME}"
        assert workers[listed.holder] == holder.pid
    marks = duty.read(ledger)
    duty.check(marks)
    gap_s = duty.longest_gap_s(marks)
    assert gap_s < UNHELD_S
    begun = sum(mark.what == duty.BEGIN for mark in marks)
    assert begun > len(kinds) / 2
    assert marks[-1].what == duty.END, "whoever stopped last ended it in order"
    print(
        f"--seed={soak.seed}: {dict(holders.harmed)}; held {begun} times, "
        f"longest unheld {gap_s:.1f} s"
    )


def test_a_daemon_holds_a_duty_and_hands_it_to_the_next(database_dsn: str, tmp_path: Path) -> None:
    ledger = tmp_path / "duty"
    environment = {duty.LEDGER: str(ledger), duty.PLACE: "SERVER"}

    def daemon(name: str) -> Daemon:
        # An audit log is one process's; all else they share.
        audit = {"DBOPSD_AUDIT__PATH": str(tmp_path / name / "audit.jsonl")}
        return demo_daemon(
            database_dsn,
            state_dir=tmp_path / "state",
            workers=0,
            environment={**environment, **audit},
        )

    def held_by(running: Daemon) -> bool:
        marks = duty.read(ledger)
        return bool(marks) and marks[-1].what == duty.ALIVE and marks[-1].pid == running.pid

    with daemon("one") as one:
        eventually_blocking(lambda: held_by(one.wait_until_serving()), 60, "the first holds it")
        with DemoClient(one.wait_until_serving().grpc_address, ledger) as client:
            (listed,) = eventually_blocking(client.duties, 60)
            assert listed.holder.startswith("servers/s-")
            token = listed.token
            assert client.workers() == []
        with daemon("other") as other:
            other.wait_until_serving()
            assert one.terminate() == 0
            eventually_blocking(lambda: held_by(other), 20, "the other holds it")
            with DemoClient(other.grpc_address, ledger) as client:
                (listed,) = eventually_blocking(client.duties, 60)
            assert listed.token == token + 1
            assert other.terminate() == 0
    marks = duty.read(ledger)
    duty.check(marks)
    assert [mark.what for mark in marks if mark.what != duty.ALIVE] == [duty.BEGIN, duty.END] * 2
