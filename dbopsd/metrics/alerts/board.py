"""The alerts of every database, for everybody who asks: listed, and watched as they change."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.metrics.alerts.alert import Alert, AlertState
from dbopsd.operations.alert_records import Silence

# For those who watch slowly.
_ENDED_KEPT_S: Final = 600.0

EVERY_RULE: Final = "*"
# After every time that there is.
_LATEST_MS: Final = 10**13

Identity = tuple[AlertState, int, str, float, float | None]


@dataclass(frozen=True, slots=True)
class _Entry:
    """An alert and the number of its last change; `ended`: it was pending, and is gone."""

    alert: Alert
    number: int
    ended: bool = False


class AlertBoard:
    """Reading never waits. Alerts that a silence covers carry its id."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._silences: tuple[Silence, ...] = ()
        self._number = 0
        self._changed = asyncio.Event()
        self._drained = False

    def alerts(self, databases: Collection[str] | None = None) -> list[Alert]:
        """The alerts of these databases, or of all, the most severe first."""
        found = [
            entry.alert
            for entry in self._entries.values()
            if not entry.ended and (databases is None or entry.alert.database in databases)
        ]
        return sorted(found, key=order)

    def publish(self, database: str, alerts: Iterable[Alert], now: float) -> bool:
        """Take the alerts of a database as they are. Whether a state has changed."""
        before = self._number
        present = {}
        for alert in alerts:
            entry = self._entries.get(alert.key)
            kept = replace(alert, notified_at=entry.alert.notified_at) if entry else alert
            present[alert.key] = self._silenced(kept, now)
        for key, alert in present.items():
            self._put(key, alert)
        for key, entry in list(self._entries.items()):
            if entry.alert.database != database or key in present:
                continue
            if entry.ended:
                if now - (entry.alert.resolved_at or now) > _ENDED_KEPT_S:
                    del self._entries[key]
            elif entry.alert.resolved_at is not None:
                del self._entries[key]
            else:
                self._number += 1
                self._entries[key] = _Entry(entry.alert.resolved(now), self._number, ended=True)
        if self._number != before:
            self._wake()
        return self._number != before

    def silence(self, silences: Iterable[Silence], now: float) -> None:
        """Take the silences that are in force."""
        self._silences = tuple(silences)
        before = self._number
        for key, entry in list(self._entries.items()):
            if not entry.ended:
                self._put(key, self._silenced(entry.alert, now))
        if self._number != before:
            self._wake()

    def notified(self, keys: Iterable[str], at: float) -> None:
        """People were notified of these alerts."""
        for key in keys:
            entry = self._entries.get(key)
            if entry is not None:
                alert = replace(entry.alert, notified_at=at)
                self._entries[key] = replace(entry, alert=alert)

    def drain(self) -> None:
        """The daemon stops: every watch ends."""
        self._drained = True
        self._wake()

    async def changed(self, within_s: float) -> None:
        """Wait for a change, and no longer than that."""
        waiting = self._changed
        try:
            async with asyncio.timeout(within_s):
                await waiting.wait()
        except TimeoutError:
            pass

    async def watch(self, databases: Collection[str] | None) -> AsyncGenerator[Alert | None, None]:
        """Yield the alerts that are not resolved, None, and then each that changes, as it is then.

        Ends when the daemon drains. A slow reader gets an alert's newest state, once.
        """
        seen = self._number
        for alert in self.alerts(databases):
            if alert.state is not AlertState.RESOLVED:
                yield alert
        yield None
        while not self._drained:
            waiting = self._changed
            # As it was before they are sent: what changes meanwhile is sent by the next round.
            newest = self._number
            for entry in sorted(self._since(seen), key=lambda each: each.number):
                if databases is None or entry.alert.database in databases:
                    yield entry.alert
            seen = newest
            if self._number == seen and not self._drained:
                await waiting.wait()

    def _since(self, number: int) -> list[_Entry]:
        return [entry for entry in self._entries.values() if entry.number > number]

    def _silenced(self, alert: Alert, now: float) -> Alert:
        if not alert.firing:
            return replace(alert, silence="")
        covering = next((each for each in self._silences if covers(each, alert, now)), None)
        return replace(alert, silence=covering.id if covering else "")

    def _put(self, key: str, alert: Alert) -> None:
        entry = self._entries.get(key)
        if entry is not None and not entry.ended and _identity(entry.alert) == _identity(alert):
            self._entries[key] = replace(entry, alert=alert)
            return
        self._number += 1
        self._entries[key] = _Entry(alert, self._number)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def order(alert: Alert) -> str:
    """Sorts alerts by how much they want to be seen: what fires, the most severe, the newest."""
    since_ms = round((alert.fired_at or alert.started_at) * 1000)
    return f"{_PLACES[alert.state]} {9 - alert.severity} {_LATEST_MS - since_ms:014} {alert.key}"


def covers(silence: Silence, alert: Alert, now: float) -> bool:
    """Whether a silence keeps notifications of the alert back now."""
    return (
        now < silence.end
        and silence.rule in (EVERY_RULE, alert.rule)
        and silence.database in ("", alert.database)
        and set(silence.labels) <= set(alert.labels)
    )


_PLACES: Mapping[AlertState, int] = {
    AlertState.FIRING: 0,
    AlertState.PENDING: 1,
    AlertState.SILENCED: 2,
    AlertState.RESOLVED: 3,
}


def _identity(alert: Alert) -> Identity:
    return alert.state, alert.severity, alert.silence, alert.started_at, alert.fired_at
