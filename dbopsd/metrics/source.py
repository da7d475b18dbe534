"""What a source is: samples that no query gives. Each lives in a file of its own in `sources/`."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from dbopsd.db.database import Database
from dbopsd.health.backup_overview import BackupOverview
from dbopsd.health.report import Report
from dbopsd.metrics.errors import SourceNotApplicable
from dbopsd.metrics.model import (
    Collection,
    CollectorState,
    CollectorStatus,
    Metric,
    Sample,
    Series,
    is_number,
)
from dbopsd.metrics.server_facts import ServerFacts

_log = logging.getLogger(__name__)

SOURCES_EVERY_S: Final = 1.0
"""How often sources are asked: they ask nobody else, and `pg_up` must not be old."""

# A disk that does not answer for so long is reported.
_HANGS_AFTER_S: Final = 30.0

Value = tuple[Metric, tuple[str, ...], float | None]
"""A metric, the values of its labels, and its value; None: there is none."""

OperationCounts = Mapping[tuple[str, str], int]
"""How many operations there are, by kind and state."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a source may look at. `now` is in seconds since 1970."""

    database: Database
    report: Report
    collections: Mapping[str, Collection]
    now: float
    server: ServerFacts | None = None
    """What the server last said of itself; None before its first answer."""

    runs: int = 0
    """How often a collector has run."""

    operations: OperationCounts = field(default_factory=dict)

    backups: BackupOverview | None = None
    """The database's backups; None before the store was read, and where it has none."""


@dataclass(frozen=True, slots=True)
class Source:
    """Samples of the daemon's own, or of the machine that it runs on.

    `measure` may raise `SourceNotApplicable`. With `blocking` it runs in a thread, because it
    reads disks, which may not answer.
    """

    name: str
    about: str
    metrics: tuple[Metric, ...]
    measure: Callable[[Subject], Iterable[Value]]
    every_s: float = SOURCES_EVERY_S
    blocking: bool = False

    def samples(self, subject: Subject) -> tuple[Sample, ...]:
        """What it finds now."""
        return tuple(
            # A whole number from a check is no float yet, and cannot be written as one.
            Sample(Series(metric, labels), float(value), subject.now)
            for metric, labels, value in self.measure(subject)
            if value is not None and is_number(value)
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A source that a thread is at."""

    answer: Future[Collection]
    since: float


class SourceRunner:
    """Asks the sources of one database when they are due. `monotonic` is a clock for intervals."""

    def __init__(self, sources: Sequence[Source], monotonic: Callable[[], float]) -> None:
        self._sources = sources
        self._monotonic = monotonic
        self._due: dict[str, float] = {}
        self._asked: dict[str, _Asked] = {}
        self._threads: ThreadPoolExecutor | None = None

    def ask(self, subject: Subject) -> dict[str, Collection]:
        """What there is anew, by the source's name. Returns at once."""
        found: dict[str, Collection] = {}
        now = self._monotonic()
        for source in self._sources:
            asked = self._asked.get(source.name)
            if asked is not None:
                if asked.answer.done():
                    found[source.name] = asked.answer.result()
                    del self._asked[source.name]
                elif now - asked.since > _HANGS_AFTER_S:
                    found[source.name] = _without_samples(
                        source, CollectorState.FAILED, "NO_ANSWER", "a disk does not answer"
                    )
            elif self._due.get(source.name, 0.0) <= now:
                self._due[source.name] = now + source.every_s
                if source.blocking:
                    self._asked[source.name] = _Asked(self._in_thread(source, subject), now)
                else:
                    found[source.name] = _ask(source, subject)
        return found

    def close(self) -> None:
        """Let the thread end, once what it is at has."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _in_thread(self, source: Source, subject: Subject) -> Future[Collection]:
        if self._threads is None:
            # A thread of its own: one that hangs must not take those of other databases with it.
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="source")
        return self._threads.submit(_ask, source, subject)


def _ask(source: Source, subject: Subject) -> Collection:
    try:
        samples = source.samples(subject)
    except SourceNotApplicable as exc:
        return _without_samples(source, CollectorState.NOT_APPLICABLE, exc.reason, exc.message)
    except Exception as exc:  # noqa: BLE001 - or one source would end all sampling
        _log.exception("the source '%s' failed", source.name)
        return _without_samples(source, CollectorState.FAILED, "SOURCE_FAILED", str(exc))
    status = CollectorStatus(
        source.name, CollectorState.OK, sampled_at=subject.now, interval_s=source.every_s
    )
    return Collection(status, samples)


def _without_samples(
    source: Source, state: CollectorState, reason: str, message: str
) -> Collection:
    return Collection(
        CollectorStatus(source.name, state, reason, message, interval_s=source.every_s)
    )
