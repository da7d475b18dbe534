"""A folder that is looked at often is what it is now, each time."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer

from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.migrate.versions.folder.errors import FolderUnreadable, LayoutAmbiguous
from dbopsd.migrate.versions.folder.known_folders import KnownFolders
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.operations.kind import Program
from dbopsd.operations.program_runner import ProgramRunner

FILES = {
    "001_a.sql": "CREATE TABLE a ();",
    "001_a_rollback.sql": "DROP TABLE a;",
    "002_b.sql": "-- dbops: nothing\nCREATE TABLE b ();",
    "R_v.sql": "SELECT 1;",
    "README.md": "x",
}


Read = Callable[[], Awaitable[tuple[Folder, Folder]]]


class Programs(ProgramRunner):
    """Counts what it starts."""

    started = 0

    def program(self, *command: str, **options: Any) -> AbstractAsyncContextManager[Program]:
        self.started += 1
        return super().program(*command, **options)


@pytest.fixture
async def programs() -> AsyncIterator[Programs]:
    programs = Programs("test", tracer=NoOpTracer())
    yield programs
    await programs.close()


@pytest.fixture
def read(tmp_path: Path, programs: Programs) -> Read:
    """Reads the folder by what is known of it, and anew."""
    known, config = KnownFolders(programs), DatabaseMigrationsConfig()
    directory = MigrationSetConfig(set="default", dir=tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "below").mkdir()

    async def both() -> tuple[Folder, Folder]:
        return await known.read("main", directory, config), read_folder(directory, config)

    return both


async def test_it_is_understood_once_while_nothing_changes(tmp_path: Path, read: Read) -> None:
    first, anew = await read()
    assert first == anew
    assert first.problems
    again, _ = await read()
    assert again is first
    # What is no migration is not looked at.
    (tmp_path / "README.md").write_text("y")
    assert (await read())[0] is first


@pytest.mark.parametrize(
    "change",
    [
        lambda at: (at / "001_a.sql").write_text("CREATE TABLE z ();"),
        lambda at: (at / "001_a_rollback.sql").write_text(""),
        lambda at: (at / "001_a_rollback.sql").unlink(),
        lambda at: (at / "003_c.sql").write_text("SELECT 1;"),
        lambda at: (at / "001_a.sql").rename(at / "004_a.sql"),
        lambda at: (at / "R_v.sql").unlink(),
        lambda at: (at / "002_b.sql").write_bytes(b"\xff"),
        lambda at: (at / "new").mkdir(),
        lambda at: (at / "below/005_x.sql").write_text(""),
    ],
)
async def test_every_change_shows(
    tmp_path: Path, read: Read, change: Callable[[Path], object]
) -> None:
    first, _ = await read()
    status = (tmp_path / "001_a.sql").stat()
    change(tmp_path)
    if (tmp_path / "001_a.sql").exists():
        # Not by its time, nor by its size.
        os.utime(tmp_path / "001_a.sql", ns=(status.st_atime_ns, status.st_mtime_ns))
    found, anew = await read()
    assert found == anew
    assert found is not first
    assert (await read())[0] is found


async def test_a_folder_that_is_gone_is_no_folder(tmp_path: Path, read: Read) -> None:
    await read()
    tmp_path.rename(tmp_path.with_name("moved"))
    with pytest.raises(FolderUnreadable):
        await read()
    tmp_path.with_name("moved").rename(tmp_path)


async def test_a_large_folder_is_read_by_another_process(
    tmp_path: Path, read: Read, programs: Programs
) -> None:
    (tmp_path / "003_c.sql").write_text("{{ a" * 2**18)
    first, anew = await read()
    assert first == anew
    assert (await read())[0] is first
    (tmp_path / "003_c.sql").write_text("-- not SQL \0" + " " * 2**20)
    found, anew = await read()
    assert found == anew != first
    assert [each.reason for each in found.problems if each.blocking][1:] == ["NUL_BYTE"]
    assert programs.started == 2


async def test_a_large_folder_may_fit_two_layouts(tmp_path: Path, read: Read) -> None:
    for name in FILES:
        (tmp_path / name).unlink()
    both = "-- migrate:up\n-- migrate:down\n-- +goose Up\n-- +goose Down\n"
    (tmp_path / "001_a.sql").write_text(both + " " * 2**20)
    with pytest.raises(LayoutAmbiguous, match="dbmate"):
        await read()
