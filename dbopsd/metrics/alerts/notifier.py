"""Tells people of alerts: the work of the duty `alerts`, which one daemon of a cluster has.

What a channel is to be told goes into the outbox of the control store, in the same transaction
with the note that the channel knows it. It leaves the outbox once the channel has taken it. So a
message is put there once, however many replicas run and whenever one is killed, and it is sent at
least once: twice only where a daemon dies, or a channel answers too late, after it was taken.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from typing import Final, TypeVar

from dbopsd.config import AlertsConfig
from dbopsd.metrics.alerts.alert import Alert, AlertState
from dbopsd.metrics.alerts.board import AlertBoard
from dbopsd.metrics.alerts.channels import Channel
from dbopsd.metrics.alerts.judge import Judge
from dbopsd.metrics.alerts.letters import body_of, severity_of, title_of
from dbopsd.metrics.alerts.rules import Rule
from dbopsd.metrics.alerts.silences import Silences
from dbopsd.operations import store as control
from dbopsd.operations.alert_records import Message, NewMessage, Notice
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.duty import DutyRun
from dbopsd.operations.errors import ControlStoreUnavailable

_log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0
_REST_S: Final = 30.0
_LEAST_BACKOFF_S: Final = 2.0
_MOST_BACKOFF_S: Final = 600.0
_GIVE_UP_S: Final = 86_400.0
_STORE_RETRY_S: Final = 2.0
# A duty that is handed over ends within a few seconds.
_LAST_WORDS_S: Final = 2.0

T = TypeVar("T")


class Notifier:
    """Tells `channels` of the alerts of a board. `rules` are those of each database, by name."""

    def __init__(
        self,
        board: AlertBoard,
        judges: Mapping[str, Judge],
        rules: Mapping[str, Mapping[str, Rule]],
        channels: Mapping[str, Channel],
        silences: Silences,
        control_store: AsyncControlStore,
        config: AlertsConfig,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._board = board
        self._judges = judges
        self._rules = rules
        self._channels = channels
        self._silences = silences
        self._control = control_store
        self._config = config
        self._clock = clock
        self._queued = {name: asyncio.Event() for name in channels}

    async def run(self, duty: DutyRun) -> None:
        """Tell for ever; ends by cancellation only."""
        names = frozenset(self._channels)
        dropped = await self._patiently(
            lambda: self._control.ask(lambda store: control.alerts.forget_channels(store, names))
        )
        if dropped:
            _log.warning("%d messages of alerts were for channels that are gone", dropped)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue(duty), name="alerts-queue")
            for channel in self._channels.values():
                tasks.create_task(self._deliver(duty, channel), name=f"alerts-{channel.name}")

    async def _queue(self, duty: DutyRun) -> None:
        """Put what channels are to be told into the outbox."""
        notices = await self._notices()
        while True:
            messages, forgotten = self._due(notices, self._clock())
            if messages:
                # Another daemon may have been asked for silence since the last look.
                await self._silences.refresh()
                messages, forgotten = self._due(notices, self._clock())
            if messages or forgotten:
                duty.check()
                await self._patiently(lambda m=messages: self._put(m))  # type: ignore[misc]
                for channel, keys in forgotten.items():
                    await self._patiently(
                        lambda c=channel, k=keys: self._control.ask(  # type: ignore[misc]
                            lambda store: control.alerts.forget_notices(store, c, k)
                        )
                    )
                notices = await self._notices()
                for message in messages:
                    self._queued[message.channel].set()
            await self._board.changed(_LOOK_S)
            await asyncio.sleep(0)

    async def _put(self, messages: list[NewMessage]) -> None:
        await self._control.ask(lambda store: control.alerts.enqueue(store, messages))

    async def _notices(self) -> list[Notice]:
        return await self._patiently(lambda: self._control.ask(control.alerts.list_notices))

    def _due(
        self, notices: Iterable[Notice], now: float
    ) -> tuple[list[NewMessage], dict[str, list[str]]]:
        """The messages to send now, and by channel the keys of alerts that are over silently."""
        alerts = {alert.key: alert for alert in self._board.alerts()}
        covered = self._covered(alerts)
        messages: list[NewMessage] = []
        forgotten: dict[str, list[str]] = {}
        for channel in self._channels.values():
            told = {each.alert_key: each for each in notices if each.channel == channel.name}
            firing = self._firing(channel, alerts, covered, told, now)
            over = self._over(alerts, told, now)
            if not channel.config.resolved and over:
                forgotten[channel.name] = [alert.key for alert in over]
                over = []
            messages += [
                _message(
                    channel.name,
                    database,
                    [alert for alert in firing if alert.database == database],
                    [alert for alert in over if alert.database == database],
                    now,
                )
                for database in sorted({alert.database for alert in (*firing, *over)})
            ]
        return messages, forgotten

    def _firing(
        self,
        channel: Channel,
        alerts: Mapping[str, Alert],
        covered: Collection[str],
        told: Mapping[str, Notice],
        now: float,
    ) -> list[Alert]:
        """What it is to be told of that fires, anew or again, and that is not `covered`."""
        config = channel.config
        wanted = [
            alert
            for key, alert in alerts.items()
            if key not in covered
            and alert.state is AlertState.FIRING
            and channel.wants(alert.severity, alert.database)
            and now - (alert.fired_at or now) >= config.after_s
        ]
        new = [alert for alert in wanted if alert.key not in told]
        # Of one database, the first one waits for the others.
        ready = {
            alert.database
            for alert in new
            if now - (alert.fired_at or now) - config.after_s >= self._config.group_wait_s
        }
        again = [
            alert
            for alert in wanted
            if alert.key in told and now - told[alert.key].notified >= config.repeat_after_s
        ]
        return [alert for alert in new if alert.database in ready] + again

    def _over(
        self, alerts: Mapping[str, Alert], told: Mapping[str, Notice], now: float
    ) -> list[Alert]:
        """What the channel knows to fire and does no more."""
        over = []
        for key, notice in told.items():
            alert = alerts.get(key)
            if alert is not None:
                if alert.resolved_at is not None:
                    over.append(alert)
                continue
            judge = self._judges.get(notice.database)
            # Another daemon told of it, or this one has lost its state: not before it has looked.
            if judge is None or judge.has_judged(notice.rule):
                over.append(Alert.of_json(json.loads(notice.alert)).resolved(now))
        return over

    def _covered(self, alerts: Mapping[str, Alert]) -> frozenset[str]:
        """The keys of alerts beside which one that says more fires about the same."""
        # There may be thousands in a storm: each is looked at once, not beside each other one.
        firing = {
            (each.database, each.labels, each.rule) for each in alerts.values() if each.firing
        }
        return frozenset(
            key
            for key, each in alerts.items()
            if (rule := self._rules.get(each.database, {}).get(each.rule)) is not None
            and any((each.database, each.labels, other) in firing for other in rule.under)
        )

    async def _deliver(self, duty: DutyRun, channel: Channel) -> None:
        """Send the messages of one channel in their order."""
        queued = self._queued[channel.name]
        while True:
            queued.clear()
            message = await self._patiently(lambda: self._first(channel.name))
            wait_s = _REST_S if message is None else max(message.due, 0.0)
            if message is not None and wait_s <= 0:
                duty.check()
                await self._finish(self._send(channel, message))
                continue
            try:
                async with asyncio.timeout(wait_s):
                    # What comes meanwhile stands behind the message that is waited for.
                    await (queued.wait() if message is None else asyncio.sleep(wait_s + 1))
            except TimeoutError:
                pass

    @staticmethod
    async def _finish(sending: Coroutine[None, None, None]) -> None:
        """Await it, and when cancelled a moment longer: what was taken need not be sent again."""
        task = asyncio.ensure_future(sending)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=_LAST_WORDS_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    async def _first(self, channel: str) -> Message | None:
        found = await self._control.ask(lambda store: control.alerts.waiting(store, [channel]))
        return found[0] if found else None

    async def _send(self, channel: Channel, message: Message) -> None:
        sent = await channel.send(message.title, message.body, message.severity)
        if sent.delivered:
            if message.attempts:
                _log.warning("channel %s takes messages again", channel.name)
            self._board.notified(message.alert_keys, self._clock())
        elif self._clock() - message.created > _GIVE_UP_S:
            _log.error(
                "channel %s has not taken a message for a day, which is given up: %s (%s)",
                *(channel.name, message.title, sent.problem),
            )
        else:
            retry_after_s = min(_LEAST_BACKOFF_S * 2**message.attempts, _MOST_BACKOFF_S)
            _log.warning(
                "channel %s did not take a message, which is sent again in %.0f s: %s",
                *(channel.name, retry_after_s, sent.problem),
            )
            await self._patiently(
                lambda: self._control.ask(
                    lambda store: control.alerts.not_sent(
                        store, message.id, sent.problem, retry_after_s
                    )
                )
            )
            return
        await self._patiently(
            lambda: self._control.ask(lambda store: control.alerts.sent(store, message.id))
        )

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the store answers, however long it is away."""
        said = ""
        while True:
            try:
                return await ask()
            except ControlStoreUnavailable as error:
                if str(error) != said:
                    said = str(error)
                    _log.warning("alerts are not sent for now: %s", error)
                await asyncio.sleep(_STORE_RETRY_S)


def _message(
    channel: str, database: str, firing: list[Alert], over: list[Alert], now: float
) -> NewMessage:
    firing = sorted(firing, key=lambda alert: (-alert.severity, alert.rule, alert.labels))
    return NewMessage(
        channel,
        title_of(database, firing, over),
        body_of(database, firing, over, now),
        severity_of(firing),
        tuple(alert.key for alert in (*firing, *over)),
        told=tuple(
            Notice(channel, alert.key, alert.database, alert.rule, now, json.dumps(alert.as_json()))
            for alert in firing
        ),
        over=tuple(alert.key for alert in over),
    )
