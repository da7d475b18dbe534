"""What the report of an import says at its end."""

from dbopsd.migrate.importer.import_report import final_report
from dbopsd.migrate.importer.model.report import ImportReport, ImportStage, Outcome, TableReport
from dbopsd.migrate.importer.records.import_records import PublishedTable

REPORT = ImportReport(
    *("run-import-1", Outcome.SUCCEEDED, "/srv/a.db", "public"),
    tables=[TableReport("users", "users", rows=3), TableReport("orders", "orders", rows=2)],
    notes=["a note"],
    rejected_rows=1,
    stages=[ImportStage("copy", 1.0)],
)


def at_the_end(*published: PublishedTable, problem: str = "") -> ImportReport:
    return final_report(
        REPORT,
        {each.source: each for each in published},
        seconds={"publish": 0.12345},
        rejects_file="/var/lib/dbopsd/rejects/1.jsonl",
        previous_schema="dbops_old_1",
        problem=problem,
    )


def test_why_it_cannot_be_reverted_is_noted_once() -> None:
    reason = "with its rows others were changed or deleted, by foreign key f of t, not kept"
    report = at_the_end(
        PublishedTable("users", kept=True, merged_rows=3, irreversible_reason=reason),
        PublishedTable("orders", deleted_rows=2, irreversible_reason=reason),
    )
    assert report.notes == ["a note", f"the import cannot be reverted: {reason}"]
    assert [(each.merged_rows, each.deleted_rows) for each in report.tables] == [(3, 0), (0, 2)]


def test_what_was_published() -> None:
    report = at_the_end(PublishedTable("users", kept=True), PublishedTable("orders"))
    assert report.outcome is Outcome.SUCCEEDED_WITH_REJECTS
    assert report.notes == ["a note"]
    assert report.stages == [ImportStage("copy", 1.0), ImportStage("publish", 0.123)]
    assert report.previous_schema == "dbops_old_1"
    assert (report.rejects_table, report.rejects_file) == (
        "dbops.import_rejects",
        "/var/lib/dbopsd/rejects/1.jsonl",
    )


def test_nothing_was_published() -> None:
    report = at_the_end(problem="out of space")
    assert (report.outcome, report.problem) == (Outcome.FAILED, "out of space")
    assert (report.previous_schema, report.rejects_table, report.rejects_file) == ("", "", "")
