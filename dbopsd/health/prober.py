"""Looks after one database on a connection of its own, and publishes what it finds.

One probe is in flight at most, and nobody waits for it: callers read the newest report. While an
answer is due, a ticker goes on publishing how long it has been, so that a database that hangs is
reported as such without anything having to come back.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar

from dbopsd.db.database import Database
from dbopsd.db.dsn import CATALOG_ONLY, Purpose
from dbopsd.db.errors import ConnectFailed, ConnectionLost, DatabaseError, QueryTimeout
from dbopsd.db.session import Session
from dbopsd.db.statement import load_sql
from dbopsd.health.backup_overview import BackupOverview
from dbopsd.health.check import Check, Measurement, Subject
from dbopsd.health.report import CheckResult, Report, ServerRole, State, Thresholds, summarise

_log = logging.getLogger(__name__)

_PROBE = load_sql(__package__, "probe.sql").statement


async def _never(_subject: Subject) -> Measurement:
    raise LookupError("the prober makes this check itself")


# Made here and not in a file of its own: it is about the probe itself, and must be told while
# nothing answers.
REACHABLE_CHECK = Check(
    name="reachable",
    unit="s",
    about="response time of a one-row query, or the time waited so far",
    reason="SLOW_ANSWER",
    measure=_never,
    thresholds=Thresholds(1.0, 5.0),
    every_s=1,
)

# What one check may take on the server. A check that takes longer is no check.
_STATEMENT_TIMEOUT_S = 2.0
# When a connection without an answer is given up for a new one. A server that was merely stopped
# answers on the old one once it goes on, so this is not short: each new try leaves it a backend.
GIVE_UP_S = 15.0
_TICK_S = 0.25
# How long the first report may wait for the hosts of a cluster.
_FIRST_LOOK_S = 1.0
_SILENT = "NO_ANSWER"
# How soon a login that failed is tried again.
_LOGIN_AGAIN_S = 2.0
_LOGGED_IN = "time to log in anew"
_RESTART_WAIT_S = 1.0
_RECONNECT_WAIT_S = (0.3, 0.7)
# How often a prober that sits on a standby of a cluster looks for a primary elsewhere. That this
# very standby was promoted, the next probe tells.
_LOOK_FOR_PRIMARY_S = 1.0


# Beside the probes, because a probe's session says nothing of the next one's: a postmaster that
# hangs, a password that was changed and a server that is full turn away new sessions only.
LOGIN_CHECK = Check(
    name="login",
    unit="s",
    about="time of a new login",
    reason="SLOW_LOGIN",
    measure=_never,
    thresholds=Thresholds(1.0, 5.0),
    every_s=30,
)
PROBER_CHECKS = (REACHABLE_CHECK, LOGIN_CHECK)


@dataclass(eq=False)
class ProberFailed(DatabaseError):
    """The prober itself failed: nothing is known of the database."""

    reason: ClassVar[str] = "PROBER_FAILED"

    cause: str

    @property
    def message(self) -> str:
        return f"the prober of database '{self.database}' failed ({self.cause}): see the log"


class Prober:
    """Probes `database` and makes `checks`, the first of which is `REACHABLE_CHECK`.

    `LOGIN_CHECK` may follow it; a test may do without.
    """

    def __init__(
        self,
        database: Database,
        checks: tuple[Check, ...],
        *,
        now: Callable[[], float] = time.time,
        give_up_s: float = GIVE_UP_S,
        backups: Callable[[], BackupOverview | None] = lambda: None,
    ) -> None:
        self._database = database
        self._name = database.name
        self._config = database.config.health
        self._reachable_check, *self._checks = checks
        self._now = now
        self._give_up_s = give_up_s
        self._backups = backups
        self._publish: Callable[[Report], None] = lambda _report: None
        self._reachable = self._reachable_check.not_measured(
            "NOT_PROBED_YET", "the first probe has not come back yet"
        )
        self._results: dict[str, CheckResult] = {
            check.name: check.not_measured("NOT_PROBED_YET", "not measured yet")
            for check in self._checks
        }
        self._login_check = next((c for c in self._checks if c.name == LOGIN_CHECK.name), None)
        self._due: dict[str, float] = {}
        self._measured_here: set[str] = set()
        self._role: ServerRole | None = None
        self._version = ""
        self._answered_at: float | None = None
        # Since when an answer is due, by time.monotonic(); None while nothing is asked.
        self._asked_at: float | None = None
        self._lost = False
        # For what goes on beside the probes; none of them waits for it.
        self._tasks: asyncio.TaskGroup

    def report(self) -> Report:
        """What is known now."""
        return summarise(
            self._name,
            (self._reachable, *(self._results[check.name] for check in self._checks)),
            server_role=self._role,
            server_version=self._version,
            answered_at=self._answered_at,
        )

    async def run(self, publish: Callable[[Report], None]) -> None:
        """Probe for ever and hand each new report to `publish`; ends by cancellation only."""
        self._publish = publish
        while True:
            try:
                await self._run_tasks()
            except* Exception as exc:  # noqa: BLE001 - or the last report would stand for ever
                _log.exception("the prober of database '%s' failed and begins anew", self._name)
                self._fail(exc)
            await asyncio.sleep(_RESTART_WAIT_S)

    async def _run_tasks(self) -> None:
        async with self._hosts_watched(), asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._tick(), name=f"{self._name}-prober-tick")
            if self._login_check is not None:
                tasks.create_task(self._try_logins(self._login_check), name=f"{self._name}-login")
            while True:
                try:
                    await self._probe_until_lost()
                except (ConnectFailed, ConnectionLost, QueryTimeout) as exc:
                    await self._lose(exc)
                except DatabaseError as exc:
                    _log.warning("the probe of database '%s' failed: %s", self._name, exc)
                    await self._lose(exc)

    @asynccontextmanager
    async def _hosts_watched(self) -> AsyncIterator[None]:
        cluster = self._database.cluster
        if cluster is None:
            yield
            return
        async with cluster.running():
            # So that the first report knows of them already, unless one of them hangs.
            await cluster.first_look(_FIRST_LOOK_S)
            yield

    def _fail(self, exc: BaseExceptionGroup[Exception]) -> None:
        """Say that nothing is known, because of an error of our own."""
        error = ProberFailed(self._name, type(exc.exceptions[0]).__name__)
        self._asked_at = None
        self._lost = True
        self._say_unreachable(error.reason, error.message, value=None, state=State.UNKNOWN)
        self._publish(self.report())

    async def _probe_until_lost(self) -> None:
        self._asked_at = time.monotonic()
        try:
            await self._probe_on("primary")
        except ConnectFailed:
            if not self._database.dsn.is_cluster:
                raise
            # No host takes writes; one that answers at all can still tell how things are.
            self._asked_at = time.monotonic()
            await self._probe_on("probe")

    async def _probe_on(self, purpose: Purpose) -> None:
        began = time.monotonic()
        async with self._connect(purpose) as session:
            login_s = time.monotonic() - began
            # It may lead to another server than the last one: all is looked at anew.
            self._measured_here.clear()
            self._forget_due()
            if self._login_check is not None:
                self._note_login(self._login_check, Measurement(login_s, _LOGGED_IN))
            search = None
            if purpose == "probe":
                search = self._tasks.create_task(self._find_primary())
            try:
                while search is None or not search.done():
                    await self._probe(session)
                    await self._check_server(session)
                    await self._check_daemon()
                    self._asked_at = None
                    self._publish(self.report())
                    if not self._lost:
                        # Else a check hung until silence was reported, which the next probe ends.
                        await asyncio.sleep(self._config.interval_s)
            finally:
                if search is not None:
                    search.cancel()

    def _connect(self, purpose: Purpose) -> AbstractAsyncContextManager[Session]:
        return self._database.dedicated_session(
            purpose,
            application_name="dbopsd-prober",
            query_timeout_s=self._give_up_s,
            settings={
                **CATALOG_ONLY,
                "statement_timeout": f"{_STATEMENT_TIMEOUT_S * 1000:.0f}",
                "lock_timeout": "100",
            },
        )

    async def _find_primary(self) -> None:
        """Return once a host of the cluster takes writes.

        Beside the probes: a host that is down takes its time, in which the standby still answers.
        """
        while True:
            await asyncio.sleep(_LOOK_FOR_PRIMARY_S)
            with contextlib.suppress(DatabaseError):
                async with self._connect("primary"):
                    return

    async def _try_logins(self, check: Check) -> None:
        """Log in anew now and then, while the probes' own session answers."""
        while True:
            await asyncio.sleep(_TICK_S)
            if not self._answers() or not self._is_due(check):
                continue
            began = time.monotonic()
            try:
                async with self._connect("probe"):
                    found = Measurement(time.monotonic() - began, _LOGGED_IN)
            except DatabaseError as exc:
                found = Measurement(None, exc.message, State.UNHEALTHY, exc.reason)
            # What became of the database meanwhile is the probe's to say.
            if self._answers():
                self._note_login(check, found)

    def _note_login(self, check: Check, found: Measurement) -> None:
        result = self._results[check.name] = check.result(found, at=self._now())
        again_s = check.every_s if result.state is State.HEALTHY else _LOGIN_AGAIN_S
        self._due[check.name] = time.monotonic() + again_s

    def _answers(self) -> bool:
        return self._reachable.state in (State.HEALTHY, State.DEGRADED)

    async def _probe(self, session: Session) -> None:
        asked_at = self._asked_at = time.monotonic()
        ((standby, version),) = await session.fetch_all(_PROBE)
        latency_s = time.monotonic() - asked_at
        self._answered_at = self._now()
        self._role = ServerRole.STANDBY if standby else ServerRole.PRIMARY
        self._version = str(version).split()[0]
        slow = self._reachable_check.thresholds.judge(latency_s) is not State.HEALTHY
        message = f"answered only after {latency_s:.1f} s" if slow else "time to its last answer"
        self._reachable = self._reachable_check.result(
            Measurement(latency_s, message), at=self._answered_at
        )
        if self._lost:
            self._lost = False
            _log.info("database '%s' answers again", self._name)
            # Not awaited: what is left of the pools' connections may hang one after the other.
            self._tasks.create_task(self._database.reconnect())

    async def _check_server(self, session: Session) -> None:
        for check in self._checks:
            if check.needs_server and check.measure is not _never and self._is_due(check):
                # The server itself ends a check that takes too long; only then is it overdue.
                self._asked_at = time.monotonic() + _STATEMENT_TIMEOUT_S
                await self._measure(check, session)

    async def _check_daemon(self) -> None:
        """Make the checks of the daemon itself, whatever the server does."""
        for check in self._checks:
            if not check.needs_server and self._is_due(check):
                await self._measure(check, None)

    def _is_due(self, check: Check) -> bool:
        return time.monotonic() >= self._due.get(check.name, 0.0)

    async def _measure(self, check: Check, session: Session | None) -> None:
        cluster = self._database.cluster
        subject = Subject(
            session,
            self._database.pool_stats(),
            self._config,
            self._database.dsn.is_cluster,
            self._now(),
            self._results[check.name] if check.name in self._measured_here else None,
            None if cluster is None else cluster.view(),
            self._backups(),
        )
        try:
            found = await check.measure(subject)
        except (ConnectionLost, QueryTimeout):
            raise
        except DatabaseError as exc:
            self._results[check.name] = check.not_measured(exc.reason, exc.message)
        else:
            self._results[check.name] = check.result(found, at=self._now())
            self._measured_here.add(check.name)
        # Half an interval early, or a check as frequent as the probe misses every other one.
        self._due[check.name] = time.monotonic() + check.every_s - self._config.interval_s / 2

    async def _lose(self, exc: DatabaseError) -> None:
        """Note that the database does not answer; a lost connection is made anew first."""
        self._asked_at = None
        if isinstance(exc, ConnectionLost) and not self._lost:
            # An administrator may end a session; that alone says nothing about the server.
            self._lost = True
            return
        if self._reachable.state is not State.UNHEALTHY:
            _log.warning("database '%s' does not answer: %s", self._name, exc)
        self._lost = True
        self._say_unreachable(exc.reason, exc.message, value=None)
        await self._check_daemon()
        self._publish(self.report())
        await asyncio.sleep(random.uniform(*_RECONNECT_WAIT_S))  # noqa: S311 - jitter

    def _say_unreachable(
        self,
        reason: str,
        message: str,
        *,
        value: float | None,
        state: State = State.UNHEALTHY,
    ) -> None:
        found = Measurement(value, message, state, reason)
        self._reachable = self._reachable_check.result(found, at=self._now())
        for check in self._checks:
            if check.needs_server:
                self._results[check.name] = check.not_measured(
                    "DATABASE_UNREACHABLE", "not measured: the database does not answer"
                )
        self._forget_due()

    def _forget_due(self) -> None:
        for check in self._checks:
            if check.needs_server:
                self._due.pop(check.name, None)

    async def _tick(self) -> None:
        """While an answer is due, say how long it has been; and what hosts say of themselves."""
        while True:
            await asyncio.sleep(_TICK_S)
            changed = self._database.cluster is not None and await self._hosts_changed()
            if self._asked_at is None:
                # Else the probe that is under way publishes it with what it finds itself.
                if changed:
                    self._publish(self.report())
                continue
            waited_s = max(time.monotonic() - self._asked_at, 0.0)
            state = self._reachable_check.thresholds.judge(waited_s)
            if state is State.HEALTHY:
                continue
            await self._check_daemon()
            self._say_silent(waited_s, state)
            self._publish(self.report())

    async def _hosts_changed(self) -> bool:
        """Whether a check of the cluster's hosts comes to another result than before."""
        changed = False
        for check in self._checks:
            if check.of_hosts:
                before = self._results[check.name]
                await self._measure(check, None)
                after = self._results[check.name]
                changed |= (before.state, before.reason) != (after.state, after.reason)
        return changed

    def _say_silent(self, waited_s: float, state: State) -> None:
        message = f"no answer for {waited_s:.1f} s: the server hangs, or the network is cut"
        unhealthy = self._reachable.state is State.UNHEALTHY
        if unhealthy and self._reachable.reason != _SILENT:
            return  # the attempt before this one said more: refused, unknown host …
        if state is State.UNHEALTHY:
            if not unhealthy:
                _log.warning("database '%s': %s", self._name, message)
            self._lost = True
            self._say_unreachable(_SILENT, message, value=waited_s)
        elif not unhealthy:
            found = Measurement(waited_s, message, state, _SILENT)
            self._reachable = self._reachable_check.result(found, at=self._now())
