"""Applying the rules of retention, as an operation."""

from dbopsd.backup.leases import utc_now
from dbopsd.backup.model.reports import RetentionReport
from dbopsd.backup.model.requests import ApplyRetentionRequest
from dbopsd.backup.repository import repository_of
from dbopsd.backup.retention.apply import Retention
from dbopsd.operations.kind import Run


async def apply_retention(run: Run, request: ApplyRetentionRequest) -> RetentionReport:
    """Expire and delete what is no longer wanted, of every cluster that the database was.

    Each cluster keeps its newest good backup. Raises what the store does; what was done until then
    is whole, and the next run goes on.
    """
    reports = []
    async with repository_of(run) as repository:
        for system in await repository.systems():
            retention = Retention(run, repository, repository.layout(system), utc_now)
            reports.append(await retention.apply(dry_run=request.dry_run))
    return RetentionReport(
        tuple(expired for report in reports for expired in report.expired),
        tuple(kept for report in reports for kept in report.kept),
        sum(report.wal_deleted for report in reports),
        sum(report.orphans_deleted for report in reports),
        request.dry_run,
    )
