"""What retention keeps, as properties over histories of clusters, and rule by rule."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.catalog.notes import Note, NoteKind
from dbopsd.backup.leases import Lease
from dbopsd.backup.retention.policy import Decision, decide, good_backups
from dbopsd.backup.retention.wal_needs import wal_needs
from dbopsd.backup.wal.archive import segment_key
from dbopsd.config.backup import RetentionConfig, span_s
from tests.support.backup_histories import HOUR, LAYOUT, SEGMENT_BYTES, ClusterHistory, record

FULL, INCREMENTAL, LOGICAL = BackupKind.FULL, BackupKind.INCREMENTAL, BackupKind.LOGICAL
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)

RULES = st.builds(
    RetentionConfig,
    keep=st.integers(0, 3),
    window=st.sampled_from([None, "0h", "5h", "20h", "60h"]),
    daily=st.integers(0, 3),
    weekly=st.integers(0, 2),
    monthly=st.integers(0, 2),
    yearly=st.integers(0, 1),
)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["gap", "full", "incremental", "logical"]), st.just(0)),
        st.tuples(st.just("switch"), st.integers(0, 12)),
        st.tuples(st.sampled_from(["break", "hold", "lease"]), st.integers(0, 5)),
        st.tuples(st.just("retention"), st.just(0)),
    ),
    max_size=40,
)


def judge(
    history: ClusterHistory, rules: RetentionConfig, leases: tuple[Lease, ...] = ()
) -> Decision:
    return decide(history.backups, rules, history.archive, leases, history.now)


def apply(history: ClusterHistory, decision: Decision, leases: tuple[Lease, ...] = ()) -> None:
    """Remove all that is not wanted, as if every grace were over."""
    history.backups = [each for each in history.backups if each.id in decision.kept]
    needs = wal_needs(history.backups, decision, history.archive, leases)
    if needs is not None:
        history.wal -= set(needs.unneeded(LAYOUT, history.wal))


def hold(backup: Backup, until: datetime) -> Backup:
    note = Note(backup.id, NoteKind.HOLD, until, {"until": until.isoformat()})
    return replace(backup, notes={NoteKind.HOLD: note})


@settings(max_examples=200, deadline=None)
@given(events=EVENTS, rules=RULES)
def test_whatever_happened_nothing_goes_that_is_wanted(
    events: list[tuple[str, int]], rules: RetentionConfig
) -> None:
    history = ClusterHistory()
    leases: tuple[Lease, ...] = ()
    for event, number in [*events, ("retention", 0)]:
        backups = history.backups
        match event:
            case "run":
                history.run(number)
            case "gap":
                history.run(stored=False)
            case "full":
                history.take(FULL)
            case "logical":
                history.take(LOGICAL)
            case "incremental":
                good = [each for each in good_backups(backups) if each.kind is not LOGICAL]
                history.take(INCREMENTAL, good[-1].id) if good else history.take(FULL)
            case "switch":
                history.switch(number)
            case "break" if backups:
                history.break_(backups[-1 - number % len(backups)])
            case "hold" if backups:
                index = number % len(backups)
                backups[index] = hold(backups[index], history.now + 10 * HOUR)
            case "lease" if backups:
                chosen = backups[number % len(backups)]
                assert chosen.record is not None
                needed = frozenset({chosen.id})
                leases = (Lease("restore-1", history.now, needed, chosen.record.start_lsn),)
            case "retention":
                retention_keeps_its_promises(history, rules, leases)


def retention_keeps_its_promises(
    history: ClusterHistory, rules: RetentionConfig, leases: tuple[Lease, ...]
) -> None:
    before = list(history.backups)
    reachable = list(history.reachable())
    segments = set(history.wal)
    decision = judge(history, rules, leases)
    known = {each.id for each in before}
    assert set(decision.kept) | set(decision.unwanted) == known
    assert not set(decision.kept) & set(decision.unwanted)
    apply(history, decision, leases)

    kept = {each.id: each.record for each in history.backups}
    good = [each for each in good_backups(before) if each.kind is not LOGICAL]
    # The newest good one stays, and what anything rests on.
    assert not good or good[-1].id in kept
    for each in before:
        if each.id in kept and each.record is not None and each.record.parent in known:
            assert each.record.parent in kept
        if each.held_until is not None and each.held_until > history.now:
            assert each.id in kept
        assert decision.kept.get(each.id, ("",)) != ()
    # A reader keeps what it reads, and WAL.
    for lease in leases:
        assert lease.backups & known <= set(kept)
        for key in segments - history.wal:
            name = key.rpartition("/")[2]
            if "marks" not in key and lease.wal_from is not None:
                assert Segment.parse(name, SEGMENT_BYTES).end <= lease.wal_from
    # As many good ones as the count says, damaged ones not among them.
    fulls = [each.id for each in good if each.kind is FULL]
    assert set(fulls[len(fulls) - rules.keep :] if rules.keep else ()) <= set(kept)
    # What is kept can still be restored.
    for each in kept.values():
        assert each is not None
        for number in range(each.start_lsn // SEGMENT_BYTES, each.stop_lsn // SEGMENT_BYTES + 1):
            segment = Segment(each.timeline, number, SEGMENT_BYTES)
            key = segment_key(LAYOUT, segment)
            assert each.kind is LOGICAL or key in history.wal or key not in segments
    # Every moment within the window that was reachable still is; without one, after the newest.
    still = set(history.reachable())
    if rules.window is not None:
        since = history.now - timedelta(seconds=span_s(rules.window))
        assert {moment for moment in reachable if moment.at >= since} <= still
    if good:
        assert {moment for moment in reachable if moment.at > good[-1].stop_time} <= still
    # Once more changes nothing.
    wal, backups = set(history.wal), list(history.backups)
    again = judge(history, rules, leases)
    assert not again.unwanted
    apply(history, again, leases)
    assert (history.wal, history.backups) == (wal, backups)


def test_all_of_a_window_is_kept_and_the_newest_one_before_it() -> None:
    history = ClusterHistory()
    taken = []
    for _ in range(5):
        taken.append(history.take(FULL))
        history.run(23)
    decision = judge(history, RetentionConfig(window="3d"))
    assert list(decision.unwanted) == [taken[0].id]
    assert decision.kept[taken[1].id] == ("the window of 3d begins after it",)
    assert decision.kept[taken[4].id] == ("the newest good backup", "in the window of 3d")


def test_wal_goes_that_is_older_than_the_window_but_for_that_of_kept_backups() -> None:
    history = ClusterHistory()
    old = history.take(FULL)
    assert old.record is not None
    for _ in range(3):
        history.run(23)
        history.take(FULL)
    apply(history, judge(history, RetentionConfig(window="1d", yearly=9, daily=9)))
    assert old in history.backups
    numbers = [each.number for each in history.archive.timelines[1].segments]
    # The old backup's own segment, and all from the last backup before the window on.
    assert numbers == [1, *range(25, 74)]
    assert [mark.lsn for mark in history.archive.timelines[1].marks] == [
        number * SEGMENT_BYTES for number in range(26, 75)
    ]


@pytest.mark.parametrize("broken", [0, 1, 2, 3])
def test_a_damaged_backup_satisfies_no_rule(broken: int) -> None:
    history = ClusterHistory()
    taken = []
    for _ in range(4):
        taken.append(history.take(FULL))
        history.run(23)
    history.break_(taken[broken])
    decision = judge(history, RetentionConfig(window=None, keep=2))
    good = [each.id for each in taken if each is not taken[broken]]
    assert set(decision.kept) - {taken[broken].id} == set(good[1:])
    # It is kept as long as nothing newer is good.
    assert (taken[broken].id in decision.kept) == (broken == 3)


def test_a_backup_whose_parent_is_damaged_is_not_good() -> None:
    history = ClusterHistory()
    first = history.take(FULL)
    history.run(5)
    second = history.take(FULL)
    child = history.take(INCREMENTAL, second.id)
    history.break_(second)
    history.run(100)
    decision = judge(history, RetentionConfig(window="1d"))
    assert "the newest good backup" in decision.kept[first.id]
    assert not decision.unwanted
    why = "damaged (verification found damage), and there is no newer good one"
    assert decision.kept[second.id] == (why, f"{child.id} rests on it")
    third = history.take(FULL)
    history.run(100)
    decision = judge(history, RetentionConfig(window="1d"))
    assert list(decision.kept) == [third.id]
    assert decision.unwanted[second.id].startswith(
        "damaged (verification found damage), and no rule"
    )


def test_without_any_good_backup_nothing_goes() -> None:
    history = ClusterHistory()
    only = history.take(FULL)
    history.run(500)
    history.break_(only)
    wal = set(history.wal)
    decision = judge(history, RetentionConfig(window="1d"))
    assert not decision.unwanted
    apply(history, decision)
    assert history.wal == wal


def test_tiers_keep_the_newest_full_backup_of_each_period() -> None:
    backups = []
    for day in range(500):
        for hour in (2, 14):
            made = record(FULL, NOW - timedelta(days=day) + timedelta(hours=hour - 14))
            backups.insert(0, Backup(made.id, made))
    rules = RetentionConfig(window=None, daily=3, weekly=2, monthly=2, yearly=5)
    archive = ClusterHistory().archive
    kept = decide(backups, rules, archive, (), NOW).kept
    days = sorted(id_.split("-")[1][:8] for id_ in kept)
    # 29 November is a Sunday, the last day of its week.
    assert days == ["20251231", "20261031", "20261128", "20261129", "20261130"]
    newest = next(id_ for id_ in kept if "20261130" in id_)
    assert kept[newest] == (
        "the newest good backup",
        "the newest of its day, of 3",
        "the newest of its week, of 2",
        "the newest of its month, of 2",
        "the newest of its year, of 5",
    )


def test_what_rests_on_one_of_the_newest_is_kept_with_it() -> None:
    history = ClusterHistory()
    old = history.take(FULL)
    old_child = history.take(INCREMENTAL, old.id)
    new = history.take(FULL)
    child = history.take(INCREMENTAL, new.id)
    grandchild = history.take(INCREMENTAL, child.id)
    decision = judge(history, RetentionConfig(window=None, keep=1))
    assert set(decision.kept) == {new.id, child.id, grandchild.id}
    assert set(decision.unwanted) == {old.id, old_child.id}


def test_dumps_of_different_things_do_not_count_for_each_other() -> None:
    def dump(hours: int, dbname: str, *tables: str) -> Backup:
        made = record(LOGICAL, NOW - hours * HOUR, dbname=dbname, tables=tables)
        return Backup(made.id, made)

    shop = [dump(9, "shop"), dump(8, "shop"), dump(7, "shop")]
    users = [dump(6, "shop", "a", "b"), dump(5, "shop", "b", "a")]
    other = [dump(4, "other")]
    rules = RetentionConfig(window=None, keep=1)
    decision = decide([*shop, *users, *other], rules, ClusterHistory().archive, (), NOW)
    assert set(decision.kept) == {shop[-1].id, users[-1].id, other[-1].id}


def dump(hours: int, *, schema_only: bool = True, problem: str = "") -> Backup:
    """A dump of so many hours ago."""
    made = record(LOGICAL, NOW - hours * HOUR, dbname="shop", schema_only=schema_only)
    return Backup(made.id, made, problem=problem)


def judge_dumps(dumps: list[Backup], rules: RetentionConfig) -> set[str]:
    """The ids of those that are kept."""
    decision = decide(dumps, rules, ClusterHistory().archive, (), NOW)
    return set(decision.kept)


COUNTS = {"keep": 1, "daily": 3, "weekly": 3, "monthly": 3, "yearly": 3}


@pytest.mark.parametrize("counts", [{}, COUNTS])
@pytest.mark.parametrize("window", [None, "5h"])
def test_dumps_of_a_schema_take_the_place_of_none_with_rows(
    window: str | None, counts: dict[str, int]
) -> None:
    with_rows = dump(900, schema_only=False)
    newer = [dump(hours) for hours in (30, 20, 4, 3)]
    rules = RetentionConfig(window=window, **counts)
    assert with_rows.id in judge_dumps([with_rows, *newer], rules)
    torn = dump(2, problem="torn")
    assert with_rows.id in judge_dumps([with_rows, torn], rules)


@pytest.mark.parametrize("counts", [{}, COUNTS])
def test_dumps_of_a_schema_go_with_the_window_to_the_last_one(counts: dict[str, int]) -> None:
    old, torn, young = dump(9), dump(8, problem="torn"), dump(4)
    rules = RetentionConfig(window="5h", **counts)
    assert judge_dumps([old, torn, young], rules) == {young.id}
    assert judge_dumps([old, torn], rules) == set()
    with_rows = dump(7, schema_only=False)
    assert judge_dumps([with_rows, old], rules) == {with_rows.id}
    # Where no window says how old they may be, as many stay as of others.
    assert judge_dumps([old, torn, young], RetentionConfig(window=None, keep=1)) == {young.id}
    assert judge_dumps([old, torn, young], RetentionConfig(window=None)) == set()
    unwanted = decide(
        [old], RetentionConfig(window=None), ClusterHistory().archive, (), NOW
    ).unwanted
    assert unwanted[old.id].endswith("(there is none; it holds the schema alone)")
    held = hold(old, NOW + HOUR)
    assert judge_dumps([held], rules) == {held.id}


def test_a_hold_that_is_over_keeps_nothing() -> None:
    history = ClusterHistory()
    first = history.take(FULL)
    history.take(FULL)
    rules = RetentionConfig(window=None, keep=1)
    history.backups[0] = hold(first, history.now + HOUR)
    (reason,) = judge(history, rules).kept[first.id]
    assert reason.startswith("held until 2026-01-01 03:00 UTC")
    history.backups[0] = hold(first, history.now - HOUR)
    assert first.id in judge(history, rules).unwanted


def test_within_the_grace_wal_stays_as_if_nothing_had_expired() -> None:
    history = ClusterHistory()
    for _ in range(4):
        history.take(FULL)
        history.run(23)
    decision = judge(history, RetentionConfig(window=None, keep=1))
    assert len(decision.unwanted) == 3
    needs = wal_needs(history.backups, decision, history.archive, ())
    assert needs is not None
    assert needs.unneeded(LAYOUT, history.wal) == []
    # One whose WAL has a gap already keeps its own only.
    gap = segment_key(LAYOUT, Segment(1, 30, SEGMENT_BYTES))
    history.wal.discard(gap)
    needs = wal_needs(history.backups, decision, history.archive, ())
    assert needs is not None
    gone = [key for key in needs.unneeded(LAYOUT, history.wal) if "marks" not in key]
    assert gone == [
        segment_key(LAYOUT, Segment(1, number, SEGMENT_BYTES))
        for number in range(2, 49)
        if number not in (25, 30)
    ]


def test_what_is_no_wal_is_left_alone_and_beginnings_go_with_their_segments() -> None:
    history = ClusterHistory()
    history.take(FULL)
    history.run(50)
    history.take(FULL)
    odd = {
        f"{LAYOUT.wal}history/00000002.history",
        f"{LAYOUT.wal}events/1-gap.json",
        f"{LAYOUT.wal}days/20260101-00",
    }
    history.wal |= odd
    old = f"{LAYOUT.wal}00000001/000000010000000000000005.partial.4096"
    history.wal.add(old)
    decision = judge(history, RetentionConfig(window=None, keep=1))
    history.backups = [each for each in history.backups if each.id in decision.kept]
    needs = wal_needs(history.backups, decision, history.archive, ())
    assert needs is not None
    assert needs.since == Lsn(history.backups[0].record.start_lsn)  # type: ignore[union-attr]
    gone = needs.unneeded(LAYOUT, history.wal)
    assert old in gone
    assert not odd & set(gone)


def test_a_timeline_that_left_before_the_newest_backup_keeps_the_one_that_leads_to_it() -> None:
    history = ClusterHistory()
    leads = history.take(FULL)
    history.run(10)
    history.take(FULL)
    history.switch(back=8)
    history.run(30)
    before = set(history.reachable())
    since = history.now - 20 * HOUR
    assert {moment.timeline for moment in before if moment.at >= since} == {2}
    apply(history, judge(history, RetentionConfig(window="20h")))
    assert leads.id in {each.id for each in history.backups}
    assert {moment for moment in before if moment.at >= since} <= set(history.reachable())


def test_a_timeline_of_unknown_descent_keeps_a_backup_of_every_one_before_it() -> None:
    history = ClusterHistory()
    first = history.take(FULL)
    history.switch()
    second = history.take(FULL)
    history.switch(back=1)
    history.run(100)
    known = judge(history, RetentionConfig(window="20h"))
    assert set(known.kept) == {first.id, second.id}
    assert "the window of 20h begins after it" in known.kept[first.id]
    del history.histories[3]
    unknown = judge(history, RetentionConfig(window="20h"))
    assert set(unknown.kept) == {first.id, second.id}


def test_a_timeline_without_marks_has_no_moments_of_after_it_was_stored() -> None:
    history = ClusterHistory()
    leads = history.take(FULL)
    history.run(10)
    left_at = history.now
    history.switch(back=2)
    history.run(5)
    last = history.take(FULL)
    history.run(100)
    history.wal = {key for key in history.wal if "/00000001/marks/" not in key}
    rules = RetentionConfig(window="20h")
    for stored_at, kept in (
        (None, {leads.id, last.id}),
        (left_at, {last.id}),
        (history.now - 2 * HOUR, {leads.id, last.id}),
        # The clocks of the store and of the server may differ.
        (history.now - 20.5 * HOUR, {leads.id, last.id}),
    ):
        last_stored = {} if stored_at is None else {1: stored_at}
        archive = replace(history.archive, last_stored=last_stored)
        assert set(decide(history.backups, rules, archive, (), history.now).kept) == kept


def test_the_newest_timeline_keeps_its_wal_while_no_backup_of_it_is_there() -> None:
    history = ClusterHistory()
    history.take(FULL)
    history.run(50)
    history.take(FULL)
    history.switch(back=30)
    history.run(5)
    of_newest = {key for key in history.wal if "/00000002/" in key}
    rules = RetentionConfig(window=None, keep=1)
    apply(history, judge(history, rules))
    assert len(history.backups) == 1
    assert of_newest <= history.wal
    # With one of its own, what is older goes.
    history.take(FULL)
    apply(history, judge(history, rules))
    assert not of_newest & history.wal
