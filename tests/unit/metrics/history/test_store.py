"""The file: what was written is read back, whatever became of it in between."""

import itertools
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from dbopsd.metrics.errors import HistoryDamaged
from dbopsd.metrics.history.reader import HistoryReader
from dbopsd.metrics.history.resolution import DAY_MS, HOUR_MS, Summary
from dbopsd.metrics.history.store import HistoryStore
from dbopsd.metrics.model import Metric, MetricType, Series
from tests.support.history import (
    LARGE,
    START_MS,
    counter,
    gauge,
    segment,
    work,
    write,
    write_history,
)
from tests.support.soak import Soak

LEVEL = gauge("level", "a")
COUNT = counter("count", "a")
TICK_MS = 10_000
MINUTE_MS = 60_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics" / "history.db"


def ticks(hours: float, start_ms: int = START_MS) -> list[int]:
    return [start_ms + TICK_MS * (each + 1) for each in range(int(hours * 360))]


def saw(at_ms: int) -> float:
    """A value for each time, which says what time it was."""
    return float((at_ms - START_MS) // TICK_MS % 1000)


def both(at_ms: int) -> dict[Series, float]:
    return {LEVEL: saw(at_ms), COUNT: float(at_ms // 1000)}


def read(
    path: Path, metric: str = "level", start_ms: int = 0, end_ms: int = START_MS + 400 * DAY_MS
) -> dict[str, dict[int, float]]:
    """The values of a metric by the first label and by time."""
    reader = HistoryReader(path)
    found = reader.read(reader.find("main", metric, start_ms, end_ms), start_ms, end_ms)
    return {
        each.series.labels[0]: dict(
            zip(each.samples.times.tolist(), each.samples.mean.tolist(), strict=True)
        )
        for each in found
        if len(each.samples.times)
    }


def chunks(path: Path) -> dict[int, bytes]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT key, samples FROM chunk"))


def count_of(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("sealed", [False, True])
def test_every_sample_is_read_back(path: Path, sealed: bool) -> None:
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, ticks(2.5), both)
    if sealed:
        work(store, ticks(2.5)[-1] + MINUTE_MS)
        assert count_of(path, "head") == 180
    wanted = {at_ms: saw(at_ms) for at_ms in ticks(2.5)}
    assert read(path) == {"a": wanted}
    assert read(path, "count") == {"a": {at_ms: float(at_ms // 1000) for at_ms in wanted}}
    # The start is not part of what was asked for, the end is.
    start, end = ticks(2.5)[100], ticks(2.5)[500]
    assert read(path, start_ms=start, end_ms=end) == {
        "a": {at_ms: value for at_ms, value in wanted.items() if start < at_ms <= end}
    }
    store.close()


def test_it_is_for_its_owner_alone(path: Path) -> None:
    write_history(path, ticks(0.1), both)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_series_come_and_go_and_their_order_does_not_matter(path: Path) -> None:
    store = HistoryStore(path, max_bytes=LARGE)
    wanted: dict[str, dict[int, float]] = {}
    order = random.Random(1)
    for number, at_ms in enumerate(ticks(1.2)):
        names = [name for place, name in enumerate("abcd") if (number + place * 7) % 50 > 10]
        order.shuffle(names)
        values = {
            gauge("level", name): float(number * 10 + place) for place, name in enumerate(names)
        }
        store.append({"main": [segment(at_ms, values)]})
        for series, value in values.items():
            wanted.setdefault(series.labels[0], {})[at_ms] = value
    assert read(path) == wanted
    assert count_of(path, "layout") <= 2**4
    work(store, START_MS + HOUR_MS + MINUTE_MS)
    assert read(path) == wanted
    store.close()


def test_databases_and_collectors_do_not_mix(path: Path) -> None:
    store = HistoryStore(path, max_bytes=LARGE)
    other = gauge("another", "a")
    for at_ms in ticks(1.1):
        store.append(
            {
                "main": [segment(at_ms, {LEVEL: 1.0}), segment(at_ms - 5, {other: 2.0}, "second")],
                "branch": [segment(at_ms, {LEVEL: 3.0})],
            }
        )
    work(store, START_MS + HOUR_MS + MINUTE_MS)
    reader = HistoryReader(path)
    far = START_MS + DAY_MS
    for database, metric, value in (
        ("main", "level", 1.0), ("main", "another", 2.0), ("branch", "level", 3.0)
    ):  # fmt: skip
        (found,) = reader.read(reader.find(database, metric, 0, far), 0, far)
        assert set(found.samples.mean.tolist()) == {value}
        assert len(found.samples.times) == len(ticks(1.1))
    assert reader.find("branch", "another", 0, far) == {}
    assert reader.find("main", "level", START_MS + DAY_MS, far + DAY_MS) == {}
    store.close()


def test_a_seal_that_was_cut_off_comes_to_the_same_chunks(path: Path, tmp_path: Path) -> None:
    many = {gauge("level", str(number)): 1.0 for number in range(40)}

    def values(at_ms: int) -> Mapping[Series, float]:
        return {each: saw(at_ms) + number for number, each in enumerate(many)}

    write_history(tmp_path / "whole.db", ticks(1.1), values)
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, ticks(1.1), values)
    now_ms = ticks(1.1)[-1] + MINUTE_MS
    wanted = read(path)
    steps = 0
    while True:
        steps += 1
        # Whoever reads meanwhile misses nothing and sees nothing twice.
        assert read(path) == wanted
        if not any(store.work(now_ms) is False for _ in range(steps)):
            store.close()
            store = HistoryStore(path, max_bytes=LARGE)
        else:
            break
    store.close()
    assert steps > 4
    assert chunks(path) == chunks(tmp_path / "whole.db")
    assert len(chunks(path)) == 3 * len(many)


def test_an_hour_that_the_clock_went_back_to_keeps_what_it_had(path: Path) -> None:
    store = HistoryStore(path, max_bytes=LARGE)
    first = ticks(1.2)
    write(store, first, lambda _: {LEVEL: 1.0})
    work(store, first[-1] + MINUTE_MS)
    again = [each + 3 for each in ticks(0.5, START_MS + HOUR_MS // 2)]
    write(store, again, lambda _: {LEVEL: 2.0})
    work(store, START_MS + 2 * HOUR_MS + MINUTE_MS)
    assert read(path) == {"a": {**dict.fromkeys(first, 1.0), **dict.fromkeys(again, 2.0)}}
    store.close()


def test_a_time_before_a_series_began_is_found_too(path: Path) -> None:
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, ticks(0.1), lambda _: {LEVEL: 1.0})
    before = ticks(0.1, START_MS - 5 * HOUR_MS)
    write(store, before, lambda _: {LEVEL: 2.0})
    wanted = {"a": dict.fromkeys(before, 2.0)}
    for _ in range(2):
        assert read(path, start_ms=before[0] - 1, end_ms=before[-1]) == wanted
        work(store, START_MS)
    store.close()


def test_a_tick_that_comes_late_is_in_its_own_hour(path: Path) -> None:
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, ticks(1), both)
    work(store, START_MS + HOUR_MS + 2 * MINUTE_MS)
    late = START_MS + HOUR_MS - 5
    write(store, [late], lambda _: {LEVEL: -7.0})
    work(store, START_MS + HOUR_MS + 2 * MINUTE_MS)
    assert read(path, start_ms=late - 1, end_ms=late) == {"a": {late: -7.0}}
    assert len(read(path)["a"]) == 361
    store.close()


def test_older_parts_are_minutes_and_hours_and_nothing_is_counted_twice(path: Path) -> None:
    days = 9
    times = [START_MS + MINUTE_MS // 2 * (each + 1) for each in range(days * 24 * 120)]
    store = HistoryStore(path, max_bytes=LARGE)
    for day in range(days):
        today = times[day * 24 * 120 : (day + 1) * 24 * 120]
        write(store, today, lambda at_ms: {LEVEL: saw(at_ms), COUNT: float(at_ms // 1000)})
        work(store, today[-1] + MINUTE_MS)
    now_ms = times[-1]
    reader = HistoryReader(path)
    (found,) = reader.read(reader.find("main", "level", 0, now_ms), 0, now_ms)
    apart = [int(each) for each in set(_steps(found.samples.times.tolist()))]
    assert sorted(apart) == [MINUTE_MS // 2, MINUTE_MS, HOUR_MS]
    assert found.step_ms == HOUR_MS
    (raw,) = reader.read(reader.find("main", "level", 0, now_ms), now_ms - DAY_MS // 2, now_ms)
    assert raw.step_ms == 0
    assert set(_steps(raw.samples.times.tolist())) == {MINUTE_MS // 2}
    for at_ms, mean, least, most in zip(*_lists(found.samples), strict=True):
        step = HOUR_MS if at_ms <= now_ms - 8 * DAY_MS else None
        if step:
            inside = [saw(each) for each in times if at_ms - step < each <= at_ms]
            assert (mean, least, most) == (
                pytest.approx(sum(inside) / len(inside)), min(inside), max(inside)
            )  # fmt: skip
    (counts,) = reader.read(reader.find("main", "count", 0, now_ms), 0, now_ms)
    assert counts.samples.mean.tolist() == [
        float(at_ms // 1000) for at_ms in counts.samples.times.tolist()
    ]
    store.close()


def _lists(summary: Summary) -> list[list[float]]:
    return [getattr(summary, name).tolist() for name in ("times", "mean", "least", "most")]


def _steps(times: list[int]) -> list[int]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@pytest.mark.parametrize("steady", [True, False])
def test_a_clock_that_may_be_wrong_deletes_nothing(path: Path, steady: bool) -> None:
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, ticks(1.1), both)
    work(store, ticks(1.1)[-1] + MINUTE_MS)
    work(store, START_MS + 800 * DAY_MS, clock_is_steady=steady)
    assert (count_of(path, "series"), count_of(path, "chunk") > 0) == (
        (0, False) if steady else (2, True)
    )
    store.close()


def test_what_is_over_its_size_goes_the_oldest_first(path: Path) -> None:
    limit = 600_000
    many = [gauge("level", str(number)) for number in range(60)]
    values = random.Random(1)
    store = HistoryStore(path, max_bytes=limit)
    times = ticks(9)
    for hour in range(9):
        write(
            store,
            times[hour * 360 : (hour + 1) * 360],
            lambda _: {each: float(values.randrange(10**6)) for each in many},
        )
        work(store, times[(hour + 1) * 360 - 1] + MINUTE_MS)
    store.close()
    # The pages that are free have been given back.
    assert path.stat().st_size <= limit * 1.1
    found = read(path)
    assert len(found) == len(many)
    kept = sorted(found["0"])
    assert kept[-1] == times[-1]
    assert kept[-360:] == times[-360:]
    # Minutes are kept for longer than samples.
    assert {MINUTE_MS, TICK_MS} <= set(_steps(kept))


def test_series_that_ended_do_not_fill_the_file_for_ever(path: Path) -> None:
    limit = 500_000
    store = HistoryStore(path, max_bytes=limit)
    for hour in range(12):
        start_ms = START_MS + hour * HOUR_MS
        for at_ms in range(start_ms + MINUTE_MS, start_ms + HOUR_MS, 10 * MINUTE_MS):
            values = {gauge("level", f"{hour}-{number}"): float(at_ms) for number in range(400)}
            store.append({"main": [segment(at_ms, {LEVEL: 1.0, **values})]})
        work(store, start_ms + HOUR_MS + MINUTE_MS)
    # One that goes on is there from its first hour.
    assert min(read(path)["a"]) <= START_MS + HOUR_MS
    assert "0-1" not in read(path)
    assert "11-1" in read(path)
    # Those of the last two hours are kept in any case; all would take six times as much.
    assert path.stat().st_size <= limit * 1.5
    # A series that was forgotten may come back.
    again = START_MS + 13 * HOUR_MS
    write(store, [again], lambda _: {gauge("level", "0-1"): 5.0})
    assert read(path)["0-1"] == {again: 5.0}
    store.close()


def test_ticks_that_take_too_much_are_sealed_before_the_hour_is_over(path: Path) -> None:
    store = HistoryStore(path, max_bytes=200_000)
    many = [gauge("level", str(number)) for number in range(100)]
    write(store, ticks(0.5), lambda at_ms: dict.fromkeys(many, saw(at_ms)))
    assert count_of(path, "head") == 180
    work(store, ticks(0.5)[-1])
    assert count_of(path, "head") == 0
    write(store, ticks(0.5, START_MS + HOUR_MS // 2), lambda at_ms: dict.fromkeys(many, saw(at_ms)))
    work(store, START_MS + HOUR_MS + MINUTE_MS)
    assert read(path)["7"] == {at_ms: saw(at_ms) for at_ms in ticks(1)}
    store.close()


def test_a_metric_that_is_described_anew_is_what_it_was_said_to_be_last(path: Path) -> None:
    write_history(path, ticks(0.1), lambda _: {LEVEL: 1.0})
    better = Series(Metric("level", MetricType.COUNTER, "s", "x", ("label0",)), ("a",))
    write_history(path, ticks(0.1, START_MS + HOUR_MS), lambda _: {better: 2.0})
    metric = HistoryReader(path).metric("main", "level")
    assert metric is not None
    assert (metric.type, metric.unit) == (MetricType.COUNTER, "s")
    assert len(read(path)["a"]) == 2 * len(ticks(0.1))


@pytest.mark.parametrize("damage", ["no database", "cut off", "torn", "a later version"])
def test_a_damaged_file_is_moved_aside_and_that_is_said(
    path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_history(path, ticks(1.1), both)
    whole = path.read_bytes()
    match damage:
        case "no database":
            path.write_bytes(b"no database at all" * 1000)
        case "cut off":
            path.write_bytes(whole[: len(whole) // 2])
        case "torn":
            path.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
        case _:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    store = HistoryStore(path, max_bytes=LARGE)
    later = ticks(0.1, START_MS + 2 * HOUR_MS)
    write(store, later, both)
    assert sorted(read(path)["a"])[-len(later) :] == later
    store.close()
    aside = path.with_suffix(".damaged")
    # SQLite counts in its header how often it changed a file.
    assert aside.read_bytes()[100:] == before[100:]
    assert str(aside) in caplog.text
    assert "is damaged" in caplog.text


def test_a_damaged_chunk_is_said_and_costs_no_other(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_history(path, ticks(1.1), both)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE chunk SET samples = x'00' WHERE key >= 2 << 60")
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, ticks(1, START_MS + HOUR_MS), both)
    work(store, START_MS + 2 * HOUR_MS + MINUTE_MS)
    store.close()
    assert "a part of the history of metrics is lost" in caplog.text
    assert len(read(path)["a"]) == len(ticks(2))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE chunk SET samples = x'00'")
    with pytest.raises(HistoryDamaged):
        read(path)


def test_what_cannot_be_written_leaves_nothing_behind(path: Path) -> None:
    """As on a full disk: the same error of SQLite, from a limit of pages."""
    store = HistoryStore(path, max_bytes=LARGE)
    write(store, ticks(0.1), both)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = {gauge("level", str(number)): 1.0 for number in range(500)}
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.append({"main": [segment(START_MS + HOUR_MS, many)]})
    assert set(read(path)) == {"a"}
    store._connection.execute("PRAGMA max_page_count = 1000000")
    store.append({"main": [segment(START_MS + HOUR_MS, many)]})
    assert len(read(path)) == 501
    store.close()


# It goes on where the file ends, and says each tick that it wrote.
_WRITER = """
import sys
from pathlib import Path
from dbopsd.metrics.history.store import HistoryStore
from tests.support.history import START_MS, counter, gauge, segment
store = HistoryStore(Path(sys.argv[1]), max_bytes=10**9)
series = [gauge("level", str(number)) for number in range(50)]
at_ms = int(sys.argv[2])
while True:
    at_ms += 10_000
    store.append({"main": [segment(at_ms, dict.fromkeys(series, float(at_ms)))]})
    print(at_ms, flush=True)
    if at_ms % 120_000 == 0:
        while store.work(at_ms):
            pass
"""


def killed(path: Path, since_ms: int, after: int) -> int:
    """Kill a writer after so many ticks, wherever it is then. The last one that it wrote."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), str(since_ms)],
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        for _ in range(after):
            last = int(writer.stdout.readline())
        writer.kill()
        said = writer.stdout.read().split("\n")
    return max([last, *(int(line) for line in said[:-1] if line)])


@pytest.mark.soak
def test_a_writer_that_is_killed_loses_no_tick_that_it_wrote(path: Path, soak: Soak) -> None:
    """It is killed at random moments, while it writes, seals and deletes, and goes on."""
    chance = soak.random()
    last = START_MS
    for _ in range(soak.scale(4, 200)):
        written = killed(path, last, chance.choice((3, 370, chance.randrange(1, 800))))
        found = read(path, start_ms=last)["7"]
        assert list(found) == list(range(last + TICK_MS, max(found) + 1, TICK_MS))
        assert all(value == float(at_ms) for at_ms, value in found.items())
        # The tick that it was about to say may be there, too.
        assert max(found) in (written, written + TICK_MS)
        last = max(found)
    before = read(path, start_ms=last - HOUR_MS // 2)
    store = HistoryStore(path, max_bytes=LARGE)
    work(store, last + 2 * HOUR_MS)
    assert read(path, start_ms=last - HOUR_MS // 2) == before
    store.close()
