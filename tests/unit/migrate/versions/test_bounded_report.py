"""A check's report is no larger than clients take, and says what it leaves out."""

from dataclasses import replace

from dbops.v1 import migrations_pb2

from dbopsd.migrate.versions.check.bounded_report import (
    MOST_CHARS,
    MOST_DIFFERENCES,
    MOST_FINDINGS,
    bounded,
)
from dbopsd.migrate.versions.model.reports import (
    Aspect,
    Change,
    CheckReport,
    Difference,
    Finding,
    Roundtrip,
    RoundtripResult,
    Severity,
)
from dbopsd.rpc.codec import Codec
from dbopsd.rpc.longrunning import MAX_PAGE_BYTES

INFO = Finding("prefer-bigint", Severity.INFO, "default", "001_a.sql", "an int", "001", 1, 1)
WARNING = replace(INFO, rule="truncate", severity=Severity.WARNING, path="002_b.sql")
ERROR = replace(WARNING, severity=Severity.ERROR, path="003_c.sql")
ALLOWED = replace(ERROR, allowed="it is empty", path="004_d.sql")
DIFFERENCE = Difference("table", "public.t", Change.CHANGED, expected="a", actual="b")


def test_a_small_report_stays_as_it_is() -> None:
    trip = Roundtrip("default", "001", "a", RoundtripResult.NOT_RESTORED, (DIFFERENCE,), "why")
    report = CheckReport(False, (INFO, ERROR), (DIFFERENCE,), (trip,), 2, ("a note",))
    assert bounded(report) == report


def test_the_worst_findings_are_kept_in_the_order_of_their_files() -> None:
    many = (*[INFO] * MOST_FINDINGS, *[WARNING] * 1_000, ERROR, *[ALLOWED] * 998)
    report = bounded(CheckReport(False, many, notes=("a note",)))
    assert report.findings == (INFO, *[WARNING] * 1_000, ERROR, *[ALLOWED] * 998)
    assert report.notes == (
        "a note",
        "this report is without 1,999 more findings, the least severe",
    )
    allowed_last = bounded(CheckReport(False, (*[ALLOWED] * MOST_FINDINGS, ERROR)))
    assert allowed_last.findings == (*[ALLOWED] * (MOST_FINDINGS - 1), ERROR)


def test_differences_show_where_they_differ() -> None:
    same = "x" * 10_000
    cut = replace(DIFFERENCE, expected=f"{same}old{same}", actual=f"{same}new")
    (shown,) = bounded(CheckReport(False, drift=(cut,))).drift
    assert len(shown.expected) == MOST_CHARS + 2
    assert shown.expected.startswith(f"…{'x' * 200}oldx")
    assert shown.actual == f"…{'x' * 200}new"


def test_grants_are_left_out_before_definitions() -> None:
    grants = replace(DIFFERENCE, aspect=Aspect.OWNER_OR_GRANTS)
    report = bounded(CheckReport(False, drift=(*[grants] * MOST_DIFFERENCES, DIFFERENCE)))
    assert report.drift == (*[grants] * (MOST_DIFFERENCES - 1), DIFFERENCE)


def test_differences_of_round_trips_are_counted_together() -> None:
    trips = [
        Roundtrip("default", f"{n:03}", "a", RoundtripResult.NOT_RESTORED, (DIFFERENCE,) * 800)
        for n in range(3)
    ]
    report = bounded(CheckReport(False, roundtrip=tuple(trips)))
    assert [len(each.differences) for each in report.roundtrip] == [800, 800, 400]
    assert report.notes == ("this report is without 400 more differences after round trips",)
    assert sum(len(each.differences) for each in report.roundtrip) == MOST_DIFFERENCES


def test_the_largest_report_is_a_message_that_every_client_takes() -> None:
    long = "ü" * 5_000
    finding = replace(ERROR, message=long, advice=long)
    difference = replace(DIFFERENCE, expected=long, actual=f"{long}a")
    restored = Roundtrip("default", "001", "a", RoundtripResult.RESTORED, problem=long)
    failed = Roundtrip("default", "002", "b", RoundtripResult.FAILED, (difference,) * 9, long)
    report = bounded(
        CheckReport(
            False, (finding,) * 3_000, (difference,) * 3_000, (*(restored,) * 2_000, failed)
        )
    )
    assert len(report.notes) == 3
    assert report.roundtrip[-1].result is RoundtripResult.FAILED
    message = Codec(migrations_pb2.CheckMigrationsResponse.DESCRIPTOR, CheckReport).encode(report)
    assert 2**20 < message.ByteSize() < MAX_PAGE_BYTES
