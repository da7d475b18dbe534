"""How measured values are written."""

import pytest
from dbops_client.cli.values import formatter


@pytest.mark.parametrize(
    ("unit", "value", "others", "text"),
    [
        ("s", 0, (), "0 ms"),
        ("s", 0.00042, (), "0.42 ms"),
        ("s", 0.9996, (), "1 s"),
        ("s", 12.345, (), "12.3 s"),
        ("s", 119.9, (), "120 s"),
        ("s", 125, (), "2 min 5 s"),
        ("s", 7199.9, (), "120 min 0 s"),
        ("s", 3 * 3600 + 1260, (), "3 h 21 min"),
        ("s", 4 * 86400 + 7200, (), "4 d 2 h"),
        ("s", -125, (), "-2 min 5 s"),
        ("s", float("inf"), (), "inf"),
        ("By", 0, (), "0 B"),
        ("By", 1023, (), "1023 B"),
        ("By", 1024, (), "1.0 KiB"),
        ("By", 5.5 * 1024**3, (), "5.5 GiB"),
        ("By", 3 * 1024**5, (), "3.0 PiB"),
        ("By", float("nan"), (), "nan"),
        ("1", 0.853, (0.8, 0.95), "85.3 %"),
        ("1", 1, (0.8, 0.95), "100.0 %"),
        ("1", 0, (), "0"),
        ("1", 123456, (1,), "123,456"),
        ("1", 12345678, (1,), "12.35 M"),
        ("1", 1_500_000_000, (1,), "1.5 G"),
        ("{connection}", 17, (), "17"),
        ("{transaction}/s", 17.25, (), "17.25/s"),
        ("By/s", 2048, (), "2.0 KiB/s"),
        ("1/s", 0.5, (), "0.5/s"),
        ("%", 17.25, (), "17.25 %"),
        ("", 3, (), "3"),
    ],
)
def test_a_value_is_written_in_its_unit(unit, value, others, text):
    assert formatter(unit, (value, *others))(value) == text
