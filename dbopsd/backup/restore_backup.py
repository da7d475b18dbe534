"""The work of `RestoreBackup`: plans, restores, starts where that is asked for, and reports."""

import asyncio
import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from dbopsd.backup.leases import end_leases, hold_lease
from dbopsd.backup.logical.dump_choice import find_dump, is_about_dump
from dbopsd.backup.logical.new_database import drop_unfinished
from dbopsd.backup.logical.restore_logical import restore_logical
from dbopsd.backup.model.reports import RestoreReport
from dbopsd.backup.model.requests import RestoreBackupRequest, TargetAction
from dbopsd.backup.repository import Repository, repository_of
from dbopsd.backup.restore.cluster import (
    RestoredCluster,
    account_for,
    check_places,
    own_directory,
    restore_cluster,
)
from dbopsd.backup.restore.directory import RestoreDirectory, find_claimed
from dbopsd.backup.restore.plan import Plan, plan_restore
from dbopsd.backup.restore.start import (
    PORT,
    RESTORES,
    barrier,
    cannot_enter,
    confirm,
    leave_running,
)
from dbopsd.db.server.leftovers import end_leftovers
from dbopsd.operations.kind import Run

_TO_REMEMBER: Final = (
    "It archives nowhere: before anybody relies on it, take archive_mode and archive_command out "
    "of postgresql.auto.conf, and give the database a backup."
)


async def restore_backup(run: Run, request: RestoreBackupRequest) -> RestoreReport:
    """Restore a cluster to a moment; with `dry_run`, only say what that would take.

    An attempt begins anew: what an earlier one left is removed first.
    """
    async with repository_of(run) as repository:
        dump = await find_dump(repository, request)
        if dump is not None:
            return await restore_logical(run, repository, dump, request)
        plan = await plan_restore(run, repository, request.target, backup_id=request.backup_id)
        directory, roots = await _place(run, request)
        if request.dry_run:
            await asyncio.to_thread(
                check_places,
                plan,
                directory,
                roots=[*_roots(run), *roots],
                mappings=request.tablespace_mappings,
            )
            return _report(plan, directory, dry_run=True)
        async with hold_lease(
            repository.store,
            plan.layout,
            _holder(run),
            backups=[record.id for record in plan.chain],
            wal_from=plan.backup.start_lsn,
        ):
            report = await run.step(
                "restore",
                lambda: _restore(run, repository, plan, request, directory, roots),
                returns=RestoreReport,
            )
    # Only now it is not ours any more: what an attempt that ends before this left is removed.
    found = RestoreDirectory(Path(report.directory), run.operation)
    await asyncio.to_thread(found.release)
    return report


async def clean_up(run: Run, request: RestoreBackupRequest) -> None:
    """End the server of a restore that failed or was cancelled, and remove what was restored."""
    if is_about_dump(request):
        if not request.dry_run:
            await drop_unfinished(run)
            await end_leases(run, _holder(run))
        return
    directory, roots = await _place(run, request)
    found = await asyncio.to_thread(find_claimed, directory, roots, run.operation)
    if found is not None:
        await end_leftovers(found.path)
        await asyncio.to_thread(found.clean)
    await end_leases(run, _holder(run))


def _holder(run: Run) -> str:
    """Who holds the restore's lease."""
    return f"restore-{run.operation}"


async def _restore(
    run: Run,
    repository: Repository,
    plan: Plan,
    request: RestoreBackupRequest,
    directory: str,
    roots: list[Path],
) -> RestoreReport:
    began = time.monotonic()
    if request.start:
        account = await account_for(Path(directory))
        unreachable = await barrier(Path(directory).parent, account)
        if unreachable:
            raise cannot_enter(Path(directory), unreachable, account)
    restored = await restore_cluster(
        run,
        repository,
        plan,
        directory,
        roots=roots,
        tablespace_roots=_roots(run),
        mappings=request.tablespace_mappings,
        action=request.target_action,
    )
    report = _report(restored.plan, str(restored.data))
    if not request.start:
        report = replace(report, instructions=await _instructions(restored))
    else:
        server = await leave_running(run, restored)
        reached = await confirm(server)
        report = replace(
            report,
            reached=reached,
            address=str(server.sockets),
            instructions=_running(restored, str(server.sockets), server.superuser),
        )
    return replace(report, seconds=round(time.monotonic() - began, 3))


async def _place(run: Run, request: RestoreBackupRequest) -> tuple[str, list[Path]]:
    """The directory to restore into, and beneath which ones it has to be."""
    if request.directory:
        return request.directory, _roots(run)
    return await own_directory(run, RESTORES), [run.state_dir]


def _roots(run: Run) -> list[Path]:
    """The directories beneath which may be restored."""
    backup = run.database.config.backup
    # As they are from here: a program may work in another directory.
    return [] if backup is None else [root.absolute() for root in backup.restore_roots]


def _report(plan: Plan, directory: str, *, dry_run: bool = False) -> RestoreReport:
    return RestoreReport(
        directory=directory,
        chain=tuple(plan.name(record.id) for record in plan.chain),
        timeline=plan.timeline,
        target=plan.target,
        plan=plan.report(),
        wal_bytes=plan.wal_bytes,
        instructions=plan.notes,
        dry_run=dry_run,
    )


async def _instructions(restored: RestoredCluster) -> tuple[str, ...]:
    """What whoever starts the server himself does, a line each."""
    unreachable = await barrier(restored.data, restored.account)
    first = f"Let account {restored.account.name} search {unreachable} first (chmod o+x)."
    data, account = shlex.quote(str(restored.data)), restored.account
    pg_ctl = shlex.quote(str(restored.plan.installation.tool("pg_ctl")))
    log = shlex.quote(f"{restored.data}.log")
    start = f"{pg_ctl} -D {data} -l {log} -o '-p PORT' -t 86400 -w start"
    if account.foreign:
        # Whoever has to become another account may lack the right to write beside the directory.
        log = shlex.quote(str(restored.data / "restore.log"))
        command = f"{pg_ctl} -D {data} -l {log} -o '-p PORT' -t 86400 -w start"
        start = _as_account(restored, command)
    stop = restored.plan.stop.record
    end = f", at {stop.lsn} in the WAL" if stop else ""
    after = (
        "then takes writes on a timeline of its own"
        if restored.action is TargetAction.PROMOTE
        else "then pauses: SELECT pg_wal_replay_resume() lets it go on"
    )
    return (
        *restored.plan.notes,
        *([first] if unreachable else ()),
        f"Start it as account {account.name}: {start}",
        f"It recovers to {restored.plan.described_target}{end}, and {after}.",
        "Where its log says that recovery ended before the target was reached, do not use it.",
        _TO_REMEMBER,
    )


def _as_account(restored: RestoredCluster, command: str) -> str:
    """The command of root's shell that runs `command` as the account that has the server."""
    return f"su -s /bin/sh {shlex.quote(restored.account.name)} -c {shlex.quote(command)}"


def _running(restored: RestoredCluster, address: str, superuser: str) -> tuple[str, ...]:
    """What whoever goes on with the server that was started should know."""
    psql, pg_ctl = (str(restored.plan.installation.tool(name)) for name in ("psql", "pg_ctl"))
    connect = shlex.join([psql, "-h", address, "-p", str(PORT), "-U", superuser, "postgres"])
    restart = shlex.join([pg_ctl, "-D", str(restored.data), "-w", "-o", "", "restart"])
    if restored.account.foreign:
        restart = _as_account(restored, restart)
    return (
        *restored.plan.notes,
        f"It listens on a socket only, for account {restored.account.name} and root: {connect}",
        f"Restarted, it has the settings and the rules of access of its own files: {restart}",
        _TO_REMEMBER,
    )
