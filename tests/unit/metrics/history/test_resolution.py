"""Minutes and hours say of samples what the samples themselves say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.metrics.history.chunk import Samples, decode
from dbopsd.metrics.history.resolution import HOUR_MS, HOURS, MINUTES, RAW, Summary

SAMPLES = st.dictionaries(
    st.integers(1, 10 * 60_000), st.integers(-1000, 1000).map(float), min_size=1, max_size=60
)


def plain(samples: dict[int, float]) -> Summary:
    times = np.array(sorted(samples), np.int64)
    return Summary.plain(Samples(times, np.array([samples[each] for each in times.tolist()])))


@given(SAMPLES)
def test_a_minute_has_mean_least_and_most_of_its_samples(samples: dict[int, float]) -> None:
    found = plain(samples).coarser(60_000, counter=False)
    minutes: dict[int, list[float]] = {}
    for at, value in sorted(samples.items()):
        minutes.setdefault(-(-at // 60_000) * 60_000, []).append(value)
    assert found.times.tolist() == sorted(minutes)
    for place, values in enumerate(minutes[at] for at in sorted(minutes)):
        assert found.mean[place] == pytest.approx(sum(values) / len(values))
        assert (found.least[place], found.most[place]) == (min(values), max(values))


@given(SAMPLES)
def test_of_a_counter_it_has_the_last(samples: dict[int, float]) -> None:
    found = plain(samples).coarser(60_000, counter=True)
    last = {-(-at // 60_000) * 60_000: value for at, value in sorted(samples.items())}
    for row in (found.mean, found.least, found.most):
        assert dict(zip(found.times.tolist(), row.tolist(), strict=True)) == last


@given(SAMPLES)
def test_an_hour_made_of_minutes_has_their_extremes(samples: dict[int, float]) -> None:
    direct = plain(samples).coarser(HOUR_MS, counter=False)
    by_minutes = plain(samples).coarser(60_000, counter=False).coarser(HOUR_MS, counter=False)
    assert direct.least.tolist() == by_minutes.least.tolist()
    assert direct.most.tolist() == by_minutes.most.tolist()


@given(SAMPLES, st.booleans())
def test_it_is_encoded_whole(samples: dict[int, float], counter: bool) -> None:
    wanted = plain(samples).coarser(60_000, counter=counter)
    found = Summary.of_rows(decode(wanted.encoded(counter=counter)))
    for name in ("times", "mean", "least", "most"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist()


@given(st.lists(SAMPLES, max_size=4))
def test_joined_of_two_at_one_time_has_the_later(parts: list[dict[int, float]]) -> None:
    found = Summary.joined([plain(each) for each in parts])
    wanted = {at: value for part in parts for at, value in part.items()}
    assert dict(zip(found.times.tolist(), found.mean.tolist(), strict=True)) == wanted
    assert found.times.tolist() == sorted(wanted)


def test_an_end_belongs_to_the_span_before_it() -> None:
    for resolution in (RAW, MINUTES, HOURS):
        end = 7 * resolution.span_ms
        assert (resolution.span(end), resolution.span(end + 1)) == (6, 7)
        assert resolution.span_of_key(resolution.key(7, 2**32 - 1)) == 7
