"""The records of the WAL, each checked by `pg_waldump`, a few segments at a time on disk."""

import asyncio
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.lsn import Lsn, Segment
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.model.reports import Problem
from dbopsd.backup.repository import Repository
from dbopsd.backup.verify.objects import Done, problem_of
from dbopsd.backup.verify.wal import WalFile
from dbopsd.backup.wal.archive import WalArchive
from dbopsd.backup.wal.stored_wal import read_segment
from dbopsd.backup.wal.timelines import branches_after
from dbopsd.db.server.installation import Installation
from dbopsd.operations.kind import Run

_BATCH_BYTES: Final = 128 * 2**20
_ERROR: Final = re.compile(r"error: (?P<text>.+)")
_LSN: Final = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")
# What is read where nothing was written yet.
_NOTHING: Final = re.compile(r"got 0\b|magic number 0000|record with (?:incorrect|invalid) .*zero")


async def verify_wal_records(
    run: Run,
    repository: Repository,
    archive: WalArchive,
    files: Sequence[WalFile],
    installation: Installation,
    done: Done,
) -> dict[Segment, Problem]:
    """What is wrong with the records in these files, which are whole, by their segments.

    What follows a bad record in its batch is not looked at. Raises `KeyMissing`, `KeyWrong` and
    what the store does.
    """
    found: dict[Segment, Problem] = {}
    directory = run.scratch / "verify-wal"
    try:
        for batch in _batches(files):
            await asyncio.to_thread(_make_empty, directory)
            try:
                for file in batch:
                    content = await _read(repository, archive, file)
                    await asyncio.to_thread((directory / str(file.segment)).write_bytes, content)
                    done(file.stored_bytes)
            except BackupDamaged as error:
                found[file.segment] = problem_of(error)
                continue
            problem = await _walk(run, installation, directory, batch)
            if problem is not None and not _is_end(archive, batch[-1], problem[1]):
                lsn, text = problem
                segment, key = _at(batch, lsn)
                found[segment] = Problem(key, Damage.HASH.value, text)
    finally:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
    return dict(sorted(found.items()))


def _batches(files: Sequence[WalFile]) -> Iterator[list[WalFile]]:
    """The files in batches without a gap. Each but a first has the last file of the one before.

    A record may begin in one batch and end in the next.
    """
    batch: list[WalFile] = []
    for file in sorted(files, key=lambda file: file.segment):
        last = batch[-1] if batch else file
        whole = last.length == last.segment.size_bytes
        if batch and not (whole and file.segment == last.segment.after()):
            yield batch
            batch = []
        elif len(batch) >= max(2, _BATCH_BYTES // file.segment.size_bytes):
            yield batch
            batch = batch[-1:]
        batch.append(file)
    if batch:
        yield batch


async def _read(repository: Repository, archive: WalArchive, file: WalFile) -> bytes:
    partial = None if file.length == file.segment.size_bytes else file.length
    return await read_segment(repository, archive.layout, file.segment, partial)


async def _walk(
    run: Run, installation: Installation, directory: Path, batch: Sequence[WalFile]
) -> tuple[Lsn, str] | None:
    """Where `pg_waldump` found something wrong, and what it says; None: nothing."""
    first, last = batch[0].segment, batch[-1]
    done = await run.child(
        str(installation.tool("pg_waldump")),
        "--quiet",
        f"--path={directory}",
        f"--timeline={first.timeline}",
        f"--start={first.start}",
        f"--end={Lsn(last.segment.start + last.length)}",
        summary="pg_waldump",
    )
    if done.exit_status == 0:
        return None
    said = _ERROR.search(done.stderr.decode(errors="replace"))
    text = said["text"].strip() if said else f"pg_waldump ended with {done.exit_status}"
    # It names the record before the bad one, and then the bad one.
    lsns = _LSN.findall(text)
    return (Lsn.parse(lsns[-1]) if lsns else first.start), text


def _is_end(archive: WalArchive, last: WalFile, text: str) -> bool:
    """Whether no more was written there: the rest of a segment that is stored in part.

    Or of one that its timeline was left in, for another one.
    """
    lsns = [Lsn.parse(each) for each in _LSN.findall(text)]
    if not _NOTHING.search(text) or not any(last.segment.start <= each for each in lsns):
        return False
    timeline = last.segment.timeline
    left = branches_after(archive.histories, timeline, last.segment.start)
    return last.length < last.segment.size_bytes or any(
        branch <= last.segment.end for _, branch in left
    )


def _at(batch: Sequence[WalFile], lsn: Lsn) -> tuple[Segment, str]:
    for file in batch:
        if file.segment.start <= lsn < file.segment.end:
            return file.segment, file.key
    return batch[0].segment, batch[0].key


def _make_empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
