"""How the backups of a database do, for health and metrics; without a server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dbopsd.app.backup_watch import backup_intervals, longest_pause
from dbopsd.backup.catalog.commit import CommitRecord, write_commit
from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.catalog.layout import time_name
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.catalog.notes import NoteKind, write_note
from dbopsd.backup.codec.sealed_object import DataKey
from dbopsd.backup.overview import read_overview
from dbopsd.backup.repository import Repository, open_repository
from dbopsd.backup.wal.events import EventKind, events_folder, write_event
from dbopsd.health.backup_overview import BackupOverview, LastBackup, LastDrill, span_text
from dbopsd.health.check import Check, Measurement, Subject, load_checks
from dbopsd.health.report import CheckResult, State
from dbopsd.metrics.errors import SourceNotApplicable
from dbopsd.metrics.source import Subject as SourceSubject
from dbopsd.metrics.sources.backups import SOURCE
from dbopsd.operations.record import Schedule
from tests.support.stored_backups import SYSTEM, backup_config, store_backup

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
CHECKS: dict[str, Check] = {each.name: each for each in load_checks() if each.of_backups}


def schedule(kind: str, cron: str, request: str = "{}", **fields: Any) -> Schedule:
    return Schedule("s", "main", kind, request, cron, "UTC", **fields)


def test_the_longest_pause_is_that_between_all_schedules_together() -> None:
    daily = schedule("k", "0 2 * * *")
    assert longest_pause([daily], NOW) == DAY_S
    assert longest_pause([daily, schedule("k", "0 14 * * *")], NOW) == 12 * HOUR_S
    assert longest_pause([schedule("k", "0 8,14,20 * * *")], NOW) == 12 * HOUR_S
    assert longest_pause([schedule("k", "0 2 * * 1-5")], NOW) == 3 * DAY_S
    assert longest_pause([replace(daily, paused=True)], NOW) is None
    assert longest_pause([], NOW) is None


def test_each_kind_of_backup_has_its_own_pause() -> None:
    schedules = [
        schedule("create-backup", "0 2 * * *", '{"kind":"FULL"}'),
        schedule("create-backup", "0 */6 * * *", '{"kind":"INCREMENTAL"}'),
        schedule("drill-backup", "0 4 * * *"),
        schedule("create-backup", "0 0 * * 0", '{"kind":"LOGICAL"}', paused=True),
        schedule("create-backup", "0 * * * *", '{"kind":"LOGICAL","schema_only":true}'),
    ]
    assert backup_intervals(schedules, NOW) == {"full": DAY_S, "incremental": 6 * HOUR_S}


async def store_as(repository: Repository, record: CommitRecord, **changes: Any) -> None:
    """Have the record say something else."""
    key = repository.layout(SYSTEM).commit(record.id)
    await repository.store.delete(key)
    await repository.store.create(key, write_commit(replace(record, **changes), None))


async def test_it_is_read_from_the_store(tmp_path: Path) -> None:
    config = backup_config(tmp_path, encrypted=False)
    assert (await read_overview("main", config, {"full": 1.0}, 2.0)).newest == {}
    async with open_repository("main", config) as repository:
        full = await store_backup(repository, "full-1")
        later = full.stop_time + timedelta(hours=6)
        stopped = {"start_time": later, "stop_time": later + timedelta(minutes=1)}
        fallen = await store_backup(repository, "full-2")
        await store_as(repository, fallen, **stopped, fallback="no summaries")
        broken = await store_backup(repository, "full-3")
        far = later + timedelta(days=1)
        await store_as(repository, broken, start_time=far, stop_time=far)
        layout = repository.layout(SYSTEM)
        await write_note(repository.store, layout, "full-3", NoteKind.VERIFIED, {"ok": False})
        report = {
            "recovery_seconds": 3.5,
            "recovery_point_seconds": 7.0,
            "checks": [{"name": "start", "ok": True}, {"name": "rows", "ok": False}],
        }
        fields = {"ok": False, "report": report}
        await write_note(repository.store, layout, "full-1", NoteKind.DRILLED, fields)
        for number in (1, 2):
            event = {"timeline": 1, "start": Lsn(number), "end": Lsn(9), "cause": "it is a test"}
            found_gap = await write_event(repository.store, layout, EventKind.GAP, **event)
    found = await read_overview("main", config, {"full": DAY_S}, 2.0)
    assert set(found.newest) == {"full", "incremental"}
    last = found.newest["full"]
    assert last == found.newest["incremental"]
    assert (last.ended_at, last.duration_s) == ((later + timedelta(minutes=1)).timestamp(), 60.0)
    assert last.stored_bytes == fallen.stored_bytes
    assert last.size_bytes == fallen.size_bytes
    assert found.broken == ("full-3",)
    assert found.oldest_at == full.stop_time.timestamp()
    assert found.stored["full"][0] == 3
    assert found.stored["logical"] == (0, 0)
    assert (found.intervals_s, found.drill_interval_s) == ({"full": DAY_S}, 2.0)
    assert found.drill is not None
    assert (found.drill.ok, found.drill.failed) == (False, ("rows",))
    assert (found.drill.recovery_s, found.drill.recovery_point_s) == (3.5, 7.0)
    assert found.wal_events == {"gap": found_gap.at.timestamp()}
    # One that cannot be read hides no other, and its name says what happened when.
    folder = tmp_path / "store" / events_folder(layout)
    (damaged,) = [each for each in folder.iterdir() if time_name(found_gap.at) in each.name]
    damaged.write_bytes(b"")
    (folder / "no-event.json").touch()
    assert (await read_overview("main", config, {}, None)).wal_events == found.wal_events
    limited = config.model_copy(update={"max_age": "36h", "drill_max_age": "3d"})
    found = await read_overview("main", limited, {"full": 1.0}, 1.0)
    assert list(found.intervals_s.values()) == [DAY_S]
    assert found.drill_interval_s == 2 * DAY_S


async def test_a_forged_backup_is_neither_the_newest_nor_the_oldest(tmp_path: Path) -> None:
    config = backup_config(tmp_path)
    async with open_repository("main", config) as repository:
        real = await store_backup(repository, "full-2")
        foreign = DataKey(bytes.fromhex(real.data_key), bytes(32))
        for id_, days in (("full-1", -1), ("full-3", 1)):
            at = real.stop_time + timedelta(days=days)
            forged = replace(real, id=id_, start_time=at, stop_time=at, streams=())
            key = repository.layout(SYSTEM).commit(id_)
            await repository.store.create(key, write_commit(forged, foreign))
    found = await read_overview("main", config, {}, None)
    assert found.newest["full"].ended_at == real.stop_time.timestamp()
    assert found.oldest_at == real.stop_time.timestamp()


async def test_dumps_of_a_schema_are_counted_apart_and_are_no_backups(tmp_path: Path) -> None:
    config = backup_config(tmp_path, encrypted=False)
    dump = {"kind": BackupKind.LOGICAL, "dbname": "shop"}
    async with open_repository("main", config) as repository:
        rows = await store_backup(repository, "logical-1")
        await store_as(repository, rows, **dump)
        schema = await store_backup(repository, "logical-2")
        later = schema.stop_time + timedelta(days=1)
        await store_as(repository, schema, **dump, schema_only=True, stop_time=later)
        limited = config.model_copy(update={"max_age": "36h"})
        found = await read_overview("main", limited, {}, None)
        assert found.newest["logical"].ended_at == rows.stop_time.timestamp()
        assert found.intervals_s == {"logical": DAY_S}
        assert found.stored["logical"] == (1, rows.stored_bytes)
        assert found.stored["schema-only"] == (1, schema.stored_bytes)
        await repository.store.delete(repository.layout(SYSTEM).commit("logical-1"))
    found = await read_overview("main", limited, {}, None)
    assert (found.newest, found.intervals_s) == ({}, {})
    assert (await judge("backups", found)).reason == "BACKUP_MISSING"
    values = {
        (sample.series.metric.name, sample.series.labels): sample.value
        for sample in SOURCE.samples(subject_of(found))
    }
    assert values["dbops_backups", ("schema-only",)] == 1.0
    assert values["dbops_backups", ("logical",)] == 0.0
    assert not [name for name, _ in values if "last_success" in name]


GOOD = BackupOverview(
    NOW.timestamp(),
    newest={"full": LastBackup(NOW.timestamp() - 20 * HOUR_S, 60.0, 1000, 100)},
    stored={"full": (2, 300), "logical": (0, 0)},
    oldest_at=NOW.timestamp() - 10 * DAY_S,
    intervals_s={"full": DAY_S, "incremental": 1.0},
    attempt_ok=True,
    drill=LastDrill(NOW.timestamp() - 10 * HOUR_S, True, (), 5.0, 6.0),
    drill_interval_s=DAY_S,
    wal_events={"gap": NOW.timestamp() - HOUR_S},
)


async def judge(name: str, overview: BackupOverview | None) -> CheckResult:
    subject = Subject(
        None, cast("Any", None), cast("Any", None), False, NOW.timestamp(), backups=overview
    )
    found: Measurement = await CHECKS[name].measure(subject)
    return CHECKS[name].result(found, at=NOW.timestamp())


@pytest.mark.parametrize(
    ("name", "changes", "state", "reason", "says"),
    [
        ("backups", {}, State.HEALTHY, "", "2 backups are there"),
        ("backups", {"broken": ("full-1",)}, State.DEGRADED, "BACKUP_BROKEN", "full-1"),
        ("backups", {"stored": {}}, State.DEGRADED, "BACKUP_MISSING", "no backup yet"),
        ("backups", {"problem": "gone"}, State.UNKNOWN, "STORE_NOT_READ", "gone"),
        ("backup_age", {}, State.HEALTHY, "", "20 h old; 36 h is too old"),
        ("backup_age", {"intervals_s": {}}, State.HEALTHY, "", "not judged"),
        (
            "backup_age",
            {"intervals_s": {"full": 13 * HOUR_S}},
            State.DEGRADED,
            "BACKUP_TOO_OLD",
            "the newest full backup is 20 h old",
        ),
        ("backup_attempt", {}, State.HEALTHY, "", "succeeded"),
        ("backup_attempt", {"attempt_ok": None}, State.HEALTHY, "", "not judged"),
        (
            "backup_attempt",
            {"attempt_ok": False, "attempt_problem": "no room"},
            State.DEGRADED,
            "BACKUP_FAILED",
            "no room",
        ),
        ("drill_age", {}, State.HEALTHY, "", "10 h ago; 36 h is too long"),
        ("drill_age", {"drill_interval_s": HOUR_S}, State.DEGRADED, "DRILL_OVERDUE", "10 h ago"),
        ("drill_age", {"drill": None}, State.DEGRADED, "DRILL_OVERDUE", "no drill was ever made"),
        ("drill_age", {"drill": None, "oldest_at": None}, State.HEALTHY, "", "not judged"),
        ("drill_age", {"drill_interval_s": None}, State.HEALTHY, "", "not judged"),
        ("drill_result", {}, State.HEALTHY, "", "passed every check"),
        (
            "drill_result",
            {"drill": LastDrill(1.0, False, ("rows", "amcheck"))},
            State.DEGRADED,
            "DRILL_FAILED",
            "rows, amcheck",
        ),
    ],
)
async def test_checks_judge_by_it(
    name: str, changes: dict[str, Any], state: State, reason: str, says: str
) -> None:
    found = await judge(name, replace(GOOD, **changes))
    assert (found.state, found.reason) == (state, reason)
    assert says in found.message
    assert found.value is None or isinstance(found.value, float)


async def test_nothing_is_judged_before_the_store_was_read() -> None:
    for name in CHECKS:
        found = await judge(name, None)
        assert found.state is State.HEALTHY
        assert found.message.startswith("not judged")


def test_backups_never_take_a_database_out_of_service() -> None:
    assert len(CHECKS) == 5
    for check in CHECKS.values():
        assert check.thresholds.critical is None
        assert not check.needs_server


def test_spans_are_for_people() -> None:
    assert [span_text(each) for each in (50 * 60, 36 * HOUR_S, 9 * DAY_S)] == [
        "50 min",
        "36 h",
        "9 d",
    ]


def subject_of(overview: BackupOverview | None, *, configured: bool = True) -> SourceSubject:
    database = SimpleNamespace(config=SimpleNamespace(backup=object() if configured else None))
    return SourceSubject(cast("Any", database), cast("Any", None), {}, 0.0, backups=overview)


def test_metrics_tell_of_it() -> None:
    values = {
        (sample.series.metric.name, sample.series.labels): sample.value
        for sample in SOURCE.samples(subject_of(GOOD))
    }
    assert values["dbops_backup_last_success_timestamp_seconds", ("full",)] == (
        NOW.timestamp() - 20 * HOUR_S
    )
    assert values["dbops_backup_last_compression_ratio", ("full",)] == 10.0
    assert values["dbops_backup_interval_seconds", ("full",)] == DAY_S
    assert values["dbops_backup_last_attempt_success", ()] == 1.0
    assert values["dbops_backups", ("logical",)] == 0.0
    assert values["dbops_wal_archive_event_timestamp_seconds", ("gap",)] == GOOD.wal_events["gap"]
    assert values["dbops_drill_last_success", ()] == 1.0
    assert values["dbops_drill_last_recovery_seconds", ()] == 5.0
    assert {name for name, _ in values} == {each.name for each in SOURCE.metrics}
    failing = replace(GOOD, attempt_ok=False, problem="gone", drill=None)
    values = {
        (sample.series.metric.name, sample.series.labels): sample.value
        for sample in SOURCE.samples(subject_of(failing))
    }
    assert values["dbops_backup_last_attempt_success", ()] == 0.0
    assert values["dbops_backup_store_read_success", ()] == 0.0
    assert ("dbops_drill_last_success", ()) not in values


def test_a_database_without_backups_has_no_such_metrics() -> None:
    assert SOURCE.samples(subject_of(None)) == ()
    with pytest.raises(SourceNotApplicable):
        SOURCE.samples(subject_of(None, configured=False))


def test_a_backup_kind_is_named_as_the_command_names_it() -> None:
    assert [kind.value.lower() for kind in BackupKind] == ["full", "incremental", "logical"]
