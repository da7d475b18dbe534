"""The report of a check, no larger than every client takes: gRPC's default is 4 MiB a message."""

from bisect import bisect_left
from collections.abc import Callable, Sequence, Sized
from dataclasses import replace
from typing import Final, TypeVar

from dbopsd.migrate.versions.model.reports import (
    Aspect,
    CheckReport,
    Difference,
    Finding,
    Roundtrip,
    RoundtripResult,
    Severity,
)

MOST_FINDINGS: Final = 2_000
MOST_DIFFERENCES: Final = 2_000
"""Of the drift, and of all round trips together."""
MOST_CHARS: Final = 2_000
"""Of a text, such as the definition of a view."""
# Together below 2 MiB, which is what a page of operations may have.
_FINDINGS_BYTES: Final = 2**20
_OTHER_BYTES: Final = 2**18
_FIELD_BYTES: Final = 4
_CONTEXT_CHARS: Final = 200
_SEVERITIES: Final = (Severity.ERROR, Severity.WARNING, Severity.INFO)

ItemT = TypeVar("ItemT", Finding, Difference, Roundtrip)


def bounded(report: CheckReport) -> CheckReport:
    """The report with what matters most of it, in its order, and notes of what is left out.

    Errors go before warnings, and what a file does not allow before what it does; definitions
    before grants and the order of columns. `ok` stays: it is of everything that was found.
    """
    findings = _kept(
        report.findings, _short_finding, MOST_FINDINGS, _FINDINGS_BYTES, _rank_of_finding
    )
    drift = _kept(
        report.drift, _short_difference, MOST_DIFFERENCES, _OTHER_BYTES, _rank_of_difference
    )
    trips, trip_notes = _roundtrips(report.roundtrip)
    return replace(
        report,
        findings=tuple(findings.values()),
        drift=tuple(drift.values()),
        roundtrip=trips,
        notes=(
            *report.notes,
            *_left_out("findings, the least severe", report.findings, findings),
            *_left_out("differences of the schema", report.drift, drift),
            *trip_notes,
        ),
    )


def _roundtrips(found: Sequence[Roundtrip]) -> tuple[tuple[Roundtrip, ...], list[str]]:
    """The round trips with as many of their differences as there is room for, and notes."""
    trips = _kept(found, _short_trip, len(found), _OTHER_BYTES, _rank_of_trip)
    owned = [(index, each) for index in trips for each in found[index].differences]
    differences = [each for _, each in owned]
    shown = _kept(
        differences, _short_difference, MOST_DIFFERENCES, _OTHER_BYTES, _rank_of_difference
    )
    of_trip: dict[int, list[Difference]] = {index: [] for index in trips}
    for number, difference in shown.items():
        of_trip[owned[number][0]].append(difference)
    notes = [
        *_left_out("round trips, those that restored the schema first", found, trips),
        *_left_out("differences after round trips", differences, shown),
    ]
    return tuple(
        replace(trip, differences=tuple(of_trip[index])) for index, trip in trips.items()
    ), notes


def _kept(
    items: Sequence[ItemT],
    short: Callable[[ItemT], ItemT],
    most: int,
    most_bytes: int,
    rank: Callable[[ItemT], int],
) -> dict[int, ItemT]:
    """As many as there is room for, made short, by their indexes, in their order.

    The lowest ranks first.
    """
    kept: dict[int, ItemT] = {}
    size = 0
    for index in sorted(range(len(items)), key=lambda index: rank(items[index]))[:most]:
        item = short(items[index])
        # About the size of its message.
        size += sum(len(str(each).encode()) + _FIELD_BYTES for each in vars(item).values())
        if size > most_bytes:
            break
        kept[index] = item
    return dict(sorted(kept.items()))


def _left_out(what: str, items: Sized, kept: Sized) -> list[str]:
    count = len(items) - len(kept)
    return [f"this report is without {count:,} more {what}"] if count else []


def _rank_of_finding(finding: Finding) -> int:
    return 2 * _SEVERITIES.index(finding.severity) + bool(finding.allowed)


def _rank_of_difference(difference: Difference) -> int:
    return int(difference.aspect is not Aspect.DEFINITION)


def _rank_of_trip(trip: Roundtrip) -> int:
    return int(trip.result is RoundtripResult.RESTORED)


def _short_trip(trip: Roundtrip) -> Roundtrip:
    return replace(trip, problem=_short(trip.problem), differences=())


def _short_finding(finding: Finding) -> Finding:
    message, advice, allowed = map(_short, (finding.message, finding.advice, finding.allowed))
    return replace(finding, message=message, advice=advice, allowed=allowed)


def _short_difference(difference: Difference) -> Difference:
    """With the parts of its definitions in which they differ."""
    expected, actual = difference.expected, difference.actual
    start = 0
    if max(len(expected), len(actual)) > MOST_CHARS:
        same = range(min(len(expected), len(actual)))
        differs = bisect_left(same, True, key=lambda n: expected[: n + 1] != actual[: n + 1])
        start = max(0, differs - _CONTEXT_CHARS)
    return replace(difference, expected=_short(expected, start), actual=_short(actual, start))


def _short(text: str, start: int = 0) -> str:
    before, after = "…" if start else "", "…" if len(text) > start + MOST_CHARS else ""
    return f"{before}{text[start : start + MOST_CHARS]}{after}"
