"""Values as JSON has them."""

import math
from datetime import UTC, datetime


def finite(value: float | None) -> float | None:
    """The number; None for those that JSON does not have: infinity and NaN."""
    return value if value is not None and math.isfinite(value) else None


def time_text(seconds: float | None) -> str | None:
    """A time in seconds since 1970 as `2026-03-01T08:00:00.000Z`; None stays None."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
