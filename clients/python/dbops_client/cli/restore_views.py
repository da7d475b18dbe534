"""Restores and drills for people."""

from dbops.v1 import backup_pb2
from rich.console import Group, RenderableType
from rich.text import Text

from dbops_client._names import backup_id
from dbops_client.cli.backup_views import time_of, verdict
from dbops_client.cli.result_views import result_view
from dbops_client.cli.tables import cell, facts, new_table
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import count, duration, size


@result_view(backup_pb2.RestoreReport)
def restore_view(report: backup_pb2.RestoreReport) -> RenderableType:
    """Return the view of a restore, or of the plan of one."""
    plan, reached = report.plan, report.reached
    segments = ""
    if plan.segments:
        segments = f"{count(plan.segments)}, {plan.first_segment} to {plan.last_segment}"
    headline = ("PLAN", "cyan") if report.dry_run else ("RESTORED", "green")
    of_dump = bool(report.tables) or report.schema_only
    view = facts(
        {
            "Directory": report.directory,
            # A dump has one moment only.
            "Target": "" if of_dump else _target_text(report.target),
            "Timeline": "" if of_dump else str(report.timeline or ""),
            "Backups": ", ".join(backup_id(name) for name in report.chain),
            "WAL segments": segments,
            "WAL": size(report.wal_bytes) if report.wal_bytes else "",
            "Reached": _reached(reached) if report.HasField("reached") else "",
            "Tables": ", ".join(report.tables),
            "Server": report.address,
            "Took": duration(report.seconds) if report.seconds else "",
        }
    )
    notes = [Text(plain(line)) for line in report.instructions]
    without = Text("  the schema alone, no rows", style="yellow") if report.schema_only else Text()
    return Group(Text.assemble(headline, without), view, *notes)


def _problem_of_drill(report: backup_pb2.DrillReport) -> str | None:
    failed = [check.name for check in report.checks if not check.ok]
    return None if report.ok else f"did not pass: {', '.join(failed) or 'no check was made'}"


@result_view(backup_pb2.DrillReport, _problem_of_drill)
def drill_view(report: backup_pb2.DrillReport) -> RenderableType:
    """Return the view of a drill: what was measured, and each check."""
    headline = ("PASSED", "green") if report.ok else ("FAILED", "bold red")
    view = facts(
        {
            "Backup": backup_id(report.backup),
            "Target": _target_text(report.target),
            "Reached": _reached(report.reached) if report.HasField("reached") else "",
            "Recovery time": duration(report.recovery_seconds),
            "Recovery point": f"{duration(report.recovery_point_seconds)} of the newest work",
            "Directory": report.directory,
        }
    )
    checks = new_table("CHECK", "OK", "SECONDS", "DETAIL", numbers=frozenset({"SECONDS"}))
    for check in report.checks:
        checks.add_row(
            cell(check.name), verdict(check.ok), cell(f"{check.seconds:.1f}"), cell(check.detail)
        )
    return Group(Text.assemble(headline), view, Text(), checks)


def _target_text(target: backup_pb2.RecoveryTarget) -> str:
    """Return a target in words."""
    before = "just before " if target.exclusive else ""
    found = "the latest"
    if target.immediate:
        found = "the end of the backup"
    elif target.HasField("time"):
        found = f"{before}{time_of(target.time, precise=True)}"
    elif target.lsn:
        found = f"{before}{target.lsn}"
    elif target.xid:
        found = f"{before}transaction {target.xid}"
    elif target.name:
        found = f"restore point {target.name}"
    return f"{found}, on timeline {target.timeline}" if target.timeline else found


def _reached(reached: backup_pb2.ReachedMoment) -> str:
    parts = [
        f"restore point {reached.name}" if reached.name else "",
        f"transaction {reached.xid}" if reached.xid else "",
        reached.lsn,
        f"last commit {time_of(reached.time, precise=True)}" if reached.HasField("time") else "",
    ]
    return ", ".join(part for part in parts if part)
