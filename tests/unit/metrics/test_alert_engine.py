"""The engine over restarts, damage, full disks, and beside a database that cannot be judged."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from dbopsd.metrics.alerts.alert import Alert, AlertState
from dbopsd.metrics.alerts.board import AlertBoard
from dbopsd.metrics.alerts.engine import AlertEngine
from dbopsd.metrics.alerts.judge import Judge
from dbopsd.metrics.alerts.rules import RuleSet, Severity
from dbopsd.metrics.alerts.state_file import StateFile
from dbopsd.metrics.hub import MetricsHub
from dbopsd.metrics.model import Metric, MetricType
from tests.support.patience import eventually
from tests.unit.metrics.made import collection

RULES = RuleSet.default().rules
UP = Metric("pg_up", MetricType.GAUGE, "1", "Whether it answers.")


class Engine:
    """An engine with a clock of our own, for as long as a context."""

    def __init__(self, path: Path, *databases: str) -> None:
        self.hub = MetricsHub(databases)
        self.board = AlertBoard()
        self.now = 1000.0
        self._engine = AlertEngine(
            self.hub,
            {name: Judge(name, [RULES["DatabaseDown"]], lambda metric: "up") for name in databases},
            self.board,
            StateFile(path),
            interval_s=0.01,
            clock=lambda: self.now,
        )

    def up(self, database: str, value: float) -> None:
        self.hub.publish(database, {"up": collection("up", (UP, (), value), at=self.now)})

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._engine.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def state(self, state: AlertState) -> Alert:
        await eventually(lambda: [each.state for each in self.board.alerts()] == [state])
        (alert,) = self.board.alerts()
        return alert


async def test_a_restart_keeps_what_is_pending_and_what_fires(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "alerts.json"
    async with Engine(path, "main") as first:
        first.up("main", 0)
        await first.state(AlertState.PENDING)
        await eventually(path.exists)
    async with Engine(path, "main") as second:
        pending = await second.state(AlertState.PENDING)
        assert pending.started_at == 1000.0
        second.now = 1060.0
        second.up("main", 0)
        await second.state(AlertState.FIRING)
        await eventually(lambda: "1060.0" in path.read_text())
    async with Engine(path, "main") as third:
        # Nothing is sampled yet: it neither is resolved nor begins anew.
        firing = await third.state(AlertState.FIRING)
        assert (firing.started_at, firing.fired_at) == (1000.0, 1060.0)
        third.now = 1100.0
        third.up("main", 1)
        await third.state(AlertState.RESOLVED)


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"version": 9}', '{"version": 1, "alerts": [1]}']
)
async def test_a_damaged_file_costs_no_start(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "alerts.json"
    path.write_text(damage)
    async with Engine(path, "main") as engine:
        engine.up("main", 0)
        await engine.state(AlertState.PENDING)
    assert "what fires begins anew" in caplog.text


async def test_a_disk_that_takes_nothing_costs_no_alert(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "metrics").write_text("a file")
    async with Engine(tmp_path / "metrics" / "alerts.json", "main") as engine:
        engine.up("main", 0)
        await engine.state(AlertState.PENDING)
        engine.now = 1060.0
        await engine.state(AlertState.FIRING)
        await eventually(lambda: "the alerts cannot be written" in caplog.text)


async def test_a_database_that_cannot_be_judged_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(tmp_path / "alerts.json", "bad", "main")
    broken = engine._engine._judges["bad"]
    broken.windows = None  # type: ignore[assignment]
    async with engine:
        engine.up("main", 0)
        await engine.state(AlertState.PENDING)
    assert "the alerts of database 'bad' could not be judged" in caplog.text


WRITER = """
import sys
from pathlib import Path
from dbopsd.metrics.alerts.alert import Alert
from dbopsd.metrics.alerts.rules import Severity
from dbopsd.metrics.alerts.state_file import StateFile

file = StateFile(Path(sys.argv[1]))
for number in range(1_000_000):
    alert = Alert("R", "main", (), Severity.INFO, "s" * 5000, "r", float(number), 0.0)
    file.write([alert] * 50)
    print(number, flush=True)
"""


def test_the_file_is_whole_at_every_moment_and_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    for _ in range(300):
        assert len(StateFile(path).read()) == 50
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    written = [int(line) for line in writer.stdout]
    writer.stdout.close()
    found = StateFile(path).read()
    assert len(found) == 50
    assert found[0].severity is Severity.INFO
    assert found[0].value >= written[-1]
