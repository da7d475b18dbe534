"""What statements cost within a window, from a history that was really written."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest

from dbopsd.metrics.errors import HistoryUnavailable
from dbopsd.metrics.history.numbers import Segment
from dbopsd.metrics.history.store import HistoryStore
from dbopsd.metrics.model import Metric, MetricType, Series
from dbopsd.metrics.statements.window import Order, StatementHistory

END = 1_800_000_000.0
LABELS = ("user", "datname", "queryid")
OTHERS = ("(others)", "(others)", "(others)")
A, B = ("app", "shop", "1"), ("app", "shop", "-2")
NAMES = (
    *("calls_total", "seconds_total", "rows_total", "blocks_hit_total", "blocks_read_total"),
    *("blocks_written_total", "temp_blocks_total", "block_read_seconds_total"),
    *("block_write_seconds_total", "wal_bytes_total"),
)
# What a statement gains a second, by metric.
QUICK = {"calls_total": 2.0, "seconds_total": 0.5, "rows_total": 4.0, "blocks_read_total": 1.0}
SLOW = {"calls_total": 0.1, "seconds_total": 0.2, "temp_blocks_total": 3.0, "wal_bytes_total": 10.0}


def series(labels: tuple[str, str, str], name: str) -> Series:
    metric = Metric(f"pg_stat_statements_{name}", MetricType.COUNTER, "1", "", LABELS)
    return Series(metric, labels)


def write(
    path: Path, times: Iterable[float], counters: Mapping[tuple[str, str, str], object]
) -> None:
    """Samples at these times: `counters` gives a statement's counters at a time, or None."""
    store = HistoryStore(path, max_bytes=10**8)
    for at in times:
        found = {key: value(at) for key, value in counters.items()}  # type: ignore[operator]
        present = {key: value for key, value in found.items() if value is not None}
        segment = Segment(
            "stat_statements",
            tuple(series(key, name) for key in present for name in NAMES),
            round(at * 1000),
            np.array([value.get(name, 0.0) for value in present.values() for name in NAMES]),
        )
        store.append({"main": [segment]})
    store.close()


def growing(rates: Mapping[str, float], since: float = END - 100_000):
    return lambda at: {name: rate * (at - since) for name, rate in rates.items()}


def history(path: Path) -> StatementHistory:
    return StatementHistory(path, clock=lambda: END)


def times(start: float, end: float = END, step: float = 10.0) -> list[float]:
    return list(np.arange(start, end + 0.1, step))


async def test_a_window_has_its_growth_and_that_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    # From half an hour ago on, A takes four times as long.
    turn = END - 1800

    def a(at: float) -> dict[str, float]:
        grown = growing(QUICK)(at)
        grown["seconds_total"] += max(at - turn, 0) * 1.5
        return grown

    write(path, times(END - 4000), {A: a, B: growing(SLOW), OTHERS: growing(QUICK)})
    found = await history(path).windows("main", Order.TOTAL, 1800, 10)
    assert [(each.role, each.postgres_database, each.query_id) for each in found.statements] == [
        A,
        B,
    ]
    first = found.statements[0]
    assert first.figures.total_s == pytest.approx(3600, rel=1e-3)
    assert first.figures.calls == pytest.approx(3600, rel=1e-3)
    assert first.figures.rows == pytest.approx(7200, rel=1e-3)
    assert first.figures.mean_s == pytest.approx(1.0, rel=1e-3)
    assert first.earlier is not None
    assert first.earlier.total_s == pytest.approx(900, rel=1e-2)
    # The rest is no statement, and a part of all the time.
    assert found.all_s == pytest.approx(3600 + 360 + 900, rel=1e-2)
    assert found.covered_s == pytest.approx(1800, abs=11)


@pytest.mark.parametrize(
    ("order", "first"),
    [(Order.TOTAL, A), (Order.MEAN, B), (Order.CALLS, A), (Order.IO, A), (Order.TEMP, B)],
)
async def test_each_order_has_its_own_first(
    tmp_path: Path, order: Order, first: tuple[str, str, str]
) -> None:
    path = tmp_path / "history.db"
    write(path, times(END - 900), {A: growing(QUICK), B: growing(SLOW)})
    (found,) = (await history(path).windows("main", order, 600, 1)).statements
    assert (found.role, found.postgres_database, found.query_id) == first


async def test_what_the_history_does_not_cover_is_said(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    write(path, times(END - 1000), {A: growing(QUICK)})
    found = await history(path).windows("main", Order.TOTAL, 3600, 10)
    assert found.covered_s == pytest.approx(1000, abs=11)
    assert found.statements[0].earlier is None
    assert found.statements[0].figures.calls == pytest.approx(2000, rel=1e-2)
    assert any("1000 s of 3600 s" in note for note in found.not_known), found.not_known
    assert any("window before" in note for note in found.not_known)


async def test_a_reset_gives_no_negative_growth(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    reset = END - 300

    def a(at: float) -> dict[str, float]:
        return growing(QUICK, reset if at >= reset else END - 100_000)(at)

    write(path, times(END - 1300), {A: a})
    found = await history(path).windows("main", Order.CALLS, 600, 10)
    assert 1100 < found.statements[0].figures.calls <= 1200


async def test_a_gap_is_shared_out_by_time(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    # Nothing between: the daemon was down. Half of the gap is within the window.
    write(path, [END - 1260, END - 1200, END - 0.5], {A: growing(QUICK)})
    found = await history(path).windows("main", Order.CALLS, 600, 10)
    assert found.statements[0].figures.calls == pytest.approx(1200, rel=1e-2)


async def test_a_statement_that_came_among_the_costliest_had_figures_of_0(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    came = END - 500

    def b(at: float) -> dict[str, float] | None:
        return growing(SLOW)(at) if at >= came else None

    write(path, times(END - 1300), {A: growing(QUICK), B: b})
    found = await history(path).windows("main", Order.TOTAL, 600, 10)
    new = found.statements[1]
    assert new.earlier is not None
    assert new.earlier.calls == 0
    assert new.figures.total_s == pytest.approx(100, rel=0.05)


async def test_without_samples_it_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with pytest.raises(HistoryUnavailable, match="nothing has been recorded"):
        await history(path).windows("main", Order.TOTAL, 600, 10)
    write(path, [END - 5000], {A: growing(QUICK)})
    with pytest.raises(HistoryUnavailable):
        await history(path).windows("main", Order.TOTAL, 600, 10)
    with pytest.raises(HistoryUnavailable):
        await history(path).windows("other", Order.TOTAL, 600, 10)
