"""What is in a physical backup, judged by `pg_verifybackup` of the server's own version."""

import asyncio
import hashlib
import re
import shutil
from pathlib import Path
from typing import Final

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.model.reports import Problem
from dbopsd.backup.parts import read_parts
from dbopsd.backup.repository import Repository
from dbopsd.backup.scratch_room import require_room
from dbopsd.backup.verify.objects import Done, problem_of
from dbopsd.backup.verify.unpacked import unpack_tar, write_stream
from dbopsd.db.client_tools import same_major
from dbopsd.db.server.installation import Installation
from dbopsd.operations.kind import Run

PHYSICAL_TOOLS: Final = ("pg_verifybackup", "pg_waldump")

_READS_TAR: Final = 18
_MANIFEST: Final = "manifest"
_MOST_PROBLEMS: Final = 100
# A file takes whole blocks, and there are folders.
_ROOM_FACTOR: Final = 1.05
_PROBLEMS: Final = (
    (re.compile(r"is present in the manifest but not"), Damage.MISSING),
    (re.compile(r"(?:has size|file size)"), Damage.TRUNCATED),
    (re.compile(r"but not in the manifest|system identifier"), Damage.FOREIGN),
)


async def tools_of(run: Run, record: CommitRecord) -> Installation:
    """The programs of the backup's own version. Raises `ToolsTooOld`."""
    database = run.database
    return await same_major(
        database.name, database.config.pg_bin, record.server_major, PHYSICAL_TOOLS
    )


async def verify_files(
    run: Run, repository: Repository, record: CommitRecord, done: Done
) -> tuple[Problem, ...]:
    """What is wrong with the files of a physical backup, whose objects are whole.

    It is unpacked below the attempt's own directory, one backup at a time. Raises
    `ScratchTooSmall`, `ToolsTooOld`, `KeyMissing`, `KeyWrong` and what the store does.
    """
    installation = await tools_of(run, record)
    manifest = record.stream(_MANIFEST)
    directory = run.scratch / "verify" / record.id
    await asyncio.to_thread(_make_empty, directory)
    try:
        await require_room(directory, record.id, int(record.size_bytes * _ROOM_FACTOR))
        digest = hashlib.sha256()
        async for content in read_parts(repository.store, repository.keys, manifest):
            digest.update(content)
        if digest.hexdigest() != record.manifest_sha256:
            detail = "it is not the manifest that the backup was made with"
            return (Problem(manifest[0].path, Damage.FOREIGN.value, detail),)
        in_tar = installation.major >= _READS_TAR and not record.wal_included
        for stream in record.streams:
            if stream.name == _MANIFEST:
                await write_stream(repository, stream.parts, directory / "backup_manifest", done)
            elif in_tar:
                await write_stream(repository, stream.parts, directory / f"{stream.name}.tar", done)
            else:
                place = "" if stream.name == "base" else f"pg_tblspc/{stream.name}"
                await unpack_tar(repository, stream.parts, directory / place, done)
        return await _judge(run, installation, record, directory)
    except BackupDamaged as error:
        return (problem_of(error),)
    finally:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


async def _judge(
    run: Run, installation: Installation, record: CommitRecord, directory: Path
) -> tuple[Problem, ...]:
    # Only where the backup has its own WAL, it is beside the files.
    options = [] if record.wal_included else ["--no-parse-wal"]
    program = str(installation.tool("pg_verifybackup"))
    done = await run.child(program, *options, str(directory), summary="pg_verifybackup")
    if done.exit_status == 0:
        return ()
    about = record.stream(_MANIFEST)[0].path
    lines = done.stderr.decode(errors="replace").splitlines()
    found = [
        Problem(about, _problem(text).value, text)
        for line in lines
        if (text := _said(line, directory))
    ]
    if not found:
        detail = f"pg_verifybackup ended with {done.exit_status}"
        found = [Problem(about, Damage.HASH.value, detail)]
    return tuple(found[:_MOST_PROBLEMS])


def _said(line: str, directory: Path) -> str:
    """What a line of `pg_verifybackup` says, without where it was unpacked."""
    program, _, text = line.partition(": error: ")
    return text.replace(f"{directory}/", "") if program == "pg_verifybackup" else ""


def _problem(text: str) -> Damage:
    for pattern, problem in _PROBLEMS:
        if pattern.search(text):
            return problem
    return Damage.HASH


def _make_empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
