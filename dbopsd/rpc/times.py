"""Times and durations as the well-known types of protobuf."""

from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_MICROSECONDS: Final = 1_000_000
_NANOSECONDS: Final = 1_000_000_000


def timestamp(seconds: float | None) -> Timestamp | None:
    """A time given in seconds since 1970; None stays None."""
    if seconds is None:
        return None
    # A float holds a present time to 0.2 µs: digits below would be made up.
    whole = round(seconds * _MICROSECONDS)
    return Timestamp(seconds=whole // _MICROSECONDS, nanos=whole % _MICROSECONDS * 1000)


def duration(seconds: float) -> Duration:
    """A duration of 0 s or more."""
    whole = round(seconds * _NANOSECONDS)
    return Duration(seconds=whole // _NANOSECONDS, nanos=whole % _NANOSECONDS)


def instant(time: Timestamp) -> float:
    """A time that a request holds, whatever is in it, in seconds since 1970."""
    return float(time.seconds + time.nanos / _NANOSECONDS)


def seconds(time: Duration) -> float:
    """A duration that a request holds, whatever is in it, in seconds."""
    return float(time.seconds + time.nanos / _NANOSECONDS)
