"""What the hosts of a cluster say of themselves, side by side, and what follows from it.

Which of them takes writes, which follow it, which are gone. Nothing here asks a server.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dbopsd.db.errors import DifferentClusters, SplitBrain, WritesRefused

# How long a host may go without an answer, or a standby without WAL that its primary has written.
SILENT_AFTER_S = 3.0
# A standby says how far it is every `wal_receiver_status_interval`, which is this by default.
STATUS_INTERVAL_S = 10.0
_LATE_REPORT_S = 3.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server a host is: two names or addresses may lead to the same one.

    `system` is the cluster's system identifier, None where the role may not see it; `started_at`
    when the server started, seconds since 1970.
    """

    system: int | None
    started_at: float


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """What a host said of itself; the columns of `cluster_host.sql`."""

    in_recovery: bool
    read_only: bool
    timeline: str | None
    wal_position: int | None
    """Bytes of WAL: flushed by a primary, received by a standby."""

    receiver_pid: int | None
    receiving: bool
    archive_only: bool
    status_interval_s: float
    report_ages_s: list[float] | None

    @property
    def takes_writes(self) -> bool:
        """Whether an ordinary transaction may write there."""
        return not self.in_recovery and not self.read_only


@dataclass(frozen=True, slots=True)
class HostView:
    """One host, as far as it is known now.

    `answer` is its last one, though it may be gone since. `gone` says why it does not answer,
    `astray` why a standby that does answer follows nobody; both are empty where all is well.
    `expected` is False for one of several addresses of a name that never answered. `silent_s` is
    the time since its last answer. From `primary_from` to `primary_until` it took writes for
    certain, by time.monotonic().
    """

    name: str
    expected: bool = True
    identity: Identity | None = None
    answer: HostAnswer | None = None
    gone: str = ""
    astray: str = ""
    silent_s: float = 0.0
    primary_from: float = 0.0
    primary_until: float = 0.0

    @property
    def known(self) -> bool:
        """Whether it has been looked at."""
        return self.answer is not None or bool(self.gone)

    @property
    def answers(self) -> bool:
        """Whether its last answer still holds."""
        return self.answer is not None and not self.gone


@dataclass(frozen=True, slots=True)
class MissingStandby:
    """A host that should follow the primary and does not."""

    host: str
    problem: str

    def __str__(self) -> str:
        return f"{self.host} {self.problem}"


@dataclass(frozen=True, slots=True)
class ClusterView:
    """All hosts of a cluster at one moment.

    `latched_s`: how long after its last answer a host still counts as taking writes; more than 0
    once two did, so that a short cut does not look like the end of it.
    """

    database: str
    hosts: tuple[HostView, ...]
    latched_s: float = 0.0

    @property
    def known(self) -> bool:
        """Whether every host was looked at."""
        return all(host.known for host in self.hosts if host.expected)

    @property
    def primaries(self) -> tuple[HostView, ...]:
        """The servers that take writes, each by the first of its names.

        Two only where both did at one moment: after a failover the last answer of the old primary
        may be newer than its end.
        """
        found = self._candidates
        overlapping = [
            host for host in found if any(_overlap(host, each) for each in found if each != host)
        ]
        if overlapping or not found:
            return tuple(overlapping)
        return (max(found, key=lambda host: host.primary_from),)

    @property
    def doubtful(self) -> bool:
        """Whether another look at the hosts tells if two take writes, or one did after another."""
        return len(self._candidates) > 1 and self.refusal is None

    @property
    def refusal(self) -> WritesRefused | None:
        """Why nothing may be written now; None: it may."""
        primaries = self.primaries
        if len(primaries) < 2:
            return None
        newest = max(host.answer.timeline or "" for host in primaries if host.answer)
        names = " and ".join(_with_timeline(host, newest) for host in primaries)
        if len(_systems(primaries)) > 1:
            return DifferentClusters(self.database, names)
        return SplitBrain(self.database, names)

    @property
    def strangers(self) -> str:
        """The hosts of each cluster where the DSN names several; empty: they are of one."""
        answering = [host for host in self.hosts if host.answers]
        systems = _systems(answering)
        if len(systems) < 2:
            return ""
        return "; ".join(
            ", ".join(
                host.name for host in answering if host.identity and host.identity.system == system
            )
            + f" of {system}"
            for system in systems
        )

    @property
    def missing(self) -> tuple[MissingStandby, ...]:
        """The hosts that neither take writes nor follow the one that does."""
        primaries = {host.identity for host in self.primaries}
        found = []
        for host in self.hosts:
            if not host.expected or not host.known or (host.answers and host.identity in primaries):
                continue
            if problem := host.gone or host.astray or _left_recovery(host):
                found.append(MissingStandby(host.name, problem))
        return tuple(found)

    def connected_standbys(self) -> int | None:
        """How many standbys the primary hears of; None where that cannot be known."""
        ages = self._report_ages()
        if ages is None:
            return None
        return sum(age <= self._report_limit_s for age in ages)

    def late_standbys(self) -> tuple[float, ...]:
        """For how long standbys that are still connected have not reported to the primary."""
        return tuple(age for age in self._report_ages() or () if age > self._report_limit_s)

    @property
    def _report_limit_s(self) -> float:
        known = (host.answer.status_interval_s for host in self.hosts if host.answer is not None)
        intervals = list(known)
        if not all(intervals):
            return float("inf")  # somebody reports only when asked
        return max((STATUS_INTERVAL_S, *intervals)) + _LATE_REPORT_S

    def _report_ages(self) -> list[float] | None:
        for host in self.primaries:
            if host.answer is not None:
                return host.answer.report_ages_s
        return None

    @property
    def _candidates(self) -> list[HostView]:
        return list(_distinct(host for host in self.hosts if self._takes_writes(host)))

    def _takes_writes(self, host: HostView) -> bool:
        if host.answer is None or not host.answer.takes_writes:
            return False
        return host.answers or host.silent_s < self.latched_s


def _distinct(hosts: Iterable[HostView]) -> Iterator[HostView]:
    seen = set()
    for host in hosts:
        if host.identity not in seen:
            seen.add(host.identity)
            yield host


def _overlap(one: HostView, other: HostView) -> bool:
    return max(one.primary_from, other.primary_from) <= min(one.primary_until, other.primary_until)


def _systems(hosts: Iterable[HostView]) -> list[int]:
    return sorted(
        {
            host.identity.system
            for host in hosts
            if host.identity is not None and host.identity.system is not None
        }
    )


def _with_timeline(host: HostView, newest: str) -> str:
    timeline = host.answer.timeline if host.answer else None
    if not timeline:
        return host.name
    return f"{host.name} (timeline {int(timeline, 16)}{', the newest' * (timeline == newest)})"


def _left_recovery(host: HostView) -> str:
    """What is wrong with a server that is no standby and does not take writes either."""
    if host.answer is None or host.answer.in_recovery or not host.answer.read_only:
        return ""
    return "is no standby: it left recovery and is read-only"
