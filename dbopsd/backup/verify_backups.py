"""Verify backups and the WAL archive: the work of the kind `verify-backups`."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass

from dbopsd.backup.catalog.catalog import Backup, Catalog, is_physical
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.kind import BackupState
from dbopsd.backup.catalog.lsn import SEGMENT_BYTES, Segment
from dbopsd.backup.catalog.notes import NoteKind, check_notes, expiry_of, write_note
from dbopsd.backup.codec.errors import NOT_ENCRYPTED, Damage
from dbopsd.backup.leases import hold_lease
from dbopsd.backup.model.description import backup_name
from dbopsd.backup.model.reports import (
    Problem,
    VerifiedBackup,
    VerifiedWal,
    VerifyReport,
    WalGap,
)
from dbopsd.backup.model.requests import Depth, VerifyBackupsRequest
from dbopsd.backup.repository import Repository, repository_of
from dbopsd.backup.verify.contents import tools_of, verify_files
from dbopsd.backup.verify.dump import verify_dump
from dbopsd.backup.verify.objects import problem_of, verify_objects, verify_record
from dbopsd.backup.verify.wal import (
    WalFile,
    missing_wal,
    needed_segments,
    verify_wal_files,
    wal_files,
)
from dbopsd.backup.verify.wal_records import verify_wal_records
from dbopsd.backup.wal.archive import WalArchive, read_archive, segment_key
from dbopsd.backup.wal.events import read_stored_events
from dbopsd.operations.kind import Run


@dataclass(frozen=True)
class _Cluster:
    """What is to be verified of one cluster: these backups, these files of its WAL."""

    catalog: Catalog
    backups: Sequence[Backup]
    archive: WalArchive
    files: Sequence[WalFile]
    gaps: Sequence[WalGap]
    problems: Sequence[Problem]
    """Of what tells about the WAL: histories of timelines, and events."""

    @property
    def stored_bytes(self) -> int:
        """How much there is to read."""
        records = [each.record for each in self.backups if each.record is not None]
        of_backups = sum(each.stored_bytes for each in records)
        return of_backups + sum(each.stored_bytes for each in self.files)


class _Progress:
    """Tells how many of the stored bytes have been read."""

    def __init__(self, run: Run, total: int) -> None:
        self._run = run
        self._total = total
        self._done = 0

    def add(self, stage: str, stored_bytes: int) -> None:
        self._done += stored_bytes
        self._run.progress(stage, self._done, max(self._total, self._done), "By")


async def verify_backups(run: Run, request: VerifyBackupsRequest) -> VerifyReport:
    """Read every object of the backups, and the WAL: all of it, or what the named ones need.

    What is found of a backup is written beside it: a damaged one is BROKEN until a later
    verification finds it whole. Raises `BackupNotFound`, `KeyMissing`, `KeyWrong`, and what the
    store does, which says nothing about the backups.
    """
    async with repository_of(run) as repository:
        clusters = await _clusters(repository, request)
        contents = request.depth is Depth.CONTENTS
        # What is looked into is read once more.
        total = sum(cluster.stored_bytes for cluster in clusters) * (2 if contents else 1)
        progress = _Progress(run, total)
        backups: list[VerifiedBackup] = []
        wal = VerifiedWal()
        for cluster in clusters:
            async with _leased(run, repository, cluster):
                damaged = await _verify_wal(run, repository, cluster, progress, contents=contents)
                wal = VerifiedWal(
                    wal.segments + len(cluster.files),
                    (*wal.gaps, *cluster.gaps),
                    (*wal.problems, *cluster.problems, *damaged.values()),
                )
                backups += [
                    await _verify(
                        run, repository, cluster, backup, damaged, progress, contents=contents
                    )
                    for backup in cluster.backups
                ]
        ok = not wal.gaps and not wal.problems and all(each.ok for each in backups)
        return VerifyReport(ok, tuple(backups), wal)


async def _clusters(repository: Repository, request: VerifyBackupsRequest) -> list[_Cluster]:
    wanted = set(request.backup_ids)
    found: list[_Cluster] = []
    for system in await repository.systems():
        catalog = await repository.catalog(system)
        if wanted:
            backups = [each for each in catalog.backups if each.id in wanted]
        else:
            backups = [
                each
                for each in catalog.backups
                if (request.all or each.state is not BackupState.EXPIRED)
                and not _being_deleted(each)
            ]
        wanted -= {each.id for each in backups}
        if backups or not request.backup_ids:
            found.append(await _cluster(repository, catalog, backups, bool(request.backup_ids)))
    if wanted:
        raise BackupNotFound(repository.database, min(wanted))
    return found


async def _cluster(
    repository: Repository, catalog: Catalog, backups: Sequence[Backup], named: bool
) -> _Cluster:
    kept = _physical(catalog.backups)
    segment_bytes = kept[-1].segment_bytes if kept else SEGMENT_BYTES
    archive = await read_archive(repository.store, catalog.layout, segment_bytes)
    sizes = {each.key: each.size_bytes async for each in repository.store.list(catalog.layout.wal)}
    files = wal_files(archive, sizes)
    gaps: Sequence[WalGap] = ()
    problems = [problem_of(each) for each in archive.damaged_histories.values()]
    if named:
        needed = {segment for each in _physical(backups) for segment in needed_segments(each)}
        files = [each for each in files if each.segment in needed]
    else:
        events = await read_stored_events(repository.store, catalog.layout)
        problems += [problem_of(each) for each in events.damaged]
        gaps = missing_wal(archive, kept, events.intact)
    return _Cluster(catalog, backups, archive, files, gaps, problems)


def _leased(
    run: Run, repository: Repository, cluster: _Cluster
) -> AbstractAsyncContextManager[None]:
    """Keep retention from removing what is being read."""
    starts = [each.segment.start for each in cluster.files]
    return hold_lease(
        repository.store,
        cluster.catalog.layout,
        f"verify-{run.operation}",
        backups=[each.id for each in cluster.backups],
        wal_from=min(starts, default=None),
    )


async def _verify_wal(
    run: Run, repository: Repository, cluster: _Cluster, progress: _Progress, *, contents: bool
) -> dict[Segment, Problem]:
    """What is wrong with the files of the WAL, and with the records in them."""
    damaged = await verify_wal_files(
        repository, cluster.catalog.layout, cluster.files, lambda size: progress.add("wal", size)
    )
    # Without a backup it is not known which version's WAL it is, and it leads nowhere.
    records = _physical(cluster.catalog.backups)
    if contents and records:
        damaged |= await verify_wal_records(
            run,
            repository,
            cluster.archive,
            [each for each in cluster.files if each.segment not in damaged],
            await tools_of(run, records[-1]),
            lambda size: progress.add("wal records", size),
        )
    return damaged


async def _verify(
    run: Run,
    repository: Repository,
    cluster: _Cluster,
    backup: Backup,
    damaged: dict[Segment, Problem],
    progress: _Progress,
    *,
    contents: bool,
) -> VerifiedBackup:
    """Verify one backup, and write down what was found."""
    layout = cluster.catalog.layout
    record, problems = await verify_record(repository, layout.commit(backup.id))
    if record is not None:
        problems += await verify_objects(
            repository, record.objects, lambda size: progress.add("objects", size)
        )
        if is_physical(record):
            problems += _of_wal(cluster.archive, record, damaged)
            problems += _of_parent(cluster.catalog, record)
        if contents and not problems and is_physical(record):
            problems += await verify_files(
                run, repository, record, lambda size: progress.add("contents", size)
            )
        elif contents and not problems:
            problems += await verify_dump(run, repository, record)
    ok = not problems
    # That the configuration admits none of it is no damage, and may be changed.
    if ok or any(each.detail != NOT_ENCRYPTED for each in problems):
        await write_note(
            repository.store,
            layout,
            backup.id,
            NoteKind.VERIFIED,
            {"ok": ok, "problems": [asdict(each) for each in problems]},
        )
    # The backup itself can be restored: it is not BROKEN for its notes.
    notes = await check_notes(repository.store, layout, backup.id)
    problems += tuple(problem_of(each) for each in notes)
    name = backup_name(repository.database, backup.id)
    return VerifiedBackup(name, not problems, problems)


def _of_wal(
    archive: WalArchive, record: CommitRecord, damaged: dict[Segment, Problem]
) -> tuple[Problem, ...]:
    """What is wrong with the WAL that makes a backup consistent."""
    wal = archive.timelines.get(record.timeline)
    found: list[Problem] = []
    for segment in needed_segments(record):
        start, end = max(segment.start, record.start_lsn), min(segment.end, record.stop_lsn)
        if segment in damaged:
            found.append(damaged[segment])
        elif wal is None or not wal.covers(start, end):
            key = segment_key(archive.layout, segment)
            detail = "the backup is consistent only with this WAL"
            found.append(Problem(key, Damage.MISSING.value, detail))
    return tuple(found)


def _of_parent(catalog: Catalog, record: CommitRecord) -> tuple[Problem, ...]:
    """What is wrong with the backup that an incremental one rests on, as the catalog has it."""
    if not record.parent:
        return ()
    key = catalog.layout.commit(record.parent)
    parent = next((each for each in catalog.backups if each.id == record.parent), None)
    if parent is None:
        return (Problem(key, Damage.MISSING.value, "this backup rests on it"),)
    if parent.record is not None and parent.record.manifest_sha256 != record.parent_manifest_sha256:
        return (Problem(key, Damage.FOREIGN.value, "it is not the parent that was backed up on"),)
    return ()


def _being_deleted(backup: Backup) -> bool:
    expiry = expiry_of(backup.notes)
    return expiry is not None and bool(expiry.fields.get("deleting"))


def _physical(backups: Sequence[Backup]) -> list[CommitRecord]:
    return [each.record for each in backups if each.record is not None and is_physical(each.record)]
