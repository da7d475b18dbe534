"""A cluster from a plan: files, WAL and settings; whole at the end, or not there at all."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from dbopsd.backup.model.requests import TargetAction
from dbopsd.backup.repository import Repository
from dbopsd.backup.restore.chain import TABLESPACE_LINKS, ChainFiles
from dbopsd.backup.restore.directory import (
    RestoreDirectory,
    check_claim,
    claim,
    claim_tablespace,
    find_claimed,
    read_owned,
)
from dbopsd.backup.restore.errors import TablespaceUnmapped
from dbopsd.backup.restore.plan import Plan
from dbopsd.backup.restore.recovery_settings import (
    AUTO_FILE,
    MAIN_FILE,
    main_settings,
    missing_access_file,
    recovery_settings,
    with_recovery,
)
from dbopsd.backup.restore.tar_extractor import files_below
from dbopsd.backup.restore.wal_scan import SegmentFile, WalScan
from dbopsd.backup.wal.archive import read_history
from dbopsd.backup.wal.stored_wal import read_segment
from dbopsd.db.server.account import ServerAccount, server_account
from dbopsd.db.server.directories import make_directory, read_text, sync, write_private
from dbopsd.db.server.leftovers import end_leftovers
from dbopsd.operations.gather_or_cancel import gather_or_cancel
from dbopsd.operations.kind import Run

_FETCHED_AT_ONCE: Final = 3
_SYNCED_AT_ONCE: Final = 8
_SYNCED_BY_ONE: Final = 32
_GROUP_BITS: Final = 0o050
# What a server in recovery or its predecessor left, and what says that it follows another one.
_DROPPED: Final = (
    "standby.signal",
    "recovery.signal",
    "postmaster.pid",
    "postmaster.opts",
    "backup_manifest",
    "tablespace_map",
)


@dataclass(frozen=True)
class RestoredCluster:
    """A cluster that was restored and not started yet.

    `directory` stays claimed until it is released. The plan's `stop` has its record now.
    """

    directory: RestoreDirectory
    plan: Plan
    account: ServerAccount
    action: TargetAction

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory.path


async def restore_cluster(
    run: Run,
    repository: Repository,
    plan: Plan,
    directory: str,
    *,
    roots: Sequence[Path],
    mappings: Mapping[str, str],
    action: TargetAction,
    tablespace_roots: Sequence[Path] | None = None,
) -> RestoredCluster:
    """Restore into a directory that is empty or missing, beneath the `roots`.

    `mappings`: the new directory of each tablespace by its old one, beneath `tablespace_roots`,
    which are the `roots` unless given. Whatever this raises, nothing
    is left in the directories. Raises `DirectoryNotEmpty`, `DirectoryUnusable`,
    `PathOutsideRoots`, `TablespaceUnmapped`, `BackupDamaged`, `KeyMissing`, `KeyWrong`,
    `RestoreFailed`.
    """
    new_places = _mapped(plan, mappings)
    left = await asyncio.to_thread(find_claimed, directory, roots, run.operation)
    if left is not None:
        # An attempt that was killed may have started it.
        await end_leftovers(left.path)
    claimed = await asyncio.to_thread(claim, directory, roots, run.operation)
    try:
        account = await account_for(claimed.path)
        tablespaces = await asyncio.to_thread(
            _claim_tablespaces,
            claimed,
            new_places,
            roots if tablespace_roots is None else tablespace_roots,
        )
        await ChainFiles(run, repository, plan).bring(claimed, tablespaces)
        await _bring_wal(run, repository, plan, claimed.cluster / "pg_wal")
        plan = await _with_last_record(run, repository, plan, claimed.cluster / "pg_wal")
        control = await run.child(
            str(plan.installation.tool("pg_controldata")), str(claimed.cluster)
        )
        restored = RestoredCluster(claimed, plan, account, action)
        run.progress("finish")
        await asyncio.to_thread(
            _finish, restored, tablespaces, control.stdout.decode(errors="replace")
        )
    except BaseException:
        await asyncio.shield(asyncio.to_thread(claimed.clean))
        raise
    return restored


def check_places(
    plan: Plan, directory: str, *, roots: Sequence[Path], mappings: Mapping[str, str]
) -> None:
    """Raise what `restore_cluster` would for its directories, and change nothing. Blocks.

    `roots`: of the directories of tablespaces, and of `directory`.
    """
    places: list[Path] = []
    for place in (directory, *_mapped(plan, mappings).values()):
        places.append(check_claim(place, roots, places))


async def own_directory(run: Run, folder: str) -> str:
    """Where in the state directory, below `folder`, an operation's own cluster is. Not made yet.

    The account that runs the server can get there.
    """
    parent = run.state_dir.absolute() / folder
    account = await server_account(parent / "none")
    for each in (parent.parent, parent):
        await asyncio.to_thread(make_directory, each, account)
    return str(parent / run.operation)


def set_target(restored: RestoredCluster, plan: Plan, action: TargetAction) -> RestoredCluster:
    """Have a restored cluster that does not run recover further, to the stop of another plan.

    The plan's WAL must be there: that of a stop before the first one's. Blocks.
    """
    changed = replace(restored, plan=plan, action=action)
    _write_recovery(restored.data, changed)
    return changed


def _mapped(plan: Plan, mappings: Mapping[str, str]) -> dict[int, str]:
    """The new directory of each tablespace. Raises `TablespaceUnmapped`."""
    given = {os.path.normpath(old): new for old, new in mappings.items()}
    places = {}
    for each in plan.backup.tablespaces:
        new = given.get(os.path.normpath(each.location))
        if new is None:
            raise TablespaceUnmapped(each.location)
        places[each.oid] = new
    return places


def _claim_tablespaces(
    claimed: RestoreDirectory, places: Mapping[int, str], roots: Sequence[Path]
) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for oid, place in places.items():
        found[oid] = claim_tablespace(place, roots, [claimed.path, *found.values()])
    if found:
        claimed.claim_tablespaces(found.values())
    return found


async def account_for(directory: Path) -> ServerAccount:
    """The account that runs the server: the directory's owner, or, as root, PostgreSQL's own."""
    owned = await asyncio.to_thread(lambda: directory.exists() and directory.stat().st_uid != 0)
    return await server_account(directory if owned else directory / "data")


async def _bring_wal(run: Run, repository: Repository, plan: Plan, folder: Path) -> None:
    for each in (folder, folder / "archive_status"):
        await asyncio.to_thread(each.mkdir, mode=0o700, exist_ok=True)
    for timeline in plan.histories:
        content = await read_history(repository.store, plan.layout, timeline)
        await asyncio.to_thread((folder / f"{timeline:08X}.history").write_bytes, content)
    limit = asyncio.Semaphore(_FETCHED_AT_ONCE)
    done = 0

    async def bring(file: SegmentFile) -> None:
        nonlocal done
        async with limit:
            segment, length = file
            content = await read_segment(repository, plan.layout, segment, length)
            await asyncio.to_thread((folder / str(segment)).write_bytes, content)
            done += segment.size_bytes
            run.progress("wal", done, plan.wal_bytes, "By")

    await gather_or_cancel(bring(file) for file in plan.files)


async def _with_last_record(run: Run, repository: Repository, plan: Plan, folder: Path) -> Plan:
    """The plan with the record that recovery ends with, where that is the last one there is."""
    if plan.stop.record is not None or plan.stop.immediate:
        return plan
    scan = WalScan(
        run,
        repository,
        plan.layout,
        plan.installation,
        run.scratch,
        plan.backup.segment_bytes,
    )
    last = await scan.last_record(folder, plan.files)
    return replace(plan, stop=replace(plan.stop, record=last))


def _finish(restored: RestoredCluster, tablespaces: Mapping[int, Path], control: str) -> None:
    """Settings, owner, everything on the disk; then it is a cluster."""
    claimed, account = restored.directory, restored.account
    cluster = claimed.cluster
    for name in _DROPPED:
        (cluster / name).unlink(missing_ok=True)
    _link_tablespaces(cluster, tablespaces)
    text = read_text(cluster / MAIN_FILE)
    changed = main_settings(text, claimed.path, control)
    if changed is not None:
        write_private(cluster / MAIN_FILE, changed)
    access = missing_access_file(cluster)
    if access is not None:
        write_private(cluster / "pg_hba.conf", access)
    _write_recovery(cluster, restored)
    places = [cluster, *tablespaces.values()]
    group_may_read = (cluster / "global").stat().st_mode & _GROUP_BITS
    for place in (*places, claimed.path):
        place.chmod(0o700 | group_may_read)
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as threads:
        for place in places:
            for _ in threads.map(partial(_settle, account), _some_below(place)):
                pass
    _settle(account, [(claimed.version_file, False)])
    if account.foreign:
        os.chown(claimed.path, account.uid, account.gid)
    claimed.publish()


def _write_recovery(data: Path, restored: RestoredCluster) -> None:
    plan = restored.plan
    # Of its own timeline a backup knows without the history, which may not be stored.
    known = plan.timeline == 1 or plan.timeline in plan.histories
    ours = recovery_settings(
        plan.installation.major,
        str(plan.timeline) if known else "current",
        plan.stop,
        restored.action,
        f"It recovers to {plan.described_target}.",
    )
    # Ours until it is published, and the account's after that.
    owner = os.geteuid() if data != restored.data else restored.account.uid
    inherited = read_owned(data / AUTO_FILE, owner) or ""
    write_private(data / AUTO_FILE, with_recovery(inherited, ours), restored.account)
    write_private(data / "recovery.signal", "", restored.account)


def _link_tablespaces(cluster: Path, tablespaces: Mapping[int, Path]) -> None:
    """Point links and map at the new directories: the server makes the links by the map."""
    lines = []
    for oid, new in tablespaces.items():
        link = cluster / TABLESPACE_LINKS / str(oid)
        link.unlink(missing_ok=True)
        link.symlink_to(new)
        escaped = str(new).replace("\\", "\\\\").replace("\n", "\\\n").replace("\r", "\\\r")
        lines.append(f"{oid} {escaped}\n")
    if lines:
        write_private(cluster / "tablespace_map", "".join(lines))


def _some_below(place: Path) -> Iterator[Sequence[tuple[Path, bool]]]:
    """What `files_below` finds, as much at once as is worth a thread's turn."""
    found = files_below(place)
    while some := list(islice(found, _SYNCED_BY_ONE)):
        yield some


def _settle(account: ServerAccount, found: Sequence[tuple[Path, bool]]) -> None:
    """Give files and directories to the account, and have them on the disk."""
    for path, is_directory in found:
        if account.foreign:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
        if is_directory or not path.is_symlink():
            sync(path)
