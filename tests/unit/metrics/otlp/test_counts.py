"""Since when counters count."""

import pytest

from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.otlp.counts import Count, Pushed, count
from tests.unit.metrics.made import COMMITS, collection

ROLLBACKS = Metric("pg_rollbacks", MetricType.COUNTER, "{transaction}", "R.", ("datname",))
RESET = Metric("pg_stat_database_stats_reset", MetricType.COUNTER, "s", "T.", ("datname",))
COUNTERS = (COMMITS, ROLLBACKS)
BEFORE, NOW = 1000.0, 1015.0


class Ledger:
    """Pushes one collector's rows: (datname, commits, rollbacks, stats_reset)."""

    def __init__(self) -> None:
        self.known = Pushed()

    def push(self, *rows, at, started=500.0, sampled_at=None, keep=True):
        samples = []
        for name, commits, rollbacks, reset in rows:
            samples += [(COMMITS, (name,), commits), (ROLLBACKS, (name,), rollbacks)]
            samples += [(RESET, (name,), reset)]
        made = collection("c", *samples, at=at if sampled_at is None else sampled_at)
        counters = [each for each in made.samples if each.series.metric in COUNTERS]
        counts, known = count(self.known, made, counters, at, started)
        if keep:
            self.known = known
        return {(each.metric.name[3:], *each.labels): found for each, found in counts.items()}


C, R = COMMITS.name[3:], "rollbacks"


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger()
    ledger.push(("a", 100.0, 3.0, 1.0), ("b", 100.0, 3.0, 1.0), at=BEFORE)
    return ledger


def test_the_first_time_its_beginning_is_not_known():
    found = Ledger().push(("a", 100.0, 3.0, 1.0), at=BEFORE)
    assert found[C, "a"] == Count(100.0, BEFORE, None, BEFORE)


def test_what_grows_counts_on_from_where_it_began(ledger):
    ledger.push(("a", 105.0, 3.0, 1.0), at=NOW)
    found = ledger.push(("a", 106.0, 3.0, 1.0), at=NOW + 15)
    assert found[C, "a"] == Count(106.0, BEFORE, 1.0, NOW)
    assert found[R, "a"] == Count(3.0, BEFORE, 0.0, NOW)


def test_what_falls_has_begun_anew_with_all_of_its_row_and_nothing_else(ledger):
    found = ledger.push(("a", 2.0, 5.0, 1.0), ("b", 101.0, 3.0, 1.0), at=NOW)
    assert found[C, "a"] == Count(2.0, BEFORE, 2.0, BEFORE)
    # It has passed its old value already.
    assert found[R, "a"] == Count(5.0, BEFORE, 5.0, BEFORE)
    assert found[C, "b"] == Count(101.0, BEFORE, 1.0, BEFORE)


def test_a_new_time_of_the_reset_is_one_though_nothing_fell(ledger):
    found = ledger.push(("a", 200.0, 9.0, 1010.0), ("b", 101.0, 3.0, 1.0), at=NOW)
    assert found[C, "a"] == Count(200.0, 1010.0, 200.0, 1010.0)
    assert found[C, "b"].grown == 1.0
    # And then it counts on.
    assert ledger.push(("a", 201.0, 9.0, 1010.0), at=NOW + 15)[C, "a"] == Count(
        201.0, 1010.0, 1.0, NOW
    )


def test_a_clean_restart_is_no_reset(ledger):
    found = ledger.push(("a", 101.0, 3.0, 1.0), at=NOW, started=1005.0)
    assert found[C, "a"] == Count(101.0, BEFORE, 1.0, BEFORE)


def test_after_a_crash_everything_has_begun_anew_when_the_server_started(ledger):
    found = ledger.push(("a", 1.0, 1.0, 1.0), ("b", 150.0, 7.0, 1.0), at=NOW, started=1005.0)
    assert found[C, "a"] == Count(1.0, 1005.0, 1.0, 1005.0)
    # It has passed its old value: a crash was busy here.
    assert found[C, "b"] == Count(150.0, 1005.0, 150.0, 1005.0)


def test_samples_from_before_a_restart_do_not_hide_it(ledger):
    old = ledger.push(
        ("a", 100.0, 3.0, 1.0), ("b", 100.0, 3.0, 1.0), at=NOW, started=1005.0, sampled_at=999.0
    )
    assert old[C, "a"].grown == 0.0
    found = ledger.push(("a", 1.0, 1.0, 1.0), ("b", 150.0, 7.0, 1.0), at=NOW + 15, started=1005.0)
    assert found[C, "b"].grown == 150.0
    # The server started before the push in between, whose points ended then.
    assert found[C, "b"].began_at == NOW


def test_what_did_not_arrive_is_counted_by_the_next_push(ledger):
    ledger.push(("a", 104.0, 3.0, 1.0), at=NOW, keep=False)
    found = ledger.push(("a", 110.0, 3.0, 1.0), at=NOW + 15)
    assert found[C, "a"] == Count(110.0, BEFORE, 10.0, BEFORE)


def test_a_series_that_comes_back_counts_on_for_an_hour(ledger):
    ledger.push(("b", 101.0, 3.0, 1.0), at=NOW)
    found = ledger.push(("a", 120.0, 3.0, 1.0), at=BEFORE + 3599)
    assert found[C, "a"] == Count(120.0, BEFORE, 20.0, BEFORE)
    later = ledger.push(("b", 900.0, 3.0, 1.0), at=NOW + 3600)
    assert later[C, "b"] == Count(900.0, NOW + 3600, None, NOW + 3600)


def test_nothing_is_kept_of_what_is_gone_for_good(ledger):
    for number in range(100):
        ledger.push((f"gone{number}", 1.0, 1.0, 1.0), at=NOW + 600 * number)
    assert len(ledger.known.known) <= 2 * 7
    assert len(ledger.known.resets) == 1
