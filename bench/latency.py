"""Rows about how long calls took, of what a played client has measured."""

from typing import Any

from bench.measurement import Row, at_most


def p99_row(label: str, found: dict[str, Any], bound_ms: float) -> Row:
    """The 99th percentile, with the others as its note."""
    return Row(f"{label}, p99", found["p99_ms"], "ms", at_most(bound_ms), other_ranks(found))


def other_ranks(found: dict[str, Any]) -> str:
    """The median, the worst, and how many calls there were."""
    return f"p50 {found['p50_ms']:.1f}, worst {found['max_ms']:.1f} of {found['count']:.0f} calls"
