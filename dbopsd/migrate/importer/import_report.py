"""The report of an import, put together from what its stages found."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dbopsd.migrate.importer.copy.copy_tables import CopiedTable
from dbopsd.migrate.importer.model.plan import Plan, PlannedObject, PlannedTable
from dbopsd.migrate.importer.model.report import (
    STAGES,
    ImportReport,
    ImportStage,
    Outcome,
    TableReport,
)
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.records.import_records import PublishedTable
from dbopsd.migrate.importer.verify.compare_tables import VerifiedTable


def partial_report(
    import_id: str,
    request: ImportRequest,
    plan: Plan,
    *,
    objects: Sequence[PlannedObject],
    copied: Mapping[str, CopiedTable],
    verified: Mapping[str, VerifiedTable],
    seconds: Mapping[str, float],
) -> ImportReport:
    """The report before anything is published. `copied` and `verified` are by source table."""
    tables = [
        _table(table, copied.get(table.source), verified.get(table.source)) for table in plan.tables
    ]
    return ImportReport(
        import_id=import_id,
        outcome=Outcome.SUCCEEDED,
        source=request.source,
        schema=request.schema,
        tables=tables,
        objects=[replace(each, ddl="") for each in objects],
        reject_counts=[count for each in copied.values() for count in each.counts],
        rejects=[reject for each in copied.values() for reject in each.rejects],
        differences=[difference for each in verified.values() for difference in each.examples],
        notes=list(plan.notes),
        rows=sum(table.rows for table in tables),
        copied_rows=sum(table.copied_rows for table in tables),
        rejected_rows=sum(each.rejected_rows for each in copied.values()),
        verified_rows=sum(table.verified_rows for table in tables),
        stages=_stages((), seconds),
    )


def final_report(
    report: ImportReport,
    published: Mapping[str, PublishedTable],
    *,
    seconds: Mapping[str, float],
    rejects_file: str,
    previous_schema: str,
    problem: str,
) -> ImportReport:
    """The report at the end. `published` is by source table, and empty if nothing was published."""
    rejected = Outcome.SUCCEEDED_WITH_REJECTS if report.rejected_rows else Outcome.SUCCEEDED
    return replace(
        report,
        outcome=Outcome.FAILED if problem else rejected,
        problem=problem,
        tables=[
            replace(
                table,
                merged_rows=published[table.source].merged_rows,
                deleted_rows=published[table.source].deleted_rows,
            )
            if table.source in published
            else table
            for table in report.tables
        ],
        stages=_stages(report.stages, seconds),
        notes=[*report.notes, *_irreversible(published)],
        rejects_table="dbops.import_rejects" if published and report.rejected_rows else "",
        rejects_file=rejects_file if published else "",
        previous_schema=previous_schema if any(each.kept for each in published.values()) else "",
    )


def _table(
    table: PlannedTable, copied: CopiedTable | None, verified: VerifiedTable | None
) -> TableReport:
    report = TableReport(source=table.source, target=table.target, rows=table.rows)
    if copied is not None:
        report = replace(
            report,
            rows=copied.rows,
            copied_rows=copied.copied_rows,
            copied_bytes=copied.copied_bytes,
            rejected_rows=copied.rejected_rows,
            changed_values=copied.changed_values,
            copy_duration_s=round(copied.seconds, 3),
        )
    if verified is not None:
        report = replace(
            report, verified_rows=verified.rows, differing_rows=verified.differing_rows
        )
    return report


def _stages(before: Sequence[ImportStage], seconds: Mapping[str, float]) -> list[ImportStage]:
    """The stages that took `seconds` now, and the others as they were reported before."""
    took = {each.stage: each.duration_s for each in before}
    took |= {name: round(duration_s, 3) for name, duration_s in seconds.items()}
    return [ImportStage(name, took[name]) for name in STAGES if name in took]


def _irreversible(published: Mapping[str, PublishedTable]) -> list[str]:
    """Why the import cannot be reverted, each reason once: it is that of all tables together."""
    reasons = dict.fromkeys(each.irreversible_reason for each in published.values())
    return [f"the import cannot be reverted: {reason}" for reason in reasons if reason]
