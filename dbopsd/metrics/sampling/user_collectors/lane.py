"""Runs users' collectors: logs in as their role when they are due, and out again."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from dbopsd.config import MetricsConfig
from dbopsd.db.database import Database
from dbopsd.db.errors import ConnectionLost, QueryTimeout
from dbopsd.db.session import Session
from dbopsd.errors import DbopsError
from dbopsd.health.report import Report, State
from dbopsd.metrics.collector import for_version
from dbopsd.metrics.model import Collection, CollectorState, CollectorStatus
from dbopsd.metrics.sampling.applicability import lacking
from dbopsd.metrics.sampling.lane import LOOK_AT_LOG
from dbopsd.metrics.sampling.left_behind import LeftBehind
from dbopsd.metrics.sampling.newest import Newest
from dbopsd.metrics.sampling.pace import Pace
from dbopsd.metrics.sampling.sampler_session import sampler_session
from dbopsd.metrics.sampling.turns import Turns
from dbopsd.metrics.sampling.user_collectors.bound import Limits, require_harmless, run_bounded
from dbopsd.metrics.sampling.user_collectors.load import UserCollector
from dbopsd.metrics.server_facts import ServerFacts, read_facts

_log = logging.getLogger(__name__)

LEAST_INTERVAL_S: Final = 5.0
"""Each round is a login, so none is sooner after the last one."""

# What is due so soon runs in the same round.
_TOGETHER_S: Final = 2.0
_LOOK_EVERY_S: Final = 0.5
_SILENT: Final = "NO_ANSWER"


class UserLane:
    """Runs `collectors` for ever; what is new goes to `newest`.

    Only while it runs them it has a connection, in the place of another one (`turns`): a session
    that is logged in as their role can never become the role of the DSN, whatever SQL it runs.
    `report` gives the prober's newest report, `clock` is in seconds since 1970, `monotonic` for
    intervals.
    """

    def __init__(
        self,
        database: Database,
        collectors: Sequence[UserCollector],
        paces: Mapping[str, Pace],
        config: MetricsConfig,
        newest: Newest,
        left_behind: LeftBehind,
        turns: Turns,
        *,
        report: Callable[[], Report],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._collectors = collectors
        self._paces = paces
        self._dsn = database.dsn.as_role(config.role or "", config.role_password_file)
        self._limits = Limits(config.collectors_max_rows, config.collectors_max_size)
        self._newest = newest
        self._left_behind = left_behind
        self._turns = turns
        self._report = report
        self._clock = clock
        self._monotonic = monotonic

    async def run(self) -> None:
        """Sample for ever; ends by cancellation only."""
        while True:
            due = self._due()
            if due and not self._answers():
                self._say_nothing_answers()
            elif due:
                async with self._turns.borrow():
                    if await self._left_behind.has_ended():
                        await self._round(due)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _due(self) -> set[str]:
        now = self._monotonic()
        due_at = {each.name: self._paces[each.name].due_at for each in self._collectors}
        if not due_at or min(due_at.values()) > now:
            return set()
        return {name for name, at in due_at.items() if at <= now + _TOGETHER_S}

    def _answers(self) -> bool:
        return self._report().checks[0].state in (State.HEALTHY, State.DEGRADED)

    def _say_nothing_answers(self) -> None:
        """Have none of them look fresh for as long as the server is known not to answer."""
        if self._report().checks[0].state is not State.UNHEALTHY:
            return
        silent = {
            each.name
            for each in self._collectors
            if self._newest.collections[each.name].status.reason != _SILENT
        }
        self._fail(silent, _SILENT, "the server does not answer")
        for name in silent:
            self._paces[name].lost()

    async def _round(self, due: set[str]) -> None:
        """Run those that are due, in one session unless one of them ends it."""
        waiting = set(due)
        while waiting:
            running: str | None = None
            facts: ServerFacts | None = None
            try:
                async with self._session() as session:
                    await require_harmless(session)
                    facts = await read_facts(session)
                    for collector in self._choose(waiting, facts):
                        running = collector.name
                        await self._collect(session, collector)
                        waiting.discard(running)
            except ConnectionLost as exc:
                # It may have ended its own session. The others are not to suffer from it.
                ended = waiting if running is None else {running}
                self._fail(ended, exc.reason, exc.message)
                waiting -= ended
            except DbopsError as exc:
                if isinstance(exc, QueryTimeout) and facts is not None:
                    self._left_behind.give_up(facts)
                self._fail(waiting, exc.reason, exc.message)
                return
            except Exception:  # noqa: BLE001 - or they would say for ever what they said last
                _log.exception("your own collectors on '%s' failed", self._database.name)
                self._fail(waiting, "COLLECTOR_FAILED", LOOK_AT_LOG)
                return

    def _session(self) -> AbstractAsyncContextManager[Session]:
        longest_s = max(each.collector.header.timeout_s for each in self._collectors)
        return sampler_session(
            self._database,
            "user",
            statement_timeout_s=longest_s,
            longest_timeout_s=longest_s,
            dsn=self._dsn,
        )

    def _choose(self, waiting: set[str], facts: ServerFacts) -> list[UserCollector]:
        """The variants that this server has; what the others lack is published."""
        variants = for_version((each.collector for each in self._collectors), facts.version)
        chosen = []
        for name in sorted(waiting):
            collector = variants.get(name)
            lacks = lacking(collector, facts)
            if lacks is None and collector is not None:
                chosen += [each for each in self._collectors if each.collector is collector]
                continue
            reason, message = lacks or ("", "")
            self._paces[name].succeeded(self._monotonic(), 0.0)
            status = CollectorStatus(name, CollectorState.NOT_APPLICABLE, reason, message)
            self._newest.put({name: Collection(status)})
            waiting.discard(name)
        return chosen

    async def _collect(self, session: Session, user: UserCollector) -> None:
        """Run it once. Raises `ConnectionLost` and `QueryTimeout`; other errors are its state."""
        pace = self._paces[user.name]
        began = self._monotonic()
        self._newest.runs += 1
        try:
            samples = await run_bounded(session, user, self._limits, self._clock())
        except (ConnectionLost, QueryTimeout):
            raise
        except DbopsError as exc:
            self._fail({user.name}, exc.reason, exc.message, self._monotonic() - began)
            return
        except Exception:  # noqa: BLE001 - or one collector would hold up the others
            _log.exception(
                "your own collector '%s' failed on database '%s'", user.name, self._database.name
            )
            self._fail({user.name}, "COLLECTOR_FAILED", LOOK_AT_LOG, self._monotonic() - began)
            return
        duration_s = self._monotonic() - began
        pace.succeeded(began, duration_s)
        status = CollectorStatus(
            user.name,
            CollectorState.OK,
            sampled_at=self._clock(),
            duration_s=duration_s,
            interval_s=pace.interval_s,
        )
        self._newest.put({user.name: Collection(status, samples)})

    def _fail(self, names: Iterable[str], reason: str, message: str, cost_s: float = 0.0) -> None:
        """Say why there are no fresh samples; the last ones are left out once they are stale."""
        failed = {}
        for name in names:
            pace, before = self._paces[name], self._newest.collections[name]
            pace.failed(self._monotonic(), cost_s)
            status = CollectorStatus(
                name,
                CollectorState.FAILED,
                reason,
                message,
                sampled_at=before.status.sampled_at,
                interval_s=pace.interval_s,
            )
            failed[name] = Collection(status, before.samples)
        self._newest.put(failed)
