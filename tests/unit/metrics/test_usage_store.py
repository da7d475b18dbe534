"""The record of use: since when an index is quiet, and what tables gained in a day."""

from pathlib import Path
from typing import Any

import pytest

from dbopsd.metrics.advice.usage.look import Look
from dbopsd.metrics.advice.usage.store import UsageStore

DAY = 86_400.0
START = 1_800_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> UsageStore:
    return UsageStore(tmp_path / "made" / "use.db")


def look(
    scans: dict[str, int],
    *,
    identity: str = "7/5",
    reset_at: str = "",
    standby: bool = False,
    **counted: dict[str, dict[str, int]],
) -> Look:
    return Look(identity, standby, reset_at, scans, counted)


def use(store: UsageStore, days: float, database: str = "main") -> dict[str, Any]:
    return store.use_of(database, START + days * DAY, unused_days=30)


def quiet_days(store: UsageStore, days: float, key: str = "1") -> float:
    return float(use(store, days)["indexes"][key]["quiet_s"]) / DAY


def record(store: UsageStore, days: float, seen: Look, database: str = "main") -> None:
    store.record(database, seen, START + days * DAY)


def test_nothing_is_known_without_a_look(store: UsageStore) -> None:
    assert use(store, 0) == {}
    record(store, 0, look({"1": 5}))
    assert use(store, 0, "other") == {}


def test_an_index_is_quiet_since_it_was_last_seen_to_grow(store: UsageStore) -> None:
    # What it was searched before it was first seen says nothing of when.
    record(store, 0, look({"1": 5}))
    assert quiet_days(store, 0) == 0
    record(store, 10, look({"1": 5, "2": 0}))
    assert quiet_days(store, 10) == 10
    record(store, 12, look({"1": 6, "2": 0}))
    assert quiet_days(store, 40) == pytest.approx(28)
    assert quiet_days(store, 40, "2") == pytest.approx(30)
    assert use(store, 40)["watched_s"] == 40 * DAY


def test_counters_that_began_anew_begin_the_window_anew(store: UsageStore) -> None:
    record(store, 0, look({"1": 0, "2": 7}))
    record(store, 20, look({"1": 0, "2": 7}, reset_at="2027-01-21"))
    assert quiet_days(store, 31) == pytest.approx(11)
    assert use(store, 31)["watched_s"] == pytest.approx(11 * DAY)
    # Of one index alone, by pg_stat_reset_single_table_counters.
    record(store, 25, look({"1": 0, "2": 3}, reset_at="2027-01-21"))
    assert quiet_days(store, 31, "2") == pytest.approx(6)
    assert quiet_days(store, 31, "1") == pytest.approx(11)


def test_another_server_has_nothing_to_do_with_what_was_seen(store: UsageStore) -> None:
    record(store, 0, look({"1": 0}, tables={"9": {"scans": 1}}))
    record(store, 35, look({"1": 0}, identity="8/5"))
    found = use(store, 36)
    assert found["watched_s"] == DAY
    assert found["indexes"]["1"]["quiet_s"] == DAY
    assert "tables" not in found


def test_what_was_dropped_is_forgotten(store: UsageStore) -> None:
    record(store, 0, look({"1": 0, "2": 0}, tables={"9": {"scans": 1}, "8": {"scans": 1}}))
    record(store, 1, look({"2": 0}, tables={"8": {"scans": 1}}))
    assert set(use(store, 1)["indexes"]) == {"2"}
    assert set(use(store, 1)["tables"]) == {"8"}


def test_a_standby_of_the_same_server_counts_too(store: UsageStore) -> None:
    record(store, 0, look({"1": 0, "2": 0}))
    record(store, 0, look({"1": 0, "2": 0}, standby=True), "reader")
    record(store, 0, look({"1": 0, "2": 0}, standby=True, identity="8/5"), "foreign")
    record(store, 10, look({"1": 4, "2": 0}, standby=True), "reader")
    record(store, 10, look({"1": 0, "2": 9}, standby=True, identity="8/5"), "foreign")
    for name in ("reader", "foreign"):
        scans = {"1": 4, "2": 0} if name == "reader" else {"1": 0, "2": 9}
        identity = "7/5" if name == "reader" else "8/5"
        record(store, 31, look(scans, standby=True, identity=identity), name)
    found = use(store, 31)
    assert found["indexes"]["1"]["elsewhere"] is True
    assert found["indexes"]["2"]["elsewhere"] is False
    assert found["standbys"] == 1
    # One that was not seen lately is not known.
    assert use(store, 33)["standbys"] == 0


def test_counters_are_compared_with_those_of_a_day_ago_or_two(store: UsageStore) -> None:
    for hour in range(60):
        record(store, hour / 24, look({}, tables={"9": {"scans": hour, "dead": 100 - hour}}))
    found = use(store, 60 / 24)["tables"]["9"]
    assert 24 <= found["age_s"] / 3600 <= 49
    assert found["scans"] == 60 - found["age_s"] / 3600
    # A reset of the counters: nothing is negative.
    record(store, 61 / 24, look({}, tables={"9": {"scans": 0, "dead": 0}}))
    assert use(store, 61 / 24)["tables"]["9"] == {"scans": 0, "dead": 0, "age_s": 0}


def test_what_belongs_to_no_object_is_there_as_itself(store: UsageStore) -> None:
    record(store, 0, look({}, checkpoints={"": {"timed": 3, "requested": 4}}))
    assert use(store, 0.5)["checkpoints"] == {"timed": 3, "requested": 4, "age_s": DAY / 2}
