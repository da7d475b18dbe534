"""Samples one database on at most two connections of its own, however many watch.

The quick collectors share one connection, the slow ones another, in whose place users' collectors
log in for a moment.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from dbopsd.config import DatabaseMetricsConfig, MetricsConfig
from dbopsd.db.database import Database
from dbopsd.health.backup_overview import BackupOverview
from dbopsd.health.report import Report
from dbopsd.metrics.collector import Collector
from dbopsd.metrics.model import Collection, CollectorState, CollectorStatus
from dbopsd.metrics.sampling.lane import Lane, lanes_of
from dbopsd.metrics.sampling.left_behind import LeftBehind
from dbopsd.metrics.sampling.newest import Newest, Publish
from dbopsd.metrics.sampling.pace import Pace
from dbopsd.metrics.sampling.queries import CollectorQueries
from dbopsd.metrics.sampling.top_states import TopStates
from dbopsd.metrics.sampling.turns import Turns
from dbopsd.metrics.sampling.user_collectors.lane import LEAST_INTERVAL_S, UserLane
from dbopsd.metrics.sampling.user_collectors.load import UserCollector
from dbopsd.metrics.source import (
    SOURCES_EVERY_S,
    OperationCounts,
    Source,
    SourceRunner,
    Subject,
)

# Samples are left out once they are older than so many intervals.
_STALE_AFTER: Final = 2.0


class Sampler:
    """Runs `collectors` and `sources` on `database`.

    `report` gives the prober's newest report, `operations` counts the database's operations,
    `backups` is how its backups do.
    `state_dir` is for what is kept over a restart. `siblings`: how many databases of the same
    server are sampled, with this one.
    `clock` is in seconds since 1970, `monotonic` for intervals.
    """

    def __init__(
        self,
        database: Database,
        collectors: Sequence[Collector],
        config: MetricsConfig,
        own: DatabaseMetricsConfig,
        *,
        report: Callable[[], Report],
        sources: Sequence[Source] = (),
        user_collectors: Sequence[UserCollector] = (),
        operations: Callable[[], OperationCounts] = dict,
        backups: Callable[[], BackupOverview | None] = lambda: None,
        state_dir: Path | None = None,
        siblings: int = 1,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        disabled = frozenset(own.disable)
        self._database = database
        self._collectors = [each for each in collectors if each.name not in disabled]
        self._user_collectors = [
            each
            for each in user_collectors
            if each.name not in disabled
            and database.name in (each.collector.header.databases or (database.name,))
        ]
        self._config = config
        self._report = report
        self._sources = SourceRunner(
            [each for each in sources if each.name not in disabled], monotonic
        )
        self._operations = operations
        self._backups = backups
        self._siblings = siblings
        self._clock = clock
        self._monotonic = monotonic
        self._tops = TopStates(state_dir and state_dir / database.name)
        self._scale = scale = own.interval_s / 10.0
        self._paces = {
            each.name: Pace(max(each.header.every_s * scale, 1.0)) for each in self._collectors
        }
        self._paces |= {
            each.name: Pace(max(each.collector.header.every_s * scale, LEAST_INTERVAL_S))
            for each in self._user_collectors
        }

    def pending(self) -> dict[str, Collection]:
        """What is known before the first run."""
        return {
            name: Collection(
                CollectorStatus(
                    name,
                    CollectorState.PENDING,
                    "NOT_SAMPLED_YET",
                    "not sampled yet",
                    interval_s=pace.interval_s,
                )
            )
            for name, pace in self._paces.items()
        }

    async def run(self, publish: Publish) -> None:
        """Sample for ever and hand what is new to `publish`; ends by cancellation only."""
        newest = Newest(publish)
        newest.put(self.pending())
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._sources.close)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            # One for each connection: users' collectors run in the place of the slow ones.
            left_behind = {name: LeftBehind(self._database) for name in ("quick", "slow")}
            turns = {name: Turns() for name in left_behind}
            for name, collectors in lanes_of(self._collectors).items():
                lane = Lane(
                    name,
                    self._database,
                    collectors,
                    self._paces,
                    CollectorQueries(
                        self._config,
                        self._tops,
                        self._scale,
                        siblings=self._siblings,
                        clock=self._clock,
                        monotonic=self._monotonic,
                    ),
                    newest,
                    left_behind[name],
                    turns[name],
                    report=self._report,
                    clock=self._clock,
                    monotonic=self._monotonic,
                )
                tasks.create_task(lane.run(), name=f"{self._database.name}-sampler-{name}")
            if self._user_collectors:
                user_lane = UserLane(
                    self._database,
                    self._user_collectors,
                    self._paces,
                    self._config,
                    newest,
                    left_behind["slow"],
                    turns["slow"],
                    report=self._report,
                    clock=self._clock,
                    monotonic=self._monotonic,
                )
                tasks.create_task(user_lane.run(), name=f"{self._database.name}-sampler-user")
            name = f"{self._database.name}-sampler-sources"
            tasks.create_task(self._run_sources(newest), name=name)

    async def _run_sources(self, newest: Newest) -> None:
        while True:
            newest.put(self._stale(newest))
            subject = Subject(
                self._database,
                self._report(),
                newest.collections,
                self._clock(),
                server=newest.server,
                runs=newest.runs,
                operations=self._operations(),
                backups=self._backups(),
            )
            newest.publish_other(self._sources.ask(subject))
            await asyncio.sleep(SOURCES_EVERY_S)

    def _stale(self, newest: Newest) -> dict[str, Collection]:
        """The collections of failing collectors whose samples are too old by now, without them."""
        now = self._clock()
        return {
            name: Collection(each.status)
            for name, each in newest.collections.items()
            if each.samples
            and each.status.state is CollectorState.FAILED
            and now - (each.status.sampled_at or 0.0) > _STALE_AFTER * self._paces[name].paid_s
        }
