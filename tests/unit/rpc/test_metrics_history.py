"""`QueryHistory`: what is asked for, and points as messages."""

from pathlib import Path

import pytest
from dbops.v1 import metrics_pb2

from dbopsd.errors import DatabaseNotFound, DbopsError, InvalidField
from dbopsd.metrics.errors import HistoryOff, HistoryUnavailable, MetricNotFound
from dbopsd.metrics.history.query import History
from dbopsd.rpc.metrics.history import HistoryMethods
from tests.support.history import START_MS, counter, gauge, write_history

TIMES = [START_MS + 10_000 * (each + 1) for each in range(60)]
NAN = float("nan")
Query = metrics_pb2.QueryHistoryRequest


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> HistoryMethods:
    path = tmp_path_factory.mktemp("history") / "history.db"
    write_history(
        path,
        TIMES,
        lambda at_ms: {
            gauge("level", "a", ""): float(at_ms - START_MS),
            counter("bytes", unit="By"): float((at_ms - START_MS) // 100 % 3000),
        },
    )
    return HistoryMethods(
        frozenset({"main", "branch"}), History(path, clock=lambda: TIMES[-1] / 1000)
    )


def query(metric: str, **fields: object) -> Query:
    request = Query(**{"name": "databases/main", "metric": metric, **fields})
    request.start_time.FromMilliseconds(START_MS)
    request.step.FromSeconds(60)
    return request


async def ask(methods: HistoryMethods, request: Query) -> metrics_pb2.QueryHistoryResponse:
    return metrics_pb2.QueryHistoryResponse.FromString(await methods.QueryHistory(request, None))


async def test_a_gauge(methods: HistoryMethods) -> None:
    found = await ask(methods, query("level", aggregation=Query.MAX))
    assert (found.metric, found.type, found.unit) == ("level", metrics_pb2.GAUGE, "1")
    assert (found.aggregation, found.step.seconds, found.left_out_count) == (Query.MAX, 60, 0)
    assert found.resolution.ToMilliseconds() == 0
    (series,) = found.series
    assert dict(series.labels) == {"label0": "a"}
    assert [each.time.ToMilliseconds() for each in series.points] == [
        START_MS + 60_000 * (each + 1) for each in range(10)
    ]
    assert [each.value for each in series.points] == [60_000.0 * (each + 1) for each in range(10)]
    assert list(series.reset_times) == []


async def test_a_counter_by_default_has_its_rate_and_says_when_it_began_anew(
    methods: HistoryMethods,
) -> None:
    found = await ask(methods, query("bytes"))
    assert (found.aggregation, found.unit) == (Query.RATE, "By/s")
    (series,) = found.series
    assert [each.value for each in series.points] == [pytest.approx(10.0, rel=0.2)] * 10
    assert [each.ToMilliseconds() for each in series.reset_times] == [
        START_MS + 300_000, START_MS + 600_000
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (query(""), InvalidField("metric", "")),
        (query("level", name="databases/nope"), DatabaseNotFound("")),
        (query("nope"), MetricNotFound("", "")),
        (query("level", name="databases/branch"), MetricNotFound("", "")),
        (query("level", aggregation=77), InvalidField("aggregation", "")),
        (query("level", aggregation=Query.RATE), InvalidField("aggregation", "")),
        (query("level", aggregation=Query.QUANTILE, quantile=1.5), InvalidField("quantile", "")),
        (query("level", aggregation=Query.QUANTILE, quantile=NAN), InvalidField("quantile", "")),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(
    methods: HistoryMethods, request_: Query, error: DbopsError
) -> None:
    with pytest.raises(type(error)) as caught:
        await methods.QueryHistory(request_, None)
    assert getattr(caught.value, "field", None) == getattr(error, "field", None)


async def test_without_a_history_it_says_why(tmp_path: Path) -> None:
    with pytest.raises(HistoryOff, match="enabled is false"):
        await HistoryMethods(frozenset({"main"}), None).QueryHistory(query("level"), None)
    none_yet = HistoryMethods(
        frozenset({"main"}), History(tmp_path / "none.db", clock=lambda: TIMES[-1] / 1000)
    )
    with pytest.raises(HistoryUnavailable, match="nothing has been recorded yet"):
        await none_yet.QueryHistory(query("level"), None)
