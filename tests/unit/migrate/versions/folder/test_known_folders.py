"""A folder that is looked at often is what it is now, each time."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.migrate.versions.folder.errors import FolderUnreadable
from dbopsd.migrate.versions.folder.known_folders import KnownFolders
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.model.migration_file import Folder

FILES = {
    "001_a.sql": "CREATE TABLE a ();",
    "001_a_rollback.sql": "DROP TABLE a;",
    "002_b.sql": "-- dbops: nothing\nCREATE TABLE b ();",
    "R_v.sql": "SELECT 1;",
    "README.md": "x",
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[[], tuple[Folder, Folder]]:
    """Reads the folder by what is known of it, and anew."""
    known, config = KnownFolders(), DatabaseMigrationsConfig()
    directory = MigrationSetConfig(set="default", dir=tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "below").mkdir()
    return lambda: (known.read("main", directory, config), read_folder(directory, config))


def test_it_is_understood_once_while_nothing_changes(
    tmp_path: Path, read: Callable[[], tuple[Folder, Folder]]
) -> None:
    first, anew = read()
    assert first == anew
    assert first.problems
    again, _ = read()
    assert again is first
    # What is no migration is not looked at.
    (tmp_path / "README.md").write_text("y")
    assert read()[0] is first


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
def test_every_change_shows(
    tmp_path: Path, read: Callable[[], tuple[Folder, Folder]], change: Callable[[Path], object]
) -> None:
    first, _ = read()
    status = (tmp_path / "001_a.sql").stat()
    change(tmp_path)
    if (tmp_path / "001_a.sql").exists():
        # Not by its time, nor by its size.
        os.utime(tmp_path / "001_a.sql", ns=(status.st_atime_ns, status.st_mtime_ns))
    found, anew = read()
    assert found == anew
    assert found is not first
    assert read()[0] is found


def test_a_folder_that_is_gone_is_no_folder(
    tmp_path: Path, read: Callable[[], tuple[Folder, Folder]]
) -> None:
    read()
    tmp_path.rename(tmp_path.with_name("moved"))
    with pytest.raises(FolderUnreadable):
        read()
    tmp_path.with_name("moved").rename(tmp_path)
