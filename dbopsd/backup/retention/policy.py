"""Which backups are kept, and why. Pure: it sees lists and a clock, and touches nothing.

A good backup is one that can be restored, as far as is known: its record is whole, and so is what
it rests on. Only good backups satisfy a rule. Rules are for physical backups together, and for
logical ones by what they hold: the dumps of one database, or of the same tables of it.

A dump of the schema alone has no rows, so it satisfies no rule for a backup that has some. It is
kept as long as its time is in the window; where there is no window, by the rules that count, among
its like. The newest of them goes as the others do.

A damaged backup satisfies nothing and is kept as long as its time is in the window or there is no
newer good one: something may be saved from it yet. One of the schema alone is kept only in the
window. One that cannot be judged for want of a key satisfies nothing either, and is kept; WAL is
kept for it as if it were good. Days, weeks, months and years of tiers are those of UTC.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.leases import Lease
from dbopsd.backup.retention.recovery_bases import recovery_bases
from dbopsd.backup.wal.archive import WalArchive
from dbopsd.config.backup import RetentionConfig, span_s

_TIERS: Final[Mapping[str, Callable[[datetime], object]]] = {
    "day": lambda at: at.date(),
    "week": lambda at: at.isocalendar()[:2],
    "month": lambda at: (at.year, at.month),
    "year": lambda at: at.year,
}
_PHYSICAL: Final = "physical"


@dataclass(frozen=True)
class Decision:
    """What is to become of each backup, by its id."""

    kept: Mapping[str, tuple[str, ...]]
    """Every reason to keep it."""
    unwanted: Mapping[str, str]
    """Why it is not wanted. None of them is a child's parent, unless the child is unwanted too."""
    continuous: frozenset[str] = frozenset()
    """The backups from which on every moment is to be reachable: those of the window and of
    `keep`, and the newest good one; and those that would be, could they be judged."""


@dataclass
class _Reasons:
    """The reasons that were found so far."""

    kept: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    continuous: set[str] = field(default_factory=set)

    def add(self, record: CommitRecord, reason: str, *, continuous: bool = False) -> None:
        if reason not in self.kept[record.id]:
            self.kept[record.id].append(reason)
        if continuous:
            self.continuous.add(record.id)


def decide(
    backups: Sequence[Backup],
    rules: RetentionConfig,
    archive: WalArchive,
    leases: Iterable[Lease],
    now: datetime,
    unjudged: Mapping[str, str] = MappingProxyType({}),
) -> Decision:
    """Judge every backup of a cluster.

    `unjudged`: ids of backups that have a problem only because nobody can tell whose they are, and
    why. Where there is no good physical backup, none is unwanted; so it is with the dumps of a
    database.
    """
    reasons = _Reasons()
    _keep_held(backups, leases, now, reasons)
    for id_, why in unjudged.items():
        reasons.kept[id_].append(why)
    since = None if rules.window is None else now - timedelta(seconds=span_s(rules.window))
    series = _apply_rules(backups, rules, archive, since, reasons)
    if unjudged:
        as_if_good = [
            replace(each, problem="") if each.id in unjudged else each for each in backups
        ]
        as_if = _Reasons()
        _apply_rules(as_if_good, rules, archive, since, as_if)
        # Good ones are not judged by these reasons: a forged one would take the place of a real.
        reasons.continuous |= as_if.continuous & unjudged.keys()
    _keep_damaged(
        [each for each in backups if each.id not in unjudged], series, since, rules, reasons
    )
    _keep_parents(backups, reasons)
    unwanted = {
        each.id: _why_unwanted(each, rules) for each in backups if each.id not in reasons.kept
    }
    kept = {id_: tuple(texts) for id_, texts in reasons.kept.items()}
    return Decision(kept, unwanted, frozenset(reasons.continuous))


def _apply_rules(
    backups: Sequence[Backup],
    rules: RetentionConfig,
    archive: WalArchive,
    since: datetime | None,
    reasons: _Reasons,
) -> Mapping[object, Sequence[CommitRecord]]:
    """Find the reasons to keep good backups, which are returned by their series."""
    series: defaultdict[object, list[CommitRecord]] = defaultdict(list)
    for record in good_backups(backups):
        series[_series_of(record)].append(record)
    for name, records in series.items():
        has_rows = not records[-1].schema_only
        if has_rows:
            reasons.add(records[-1], "the newest good backup", continuous=True)
        if has_rows or since is None:
            _keep_newest(records, rules, reasons)
            _keep_of_tiers(records, rules, reasons)
        if since is not None:
            _keep_of_window(records, name is _PHYSICAL, archive, since, rules, reasons)
    return series


def good_backups(backups: Sequence[Backup]) -> list[CommitRecord]:
    """The records of the backups that are whole and rest on whole ones, ordered by their end."""
    good: dict[str, CommitRecord] = {}
    # Parents come before their children: a catalog is in the order of time.
    for each in backups:
        record = each.record
        if record is None or each.problem or (record.parent and record.parent not in good):
            continue
        good[each.id] = record
    return sorted(good.values(), key=lambda record: (record.stop_time, record.id))


def _keep_held(
    backups: Sequence[Backup], leases: Iterable[Lease], now: datetime, reasons: _Reasons
) -> None:
    living = list(leases)
    for each in backups:
        held_until = each.held_until
        if held_until is not None and held_until > now:
            reasons.kept[each.id].append(
                f"held until {held_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            )
        reasons.kept[each.id].extend(
            f"in use by {lease.holder}" for lease in living if each.id in lease.backups
        )
        if not reasons.kept[each.id]:
            del reasons.kept[each.id]


def _keep_newest(good: Sequence[CommitRecord], rules: RetentionConfig, reasons: _Reasons) -> None:
    text = f"one of the {rules.keep} newest"
    for record in _whole(good)[-rules.keep :] if rules.keep else ():
        reasons.add(record, text, continuous=True)
        for child in _resting_on(record.id, good):
            reasons.add(child, f"rests on {record.id}, {text}", continuous=True)


def _keep_of_tiers(good: Sequence[CommitRecord], rules: RetentionConfig, reasons: _Reasons) -> None:
    counts = (rules.daily, rules.weekly, rules.monthly, rules.yearly)
    for (unit, period), count in zip(_TIERS.items(), counts, strict=True):
        newest = {period(record.stop_time.astimezone(UTC)): record for record in _whole(good)}
        for record in list(newest.values())[-count:] if count else ():
            reasons.add(record, f"the newest of its {unit}, of {count}")


def _keep_of_window(
    good: Sequence[CommitRecord],
    physical: bool,
    archive: WalArchive,
    since: datetime,
    rules: RetentionConfig,
    reasons: _Reasons,
) -> None:
    before = [record for record in good if record.stop_time < since]
    newest = [record for record in before[-1:] if not record.schema_only]
    for record in recovery_bases(good, archive, since) if physical else newest:
        reasons.add(record, f"the window of {rules.window} begins after it", continuous=True)
    for record in good[len(before) :]:
        reasons.add(record, f"in the window of {rules.window}", continuous=True)


def _keep_damaged(
    backups: Sequence[Backup],
    good: Mapping[object, Sequence[CommitRecord]],
    since: datetime | None,
    rules: RetentionConfig,
    reasons: _Reasons,
) -> None:
    whole = {record.id for records in good.values() for record in records}
    for each in backups:
        record = each.record
        if each.id in whole:
            continue
        if record is None:
            reasons.kept[each.id].append("its commit record is damaged: delete it by hand")
            continue
        if record.schema_only and (since is None or record.stop_time < since):
            continue
        damaged = f"damaged ({each.problem or 'what it rests on is'})"
        newest = good.get(_series_of(record), ())[-1:]
        if not newest:
            reasons.add(record, f"{damaged}, and there is no good one")
        elif since is not None and record.stop_time >= since:
            reasons.add(record, f"{damaged}, in the window of {rules.window}")
        elif newest[0].stop_time < record.stop_time:
            reasons.add(record, f"{damaged}, and there is no newer good one")


def _keep_parents(backups: Sequence[Backup], reasons: _Reasons) -> None:
    known = {each.id: each.record for each in backups}
    for id_ in list(reasons.kept):
        child = known.get(id_)
        while child is not None and child.parent:
            parent = known.get(child.parent)
            if child.parent in known:
                text = f"{child.id} rests on it"
                if text not in reasons.kept[child.parent]:
                    reasons.kept[child.parent].append(text)
            child = parent


def _resting_on(id_: str, records: Sequence[CommitRecord]) -> list[CommitRecord]:
    direct = [record for record in records if record.parent == id_]
    return [*direct, *(below for each in direct for below in _resting_on(each.id, records))]


def _whole(records: Sequence[CommitRecord]) -> list[CommitRecord]:
    return [record for record in records if record.kind is not BackupKind.INCREMENTAL]


def _series_of(record: CommitRecord) -> object:
    """What rules are applied to together."""
    if record.kind is not BackupKind.LOGICAL:
        return _PHYSICAL
    return record.dbname, frozenset(record.tables), record.schema_only


def _why_unwanted(backup: Backup, rules: RetentionConfig) -> str:
    wants = [f"window {rules.window}"] if rules.window is not None else []
    wants += [
        f"{name} {count}"
        for name in ("keep", "daily", "weekly", "monthly", "yearly")
        if (count := getattr(rules, name))
    ]
    if backup.record is not None and backup.record.schema_only:
        rule = "; ".join([", ".join(wants) or "there is none", "it holds the schema alone"])
    else:
        rule = ", ".join(wants) or "only the newest one is kept"
    damaged = f"damaged ({backup.problem}), and " if backup.problem else ""
    return f"{damaged}no rule of retention wants it ({rule})"
