"""The moments that a database can be restored to, and the gaps between them."""

from collections.abc import Sequence
from typing import Final

from dbopsd.backup.catalog.catalog import Catalog, is_physical
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.kind import BackupState
from dbopsd.backup.catalog.lsn import SEGMENT_BYTES
from dbopsd.backup.model.reports import RecoveryWindow, RecoveryWindows, WalGap
from dbopsd.backup.repository import Repository
from dbopsd.backup.restore.reachable import Hole, Reach, Reachable
from dbopsd.backup.wal.archive import read_archive
from dbopsd.backup.wal.events import EventKind, WalEvent, read_events
from dbopsd.backup.wal.mark_seals import unsealed_note, with_genuine_marks
from dbopsd.errors import DbopsError

_NO_CAUSE: Final = "it is not in the archive: it never came, was deleted, or retention removed it"


async def list_windows(repository: Repository) -> RecoveryWindows:
    """The windows and gaps of every cluster in the store, read from the store alone.

    Raises `BackupDamaged` for a damaged history of the archive, and the store's errors.
    """
    windows: list[RecoveryWindow] = []
    gaps: list[WalGap] = []
    notes: list[str] = []
    for system in await repository.systems():
        catalog = await repository.catalog(system)
        layout = repository.layout(system)
        stored = await read_archive(repository.store, layout, segment_bytes_of(catalog))
        archive, problem = await with_genuine_marks(repository.keys, stored)
        unsealed = unsealed_note(repository.keys, stored)
        notes += [
            f"Of cluster {system}, {why}." for why in (_without_key(problem), unsealed) if why
        ]
        reachable = Reachable(restorable(catalog), archive)
        windows += _windows(repository.database, reachable.reaches)
        events = await read_events(repository.store, layout)
        gaps += _gaps(reachable, events)
    return RecoveryWindows(tuple(windows), tuple(gaps), tuple(notes))


def _without_key(problem: DbopsError | None) -> str:
    return "" if problem is None else f"marks of the WAL archive do not count: {problem.message}"


def restorable(catalog: Catalog) -> list[CommitRecord]:
    """The physical backups that are whole, as far as is known, and stay."""
    return [
        each.record
        for each in catalog.backups
        if each.record is not None
        and each.state is BackupState.COMPLETE
        and is_physical(each.record)
    ]


def segment_bytes_of(catalog: Catalog) -> int:
    """The size of the cluster's WAL segments, as its backups say."""
    for each in catalog.backups:
        if each.record is not None and is_physical(each.record):
            return each.record.segment_bytes
    return SEGMENT_BYTES


def _windows(database: str, reaches: Sequence[Reach]) -> list[RecoveryWindow]:
    # What ends at the same position of the same timeline is one window, from its first backup on.
    merged: dict[tuple[int, int], list[Reach]] = {}
    for each in reaches:
        merged.setdefault((each.timeline, each.end), []).append(each)
    windows = []
    for (timeline, _), found in sorted(merged.items()):
        # Of backups that lead to the same start, a timeline's, the newest.
        first = min(found, key=lambda each: (each.start, -each.backup.stop_lsn))
        windows.append(
            RecoveryWindow(
                timeline=timeline,
                start_time=first.start_time,
                start_lsn=str(first.start),
                end_time=max(each.end_time for each in found),
                end_lsn=str(first.end),
                backup=f"databases/{database}/backups/{first.backup.id}",
            )
        )
    return windows


def _gaps(reachable: Reachable, events: Sequence[WalEvent]) -> list[WalGap]:
    """The holes, each with what is known of it, and recorded gaps that no WAL follows yet."""
    known = [each for each in events if each.kind is EventKind.GAP]
    found = []
    for hole in reachable.holes():
        about = next((each for each in reversed(known) if _overlap(each, hole)), None)
        found.append(
            WalGap(
                hole.timeline,
                str(hole.start),
                str(hole.end),
                about.at if about else None,
                about.cause if about else _NO_CAUSE,
            )
        )
    found += [
        WalGap(each.timeline, str(each.start), str(each.end), each.at, each.cause)
        for each in known
        if each.start >= reachable.last_stored(each.timeline)
    ]
    return found


def _overlap(event: WalEvent, hole: Hole) -> bool:
    return event.timeline == hole.timeline and event.start < hole.end and hole.start < event.end
