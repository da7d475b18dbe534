"""Questions about the history, answered from a file that the store wrote."""

from pathlib import Path

import pytest

from dbopsd.errors import InvalidField
from dbopsd.metrics.errors import HistoryUnavailable, MetricNotFound
from dbopsd.metrics.history.aggregate import Aggregation
from dbopsd.metrics.history.query import History, Question
from dbopsd.metrics.history.resolution import HOUR_MS
from tests.support.history import START_MS, counter, gauge, write_history

TIMES = [START_MS + 10_000 * (each + 1) for each in range(720)]
START, END = START_MS / 1000, TIMES[-1] / 1000
QUIET = gauge("level", "quiet")
LOUD = gauge("level", "loud")
COUNT = counter("count", unit="By")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    path = tmp_path_factory.mktemp("history") / "history.db"
    write_history(
        path,
        TIMES,
        lambda at_ms: {
            QUIET: 1.0,
            LOUD: float(at_ms // 10_000 % 6),
            # It begins anew every hour.
            COUNT: 5.0 * ((at_ms - START_MS) // 10_000 % 360),
        },
    )
    return History(path, clock=lambda: END)


async def ask(history: History, metric: str = "level", **options: object):
    return await history.ask(Question("main", metric, **{"labels": {}, **options}))


async def test_by_default_a_gauge_has_the_mean_of_a_day_and_a_counter_its_rate(history):
    answer = await ask(history)
    assert (answer.how, answer.step_s) == (Aggregation.MEAN, 300.0)
    quiet = next(line for line in answer.lines if line.series == QUIET)
    assert set(quiet.points.values.tolist()) == {1.0}
    assert [at % 300_000 for at in quiet.points.times.tolist()] == [0] * 24
    assert quiet.points.times[-1] == TIMES[-1]
    counts = await ask(history, "count")
    assert counts.how is Aggregation.RATE
    (line,) = counts.lines
    assert line.points.values.max() == pytest.approx(0.5)
    assert line.points.values.min() > 0
    assert line.resets.tolist() == [START_MS + HOUR_MS, START_MS + 2 * HOUR_MS]


async def test_labels_choose_series(history):
    answer = await ask(history, labels={"label0": "loud"})
    assert [line.series for line in answer.lines] == [LOUD]
    assert (await ask(history, labels={"label0": "nobody"})).lines == []


async def test_steps_are_on_a_grid_of_their_own(history):
    """The same question asked a little later has the same points."""
    first = await ask(history, start=START + 7, end=END - 13, step_s=60)
    later = await ask(history, start=START + 12, end=END - 8, step_s=60)
    for one, other in zip(first.lines, later.lines, strict=True):
        assert one.points.times.tolist() == other.points.times.tolist()
        assert one.points.values.tolist() == other.points.values.tolist()


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        (Aggregation.LAST, {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}),
        (Aggregation.MEAN, {2.5}),
        (Aggregation.MIN, {0.0}),
        (Aggregation.MAX, {5.0}),
        (Aggregation.QUANTILE, {4.5}),
    ],
)
async def test_every_aggregation(history, how, wanted):
    answer = await ask(
        history, labels={"label0": "loud"}, start=START, end=END, step_s=60, how=how, quantile=0.9
    )
    (line,) = answer.lines
    assert set(line.points.values.tolist()) <= wanted
    assert len(line.points.times) == 120


async def test_an_increase_sums_up_to_what_was_counted(history):
    answer = await ask(history, "count", start=START, end=END, step_s=600, how=Aggregation.INCREASE)
    (line,) = answer.lines
    assert line.points.values.sum() == 5.0 * (359 - 1) + 5.0 * 360 - 5.0


@pytest.mark.parametrize("step_s", [10, 60, 7200])
async def test_the_first_growth_is_that_since_the_sample_before_the_start(history, step_s):
    answer = await ask(
        history, "count", start=START + 7200 - step_s, end=END, step_s=step_s, how=Aggregation.RATE
    )
    (line,) = answer.lines
    assert line.points.times.tolist() == [TIMES[-1]]
    if step_s == 60:
        # Five growths of 5 within its minute, and a reset: 6 samples need a seventh before them.
        assert line.points.values.tolist() == [25.0 / 60]


async def test_before_and_after_the_history_there_are_no_points(history):
    assert (await ask(history, start=START - 9000, end=START - 4000)).lines == []
    assert (await ask(history, start=END + 4000, end=END + 9000)).lines == []


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("start_time", {"start": END + 1}),
        ("start_time", {"start": -1.0}),
        ("end_time", {"end": 1e15}),
        ("step", {"step_s": 0.5}),
        ("step", {"start": END - 20_000, "step_s": 1}),
        ("aggregation", {"how": Aggregation.RATE}),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_field(history, field, options):
    with pytest.raises(InvalidField) as caught:
        await ask(history, **options)
    assert caught.value.field == field


async def test_a_metric_that_never_was_is_not_found(history):
    with pytest.raises(MetricNotFound):
        await ask(history, "nope")
    with pytest.raises(MetricNotFound):
        await history.ask(Question("branch", "level", {}))


async def test_before_the_first_tick_it_says_so(tmp_path: Path):
    with pytest.raises(HistoryUnavailable, match="nothing has been recorded yet"):
        await ask(History(tmp_path / "none.db"))


async def test_an_answer_has_a_bounded_size(tmp_path: Path):
    many = [gauge("level", f"{number:03}") for number in range(120)]
    times = [START_MS + 60_000 * (each + 1) for each in range(90)]
    write_history(tmp_path / "history.db", times, lambda _: dict.fromkeys(many, 1.0))
    history = History(tmp_path / "history.db", clock=lambda: times[-1] / 1000)
    answer = await ask(history)
    assert (len(answer.lines), answer.left_out) == (100, 20)
    fine = await ask(history, start=times[-1] / 1000 - 10_000, step_s=1)
    assert (len(fine.lines), fine.left_out) == (10, 110)
