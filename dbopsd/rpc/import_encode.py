"""What an import tells of itself as messages of the contract."""

from typing import Final

from dbops.v1 import migrate_pb2

from dbopsd.migrate.importer.model.plan import Fate, PlannedObject
from dbopsd.migrate.importer.model.report import (
    STAGES,
    Difference,
    ImportPlan,
    ImportReport,
    Outcome,
    PlannedTableReport,
    RevertReport,
    TableReport,
    VerifyReport,
)
from dbopsd.rpc.operation_encode import operation_name
from dbopsd.rpc.times import duration

_FATES: Final = {
    Fate.CARRIED: migrate_pb2.ImportObject.CARRIED,
    Fate.CHANGED: migrate_pb2.ImportObject.CHANGED,
    Fate.NOT_CARRIED: migrate_pb2.ImportObject.NOT_CARRIED,
}
_OUTCOMES: Final = {
    Outcome.SUCCEEDED: migrate_pb2.ImportReport.SUCCEEDED,
    Outcome.SUCCEEDED_WITH_REJECTS: migrate_pb2.ImportReport.SUCCEEDED_WITH_REJECTS,
    Outcome.FAILED: migrate_pb2.ImportReport.FAILED,
}


def encode_plan(plan: ImportPlan) -> migrate_pb2.ImportPlan:
    """What an import would do."""
    return migrate_pb2.ImportPlan(
        source=plan.source,
        schema=plan.schema,
        mapping=plan.mapping,
        tables=[_planned_table(table) for table in plan.tables],
        objects=[_object(planned) for planned in plan.objects],
        notes=plan.notes,
        rows=plan.rows,
        source_size_bytes=plan.source_size_bytes,
        estimated_duration=duration(plan.estimated_seconds),
        estimated_bytes=plan.estimated_bytes,
    )


def encode_report(report: ImportReport) -> migrate_pb2.ImportReport:
    """What became of an import."""
    return migrate_pb2.ImportReport(
        operation=operation_name(report.import_id),
        outcome=_OUTCOMES[report.outcome],
        problem=report.problem,
        source=report.source,
        schema=report.schema,
        rows=report.rows,
        copied_rows=report.copied_rows,
        rejected_rows=report.rejected_rows,
        verified_rows=report.verified_rows,
        tables=[_table(table) for table in report.tables],
        objects=[_object(planned) for planned in report.objects],
        reject_counts=[
            migrate_pb2.RejectCount(
                table=each.table, column=each.column, reason=each.reason, count=each.count
            )
            for each in report.reject_counts
        ],
        rejects=[
            migrate_pb2.RejectedValue(
                table=each.table,
                column=each.column,
                key=each.key,
                reason=each.reason,
                value=each.value,
            )
            for each in report.rejects
        ],
        differences=[_difference(each) for each in report.differences],
        notes=report.notes,
        stages=[
            migrate_pb2.ImportStage(stage=stage, duration=duration(seconds))
            for stage, seconds in sorted(
                report.stage_seconds.items(), key=lambda each: STAGES.index(each[0])
            )
        ],
        rejects_table=report.rejects_table,
        rejects_file=report.rejects_file,
        previous_schema=report.previous_schema,
    )


def encode_verification(report: VerifyReport) -> migrate_pb2.VerifyImportResponse:
    """Whether what an import brought is what the file holds."""
    return migrate_pb2.VerifyImportResponse(
        operation=operation_name(report.import_id),
        source=report.source,
        schema=report.schema,
        equal=report.equal,
        verified_rows=report.verified_rows,
        differing_rows=report.differing_rows,
        tables=[_table(table) for table in report.tables],
        differences=[_difference(each) for each in report.differences],
    )


def encode_reversion(report: RevertReport) -> migrate_pb2.RevertImportResponse:
    """What stands there again."""
    return migrate_pb2.RevertImportResponse(
        operation=operation_name(report.import_id),
        schema=report.schema,
        restored_tables=report.restored_tables,
        removed_tables=report.removed_tables,
        tables=[
            migrate_pb2.RevertedTable(
                target=each.target,
                removed_rows=each.removed_rows,
                restored_rows=each.restored_rows,
            )
            for each in report.tables
        ],
    )


def _planned_table(table: PlannedTableReport) -> migrate_pb2.PlannedImportTable:
    return migrate_pb2.PlannedImportTable(
        source=table.source,
        target=table.target,
        rows=table.rows,
        columns=[
            migrate_pb2.PlannedImportColumn(
                source=column.source,
                target=column.target,
                type=column.type,
                conversion=column.conversion,
                evidence=column.evidence,
            )
            for column in table.columns
        ],
    )


def _object(planned: PlannedObject) -> migrate_pb2.ImportObject:
    return migrate_pb2.ImportObject(
        kind=planned.kind,
        name=planned.name,
        table=planned.table,
        fate=_FATES[planned.fate],
        reason=planned.reason,
        ddl=planned.ddl,
    )


def _table(table: TableReport) -> migrate_pb2.ImportedTable:
    return migrate_pb2.ImportedTable(
        source=table.source,
        target=table.target,
        rows=table.rows,
        copied_rows=table.copied_rows,
        copied_bytes=table.copied_bytes,
        rejected_rows=table.rejected_rows,
        changed_values=table.changed_values,
        copy_duration=duration(table.copy_seconds),
        verified_rows=table.verified_rows,
        differing_rows=table.differing_rows,
        merged_rows=table.merged_rows,
        deleted_rows=table.deleted_rows,
    )


def _difference(difference: Difference) -> migrate_pb2.ImportDifference:
    return migrate_pb2.ImportDifference(
        table=difference.table,
        column=difference.column,
        key=difference.key,
        source=difference.source,
        target=difference.target,
    )
