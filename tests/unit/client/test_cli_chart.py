"""Charts of block characters."""

from datetime import datetime, timedelta

import pytest
from dbops_client.cli.chart import chart, sparkline

START = datetime(2026, 1, 31, 12).astimezone()


def drawn(values, *, width=40, height=4, step_s=1, write="{:g}".format):
    times = [START + timedelta(seconds=step_s * number) for number in range(len(values))]
    return chart(values, times, width=width, height=height, write=write)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([-7, 0], "▁█"),
        ([5, 5, 5], "▁▁▁"),
        ([1, None, 2], "▁ █"),
        ([None, None], "  "),
        ([9, 1, 2, 3], "▁▅█"),  # only the newest three
    ],
)
def test_a_sparkline_goes_from_the_least_to_the_greatest(values, line):
    assert sparkline(values, 3 if len(values) == 4 else 8) == line


def test_a_chart_has_its_rows_its_axis_and_its_times():
    assert drawn([0, 2, 4, 8], width=20, write="{:.0f}".format) == [
        "8 ┤   █",
        "5 ┤  ▁█",
        "3 ┤ ▁██",
        "0 ┤▁███",
        "   12:00:00 12:00:03",
    ]


def test_a_row_is_full_where_a_value_is_above_it_and_a_gap_is_blank():
    *rows, _ = drawn([0, None, 8, 8], height=2)
    assert [row.partition("┤")[2] for row in rows] == ["  ██", "▁ ██"]


def test_values_above_zero_stand_on_zero_and_others_on_the_least():
    assert drawn([4, 8])[3].lstrip().startswith("0 ┤")
    assert drawn([-4, 8])[3].lstrip().startswith("-4 ┤")


def test_more_values_than_columns_are_means_and_the_width_is_kept():
    lines = drawn([float(number % 7) for number in range(1000)], width=60)
    assert max(map(len, lines)) <= 60
    assert drawn([0.0] * 500 + [1.0] * 500, width=30, height=2) == [
        f"1 ┤{' ' * 13}▁{'█' * 13}",
        f"0 ┤{'▁' * 13}{'█' * 14}",
        "   12:00:00           12:16:39",
    ]


def test_more_than_a_day_has_dates():
    assert drawn([1, 2], step_s=90_000)[-1].split() == [
        "2026-01-31",
        "12:00",
        "2026-02-01",
        "13:00",
    ]


@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_without_values_it_says_so(values):
    assert drawn(values) == ["no samples"]


def test_a_single_value_is_a_chart():
    assert len(drawn([3])) == 5
