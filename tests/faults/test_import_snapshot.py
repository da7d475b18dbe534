"""A file is copied while others write to it, die over it, and while the disk runs full."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dbopsd.migrate.importer.model.errors import SnapshotNoSpace
from dbopsd.migrate.importer.snapshot.open_sqlite import open_immutable
from dbopsd.migrate.importer.snapshot.take_snapshot import Snapshot
from tests.support.daemon import ROOT
from tests.support.snapshots import take_snapshot
from tests.support.soak import Soak
from tests.support.sqlite_writer import MODES, commits_of, create, writer

MIB = 2**20
# How long a commit may take beside the copying, on a busy machine with a slow disk: fsync alone
# takes a good part of it. It must not be the seconds that a copy page by page would take.
STALL_S = 1.5


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source" / "app.db"
    path.parent.mkdir()
    return path


def commits_in(snapshot: Snapshot) -> int:
    with closing(open_immutable(snapshot.path)) as connection:
        return commits_of(connection)


def new_scratch(source: Path) -> Path:
    path = source.parent.parent / f"scratch {time.monotonic_ns()}"
    path.mkdir()
    return path


def everything(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "mode",
    [
        *("DELETE", "WAL"),
        pytest.param("TRUNCATE", marks=pytest.mark.thorough),
        pytest.param("PERSIST", marks=pytest.mark.thorough),
    ],
)
def test_a_copy_beside_a_busy_writer_is_one_of_its_states(source: Path, mode: str) -> None:
    create(source, mode, ballast_bytes=100 * MIB)
    seen = [0]
    held = []
    with writer(source, mode) as busy:
        for _ in range(6):
            snapshot = take_snapshot(source, new_scratch(source))
            seen.append(commits_in(snapshot))
            held.append(snapshot.held_s)
            snapshot.path.unlink()
        done = busy.stop()
    print(f"{mode}: {done}, held for {max(held)} s at most")
    assert seen == sorted(set(seen)), "each is later than the one before"
    assert seen[-1] <= done["commits"]
    # In WAL mode it does not wait at all.
    assert done["longest_s"] < STALL_S + (0 if mode == "WAL" else max(held))
    # Nothing was left behind, and the writer lost nothing.
    left = {path.name for path in source.parent.iterdir()}
    assert left <= {"app.db", *(("app.db-journal",) if mode in ("TRUNCATE", "PERSIST") else ())}
    with closing(open_immutable(source)) as connection:
        assert commits_of(connection) == done["commits"]


@pytest.mark.parametrize("mode", MODES)
def test_a_writer_killed_in_a_transaction_leaves_the_state_before(source: Path, mode: str) -> None:
    create(source, mode)
    with writer(source, mode, dirty=True) as busy:
        busy.kill()
    before = everything(source.parent)
    assert len(before) > 1, "it left a journal"
    snapshot = take_snapshot(source, new_scratch(source))
    assert snapshot.recovered == ("wal" if mode == "WAL" else "journal")
    assert commits_in(snapshot) == 1
    assert everything(source.parent) == before


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", MODES)
def test_writers_killed_at_any_moment_leave_a_state_that_can_be_copied(
    source: Path, mode: str, soak: Soak
) -> None:
    create(source, mode)
    chance = soak.random()
    seen = 0
    for _ in range(soak.scale(5, 100)):
        with writer(source, mode) as busy:
            time.sleep(chance.uniform(0, 0.1))
            busy.kill()
        before = everything(source.parent)
        now = commits_in(take_snapshot(source, new_scratch(source)))
        assert now > seen
        seen = now
        assert everything(source.parent) == before


_COPYING = """
import sys
from pathlib import Path
from dbopsd.migrate.importer.snapshot.take_snapshot import take_snapshot
print("ready", flush=True)
take_snapshot(sys.argv[1], [Path("/")], Path(sys.argv[2]))
"""


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["WAL", pytest.param("DELETE", marks=pytest.mark.thorough)])
def test_a_copier_killed_at_any_moment_is_as_if_it_had_not_begun(
    source: Path, mode: str, soak: Soak
) -> None:
    create(source, mode, ballast_bytes=50 * MIB)
    with writer(source, mode, dirty=True) as busy:
        busy.kill()
    before = everything(source.parent)
    chance = soak.random()
    found = {"whole": 0, "making": 0}
    for _ in range(soak.scale(10, 200)):
        scratch = new_scratch(source)
        with subprocess.Popen(
            (sys.executable, "-c", _COPYING, str(source), str(scratch)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
        ) as copier:
            assert copier.stdout is not None
            copier.stdout.readline()
            time.sleep(chance.uniform(0, 0.3))
            copier.kill()
        found["whole"] += (scratch / "snapshot").exists()
        found["making"] += (scratch / "snapshot.making").exists()
        assert everything(source.parent) == before
        snapshot = take_snapshot(source, scratch)
        assert commits_in(snapshot) == 1
        assert [path.name for path in scratch.iterdir()] == ["snapshot"]
        snapshot.path.unlink()
    assert found["making"], found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 40 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "tmpfs", str(path))
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(("umount", "--lazy", str(path)), check=True)


def fill(disk: Path) -> None:
    """Write until nothing more fits."""
    with (disk / "ballast").open("ab", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass


def refused(source: Path, scratch: Path, **more: object) -> SnapshotNoSpace:
    with pytest.raises(SnapshotNoSpace) as error:
        take_snapshot(source, scratch, **more)  # type: ignore[arg-type]
    return error.value


def assert_room_makes_it_work(disk: Path, source: Path, commits: int) -> None:
    assert [path.name for path in disk.iterdir()] == ["ballast"]
    (disk / "ballast").unlink()
    assert commits_in(take_snapshot(source, disk)) == commits


def test_a_disk_without_room_is_seen_before_anything_is_copied(
    source: Path, small_disk: Path
) -> None:
    create(source, "DELETE", ballast_bytes=20 * MIB)
    fill(small_disk)

    def progress(_done: int, _total: int) -> None:
        raise AssertionError("something was copied")

    error = refused(source, small_disk, progress=progress)
    assert error.free_bytes == 0
    assert 20 * MIB < error.needed_bytes < 25 * MIB
    assert_room_makes_it_work(small_disk, source, 0)


def test_a_disk_that_runs_full_while_the_file_is_copied(source: Path, small_disk: Path) -> None:
    create(source, "DELETE", ballast_bytes=20 * MIB)
    refused(source, small_disk, progress=lambda _done, _total: fill(small_disk))
    assert_room_makes_it_work(small_disk, source, 0)


def test_a_disk_that_runs_full_while_the_wal_file_is_played_back(
    source: Path, small_disk: Path
) -> None:
    create(source, "WAL", ballast_bytes=4 * MIB)
    with writer(source, "WAL", dirty=True) as busy:
        busy.kill()

    def progress(done: int, total: int) -> None:
        if done == total:
            fill(small_disk)

    refused(source, small_disk, progress=progress)
    assert_room_makes_it_work(small_disk, source, 1)


def test_a_disk_that_runs_full_at_the_very_end(source: Path, small_disk: Path) -> None:
    create(source, "DELETE", ballast_bytes=20 * MIB)

    def progress(done: int, total: int) -> None:
        # Nothing is left to write but the record of the copy.
        if done == total:
            fill(small_disk)

    refused(source, small_disk, progress=progress)
    assert_room_makes_it_work(small_disk, source, 0)
