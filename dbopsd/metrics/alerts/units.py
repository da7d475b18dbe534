"""Values in words, as summaries have them."""

import math
from typing import Final

_TIMES: Final = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))
_BYTES: Final = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def in_words(value: float, unit: str) -> str:
    """A value with its UCUM unit: `s` is a time, `By` bytes, `1` a share in percent."""
    if not math.isfinite(value):
        return str(value)
    match unit:
        case "s":
            for size, name in _TIMES:
                if abs(value) >= size:
                    return f"{value / size:.1f} {name}"
            return f"{value:.1f} s" if abs(value) >= 1 else f"{value * 1000:.0f} ms"
        case "By":
            for size, name in _BYTES:
                if abs(value) >= size:
                    return f"{value / size:.1f} {name}"
            return f"{value:.0f} B"
        case "1":
            return f"{value * 100:.0f} %"
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
