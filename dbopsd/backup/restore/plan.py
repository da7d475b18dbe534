"""The plan of a restore: which backups, which WAL, and where recovery is to end.

Made before anything is written. Whatever the target is, the plan has the record at which recovery
stops, found in the WAL itself, so that where it really ended can be compared.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeVar

from dbopsd.backup.catalog.catalog import Catalog, is_physical
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.errors import BackupNotFound, SystemIdentifierChanged
from dbopsd.backup.catalog.kind import BackupState
from dbopsd.backup.catalog.layout import Layout
from dbopsd.backup.catalog.lsn import Lsn
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.model.reports import RestorePlan
from dbopsd.backup.model.requests import RecoveryTarget
from dbopsd.backup.repository import Repository
from dbopsd.backup.restore.errors import TargetUnreachable
from dbopsd.backup.restore.freshness import ask_system, caught_up
from dbopsd.backup.restore.reachable import Reachable
from dbopsd.backup.restore.target_search import Found, Stop, TargetSearch, described
from dbopsd.backup.restore.wal_scan import SegmentFile, WalScan
from dbopsd.backup.restore.windows import restorable, segment_bytes_of
from dbopsd.backup.wal.archive import Mark, WalArchive, read_archive
from dbopsd.backup.wal.mark_seals import unsealed_note, with_genuine_marks
from dbopsd.backup.wal.stored_wal import read_segment
from dbopsd.db.client_tools import same_major
from dbopsd.db.server.installation import Installation
from dbopsd.errors import InvalidField
from dbopsd.operations.kind import Run

_TOOLS: Final = ("postgres", "pg_ctl", "pg_waldump", "pg_controldata", "psql")
_CHAIN_TOOLS: Final = ("pg_combinebackup", "pg_verifybackup")
# Incremental backups came with it.
_COMBINES_FROM: Final = 17

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What a restore takes. `chain`: the full backup first."""

    database: str
    layout: Layout
    installation: Installation
    chain: tuple[CommitRecord, ...]
    timeline: int
    target: RecoveryTarget
    stop: Stop
    files: tuple[SegmentFile, ...]
    """The WAL, in order; empty for a backup that has its own."""
    histories: tuple[int, ...]
    """The timelines whose history recovery reads."""
    notes: tuple[str, ...] = ()
    """What a person should know, a sentence each."""

    @property
    def backup(self) -> CommitRecord:
        """The backup that recovery begins with."""
        return self.chain[-1]

    @property
    def described_target(self) -> str:
        """The target in words."""
        return described(self.target)

    @property
    def wal_bytes(self) -> int:
        """The size of the WAL files."""
        return sum(segment.size_bytes for segment, _ in self.files)

    def report(self) -> RestorePlan:
        """The plan as the contract has it."""
        return RestorePlan(
            backup=self.name(self.backup.id),
            first_segment=str(self.files[0][0]) if self.files else "",
            last_segment=str(self.files[-1][0]) if self.files else "",
            segments=len(self.files),
        )

    def name(self, backup_id: str) -> str:
        """A backup's resource name."""
        return f"databases/{self.database}/backups/{backup_id}"


async def plan_restore(
    run: Run, repository: Repository, target: RecoveryTarget, *, backup_id: str = ""
) -> Plan:
    """Find the chain and the WAL for a target, and check that they are there and can be read.

    With `backup_id`, begin with that one. What was committed just before, and is not archived yet,
    is waited for while the server answers. Raises `TargetUnreachable`, `TargetAmbiguous`,
    `WalGapInTheWay`, `SystemIdentifierChanged`, `BackupNotFound`, `BackupDamaged`, `KeyMissing`,
    `KeyWrong`, `ToolsTooOld`.
    """
    catalog = await _catalog(run, repository, backup_id)
    backups = [_named(catalog, backup_id)] if backup_id else restorable(catalog)
    major = backups[0].server_major
    wanted = _TOOLS if major < _COMBINES_FROM else (*_TOOLS, *_CHAIN_TOOLS)
    tools = await same_major(repository.database, run.database.config.pg_bin, major, wanted)

    async def search(mark: Mark | None) -> tuple[Reachable, WalArchive, Found]:
        run.progress("plan")
        layout = catalog.layout
        stored = await read_archive(repository.store, layout, segment_bytes_of(catalog))
        archive, problem = await with_genuine_marks(repository.keys, stored)
        if target.timeline in ("", "latest") and archive.damaged_histories:
            # Which timeline is the latest, and what is ambiguous, is not known without it.
            raise next(iter(archive.damaged_histories.values()))
        reachable = Reachable(backups, archive, [mark] if mark else [])
        scan = WalScan(run, repository, layout, tools, run.scratch, segment_bytes_of(catalog))
        try:
            unsealed = unsealed_note(repository.keys, stored)
            found = await TargetSearch(
                repository.database, reachable, scan, target, unsealed
            ).find()
        except TargetUnreachable:
            if problem is not None:
                # It may be reachable by marks that cannot be judged without that key.
                raise problem from None
            raise
        return reachable, archive, found

    (reachable, archive, found), behind = await _with_newest(run, repository, target, search)
    backup, timeline = found.reach.backup, found.reach.timeline
    plan = Plan(
        repository.database,
        catalog.layout,
        tools,
        tuple(catalog.chain(catalog.get(backup.id))),
        timeline,
        target,
        found.stop,
        tuple(reachable.segments(backup, timeline, found.wal_end)),
        tuple(archive.histories),
        (*found.notes, *([f"Not the latest: {behind}."] if behind else ())),
    )
    await _check_chain(repository, plan)
    await _check_wal(repository, plan)
    return plan


async def _with_newest(
    run: Run,
    repository: Repository,
    target: RecoveryTarget,
    search: Callable[[Mark | None], Awaitable[T]],
) -> tuple[T, str]:
    """Search once what the server has committed by now is stored, where that may matter.

    The second is what a person should know of the latest moment.
    """
    lsn = Lsn.parse(target.lsn) if target.lsn else None
    if not (target.immediate or target.time or target.lsn or target.xid or target.name):
        fresh = await caught_up(run, repository)
        return await search(fresh.mark), fresh.behind
    try:
        return await search(None), ""
    except TargetUnreachable as error:
        if error.after or target.immediate:
            raise
        fresh = await caught_up(run, repository, time_wanted=target.time, lsn=lsn)
        if fresh.mark is None:
            raise
    return await search(fresh.mark), ""


async def _catalog(run: Run, repository: Repository, backup_id: str) -> Catalog:
    """That of the named backup's cluster, or of the cluster with the newest backup.

    Raises `SystemIdentifierChanged` where the server is another one than that, and answers.
    """
    catalogs = [await repository.catalog(system) for system in await repository.systems()]
    if backup_id:
        for each in catalogs:
            if any(backup.id == backup_id for backup in each.backups):
                return each
        raise BackupNotFound(repository.database, backup_id)
    newest = max(
        (
            (backups[-1].start_time, number)
            for number, each in enumerate(catalogs)
            if (backups := restorable(each))
        ),
        default=None,
    )
    if newest is None:
        raise TargetUnreachable(
            repository.database, "any moment", "it has no physical backup that is complete"
        )
    chosen = catalogs[newest[1]]
    system, found = chosen.layout.system_identifier, await ask_system(run.database)
    if found not in ("", system):
        raise SystemIdentifierChanged(repository.database, system, found, restorable(chosen)[-1].id)
    return chosen


def _named(catalog: Catalog, backup_id: str) -> CommitRecord:
    backup = catalog.get(backup_id)
    if backup.record is None or backup.state is BackupState.BROKEN:
        key = catalog.layout.commit(backup_id)
        raise BackupDamaged(key, Damage.HASH, backup.problem)
    if not is_physical(backup.record):
        raise InvalidField("backup", f"is a logical backup, which leads to no moment: {backup_id}")
    return backup.record


async def _check_chain(repository: Repository, plan: Plan) -> None:
    """Raise `BackupDamaged` unless every object is there, of its size, and the records are ours."""
    store, layout = repository.store, plan.layout
    for parent, child in pairwise(plan.chain):
        if child.parent_manifest_sha256 != parent.manifest_sha256:
            key = layout.commit(child.id)
            raise BackupDamaged(key, Damage.FOREIGN, f"it was made from another {parent.id}")
    for record in plan.chain:
        await repository.require_genuine(record)
        stored = {each.key: each.size_bytes async for each in store.list(layout.backup(record.id))}
        for part in record.objects:
            size = stored.get(part.path)
            if size is None:
                raise BackupDamaged(part.path, Damage.MISSING, "it is not in the store")
            if size < part.stored_bytes:
                detail = f"it has {size} of {part.stored_bytes} bytes"
                raise BackupDamaged(part.path, Damage.TRUNCATED, detail)


async def _check_wal(repository: Repository, plan: Plan) -> None:
    """Raise `BackupDamaged`, `KeyMissing` or `KeyWrong` unless its first and last file open."""
    for segment, length in {plan.files[0], plan.files[-1]} if plan.files else ():
        await read_segment(repository, plan.layout, segment, length)
