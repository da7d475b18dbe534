"""Who is told of what, when and how often: a real control store, a real receiver."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracer

from dbopsd.config import AlertsConfig
from dbopsd.metrics.alerts.alert import Alert
from dbopsd.metrics.alerts.board import AlertBoard
from dbopsd.metrics.alerts.channels import channels_of
from dbopsd.metrics.alerts.judge import Judge
from dbopsd.metrics.alerts.notifier import Notifier
from dbopsd.metrics.alerts.rules import RuleSet, Severity
from dbopsd.metrics.alerts.silences import Silences
from dbopsd.operations import store as control
from dbopsd.operations.alert_records import Silence
from dbopsd.operations.async_store import AsyncControlStore
from tests.support.patience import eventually
from tests.support.webhook import Webhook

RULES = RuleSet.default().rules
DEAD_ROWS = Alert(
    *("DeadRows", "main", (("relname", "t"),), Severity.WARNING, "t has dead rows", "vacuum it"),
    value=5.0,
    started_at=900.0,
    fired_at=1000.0,
)
DOWN = replace(
    DEAD_ROWS, rule="DatabaseDown", labels=(), severity=Severity.CRITICAL, summary="it is down"
)


class Duty:
    """A duty that is held."""

    def check(self) -> None:
        """It is."""


class Told:
    """Notifiers of one control store, a clock of our own, and a board."""

    def __init__(self, path: Path) -> None:
        self.now = 1000.0
        self.board = AlertBoard()
        self.judge = Judge("main", list(RULES.values()), lambda metric: metric)
        self.store = AsyncControlStore(None, path / "control.db", NoOpTracer())
        self.silences = Silences(
            self.store, self.board, RULES, ("main", "other"), clock=lambda: self.now
        )

    @asynccontextmanager
    async def notifying(self, hook: Webhook, **config: object) -> AsyncIterator[Notifier]:
        channel = {"url": hook.url, "timeout_s": 5, **config}
        alerts = AlertsConfig.model_validate({"channels": {"hook": channel}, "group_wait_s": 5})
        notifier = Notifier(
            self.board,
            {"main": self.judge},
            {"main": RULES},
            channels_of(alerts.channels),
            self.silences,
            self.store,
            alerts,
            clock=lambda: self.now,
        )
        task = asyncio.create_task(notifier.run(Duty()))  # type: ignore[arg-type]
        try:
            yield notifier
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def publish(self, *alerts: Alert) -> None:
        self.board.publish("main", alerts, self.now)

    async def outbox(self) -> int:
        return len(await self.store.ask(lambda store: control.alerts.waiting(store, ["hook"])))


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as running:
        yield running


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    made = Told(tmp_path)
    yield made
    made.store.close()


async def settled(told: Told, seconds: float = 1.5) -> None:
    """Give the notifier a look more than it needs, and its outbox the time to empty."""
    await asyncio.sleep(seconds)
    async with asyncio.timeout(20):
        while await told.outbox():
            await asyncio.sleep(0.05)


async def test_alerts_of_a_database_are_told_together_once_and_when_they_are_over(
    told: Told, hook: Webhook
) -> None:
    async with told.notifying(hook):
        told.publish(DEAD_ROWS)
        await settled(told)
        assert hook.messages == [], "it waits for others"
        told.now = 1005.0
        told.publish(DEAD_ROWS, replace(DOWN, fired_at=1004.0))
        await eventually(lambda: len(hook.messages) == 1)
        (message,) = hook.messages
        assert message["title"] == "[FIRING 2] main: DatabaseDown, DeadRows"
        assert message["type"] == "failure"
        assert (
            "CRITICAL DatabaseDown: it is down\n→ vacuum it\nsince 1970-01-01T00:15:00Z"
            in (message["message"])
        )
        assert "(relname=t)" in message["message"]
        assert "message " in message["message"]
        await eventually(lambda: all(each.notified_at == 1005 for each in told.board.alerts()))
        told.now = 1100.0
        told.publish(DEAD_ROWS, replace(DOWN, fired_at=1004.0, value=7.0))
        await settled(told)
        assert len(hook.messages) == 1, "once"
        told.publish(DEAD_ROWS, replace(DOWN, fired_at=1004.0).resolved(1100.0))
        await eventually(lambda: len(hook.messages) == 2)
        assert hook.titles[1] == "[RESOLVED] main: DatabaseDown"
        assert hook.messages[1]["type"] == "success"
        assert "RESOLVED after 3.3 min DatabaseDown: it is down" in hook.messages[1]["message"]


async def test_what_still_fires_is_told_again(told: Told, hook: Webhook) -> None:
    async with told.notifying(hook, repeat_after_s=3600):
        told.now = 1005.0
        told.publish(DEAD_ROWS)
        await eventually(lambda: len(hook.messages) == 1)
        # By the store's own clock: the time of the message is now.
        (notice,) = await told.store.ask(control.alerts.list_notices)
        told.now = notice.notified + 3599
        await settled(told)
        assert len(hook.messages) == 1
        told.now = notice.notified + 3601
        await eventually(lambda: len(hook.messages) == 2)


async def test_only_a_channels_severities_and_databases_and_only_after_its_time(
    told: Told, hook: Webhook
) -> None:
    async with told.notifying(hook, min_severity="critical", after_s=600):
        told.now = 1500.0
        told.publish(DEAD_ROWS, DOWN)
        told.board.publish("other", [replace(DOWN, database="other", fired_at=1499.0)], told.now)
        await settled(told)
        assert hook.messages == []
        told.now = 1605.0
        told.publish(DEAD_ROWS, DOWN)
        await eventually(lambda: len(hook.messages) == 1)
        assert hook.titles == ["[FIRING] main: DatabaseDown"]


async def test_an_alert_that_says_less_is_not_told_until_it_stands_alone(
    told: Told, hook: Webhook
) -> None:
    labels = (("check", "storage"),)
    filling = replace(DEAD_ROWS, rule="StorageFilling", labels=labels)
    full = replace(DOWN, rule="DiskFull", labels=labels)
    async with told.notifying(hook):
        told.now = 1005.0
        told.publish(filling, full)
        await eventually(lambda: len(hook.messages) == 1)
        await settled(told)
        assert hook.titles == ["[FIRING] main: DiskFull"]
        told.publish(filling, full.resolved(1005.0))
        await eventually(lambda: len(hook.messages) == 2)
        assert hook.titles[1] == "[FIRING RESOLVED] main: StorageFilling, DiskFull"


async def test_a_silence_of_another_daemon_holds_at_once(told: Told, hook: Webhook) -> None:
    # In the store, and not on this board yet.
    silence = Silence("s1", "DeadRows", "", (), 2.0**32, "c", "me")
    await told.store.ask(lambda store: control.alerts.create_silence(store, silence, ""))
    async with told.notifying(hook):
        told.now = 1005.0
        told.publish(DEAD_ROWS, DOWN)
        await eventually(lambda: len(hook.messages) == 1)
        await settled(told)
        assert hook.titles == ["[FIRING] main: DatabaseDown"]
        await told.silences.delete("s1")
        await eventually(lambda: len(hook.messages) == 2)
        assert hook.titles[1] == "[FIRING] main: DeadRows"


async def test_a_channel_may_leave_out_that_they_are_over(told: Told, hook: Webhook) -> None:
    async with told.notifying(hook, resolved=False):
        told.now = 1005.0
        told.publish(DOWN)
        await eventually(lambda: len(hook.messages) == 1)
        told.publish(DOWN.resolved(1005.0))
        await settled(told)
        told.publish(replace(DOWN, started_at=1006.0, fired_at=1006.0))
        told.now = 1020.0
        await eventually(lambda: len(hook.messages) == 2)
        assert hook.titles == ["[FIRING] main: DatabaseDown"] * 2


async def test_a_channel_that_refuses_is_asked_again_in_order(
    told: Told, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status = 500
    async with told.notifying(hook):
        told.now = 1005.0
        told.publish(DOWN)
        await eventually(lambda: hook.asked >= 1)
        told.publish(DOWN.resolved(1005.0))
        await asyncio.sleep(1.5)
        hook.status = 200
        await eventually(lambda: len(hook.messages) == 2, 20)
        assert hook.titles == ["[FIRING] main: DatabaseDown", "[RESOLVED] main: DatabaseDown"]
        await settled(told)
    assert "channel hook did not take a message, which is sent again in 2 s" in caplog.text
    assert "channel hook takes messages again" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_message_that_nobody_takes_for_a_day_is_given_up(
    told: Told, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status = 500
    async with told.notifying(hook):
        told.now = 1005.0
        told.publish(DOWN)
        await eventually(lambda: hook.asked >= 1)
        # The message has the store's time: a day later than now.
        told.now = asyncio.get_running_loop().time() + 2**31
        await eventually(lambda: "which is given up" in caplog.text, 20)
        await settled(told)
        assert hook.messages == []


async def test_another_daemon_goes_on_where_one_was_ended(told: Told, hook: Webhook) -> None:
    """Nothing twice, nothing lost: a message that was queued is sent, one that was sent is not."""
    told.now = 1005.0
    async with told.notifying(hook):
        told.publish(DOWN)
        await eventually(lambda: len(hook.messages) == 1)
        await settled(told)
        hook.status = 500
        told.publish(DOWN, DEAD_ROWS)
        await eventually(lambda: hook.asked >= 2)
    hook.status = 200
    # It has seen nothing yet: neither does it say that all is over.
    later = Told(Path("/dev/null"))
    later.store, later.silences, later.now = told.store, told.silences, 1300.0
    async with later.notifying(hook):
        await eventually(lambda: len(hook.messages) == 2, 20)
        await settled(later)
        assert hook.titles == ["[FIRING] main: DatabaseDown", "[FIRING] main: DeadRows"]
        # It finds both pending, as one does that has lost its state.
        later.publish(replace(DOWN, fired_at=None), replace(DEAD_ROWS, fired_at=None))
        await settled(later)
        later.publish(replace(DOWN, fired_at=1290.0), replace(DEAD_ROWS, fired_at=1290.0))
        await settled(later)
        assert len(hook.messages) == 2
        # It has looked, and DeadRows is not there.
        later.judge._judged.add("DeadRows")
        later.board.publish("main", [replace(DOWN, fired_at=1290.0)], later.now)
        await eventually(lambda: len(hook.messages) == 3)
        assert hook.titles[2] == "[RESOLVED] main: DeadRows"


async def test_what_is_there_of_a_channel_that_is_gone_is_dropped(
    told: Told, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.status = 500
    told.now = 1005.0
    async with told.notifying(hook):
        told.publish(DOWN)
        await eventually(lambda: hook.asked >= 1)
    hook.status = 200
    alerts = AlertsConfig.model_validate({"channels": {"new": {"url": hook.url}}})
    channels = channels_of(alerts.channels)
    board = AlertBoard()
    notifier = Notifier(board, {}, {}, channels, told.silences, told.store, alerts)
    task = asyncio.create_task(notifier.run(Duty()))  # type: ignore[arg-type]
    await eventually(lambda: "1 messages of alerts were for channels that are gone" in caplog.text)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await told.store.ask(control.alerts.list_notices) == []
    assert await told.outbox() == 0


async def test_a_control_store_that_is_away_is_waited_for(
    told: Told, hook: Webhook, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "away" / "control.db"
    path.mkdir(parents=True)
    away = AsyncControlStore(None, path, NoOpTracer())
    told.store, told.silences = away, Silences(away, told.board, RULES, ("main",))
    told.now = 1005.0
    async with told.notifying(hook):
        told.publish(DOWN)
        await eventually(lambda: "alerts are not sent for now" in caplog.text)
        path.rmdir()
        await eventually(lambda: len(hook.messages) == 1, 20)
        await settled(told)


async def test_what_says_less_of_the_same_is_not_told(told: Told, hook: Webhook) -> None:
    slow = replace(DEAD_ROWS, rule="SlowStatements", labels=(("queryid", "1"),))
    other = replace(slow, labels=(("queryid", "2"),))
    async with told.notifying(hook):
        told.now = 1005.0
        told.publish(slow, other, replace(slow, rule="VerySlowStatements"))
        await eventually(lambda: len(hook.messages) == 1)
        message = hook.messages[0]["message"]
        assert "WARNING SlowStatements: t has dead rows\n" in message
        assert message.count("SlowStatements") == 2, "the other one, and the one that says more"
        assert "(queryid=2)" in message
