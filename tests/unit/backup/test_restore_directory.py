"""A restore has its directory to itself, and nothing in it looks like a cluster before the end."""

import json
import os
from pathlib import Path

import pytest

from dbopsd.backup.restore.directory import (
    RestoreDirectory,
    check_claim,
    claim,
    claim_tablespace,
    find_claimed,
    read_owned,
)
from dbopsd.backup.restore.errors import DirectoryNotEmpty, DirectoryUnusable
from dbopsd.security.errors import PathOutsideRoots


def _filled(claimed: RestoreDirectory) -> None:
    claimed.cluster.mkdir()
    (claimed.cluster / "global").mkdir()
    (claimed.cluster / "global/pg_control").write_bytes(b"control")
    claimed.version_file.write_text("18\n")


def test_a_directory_is_made_and_becomes_a_cluster_at_the_end(tmp_path: Path) -> None:
    claimed = claim(str(tmp_path / "new"), [tmp_path], "op1")
    _filled(claimed)
    assert not (tmp_path / "new/PG_VERSION").exists()
    claimed.publish()
    assert (tmp_path / "new/PG_VERSION").exists()
    claimed.release()
    assert sorted(each.name for each in (tmp_path / "new").iterdir()) == ["PG_VERSION", "global"]


def test_a_directory_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    for refuse in (
        lambda: claim(str(tmp_path / "full"), [tmp_path], "op1"),
        lambda: check_claim(str(tmp_path / "full"), [tmp_path]),
    ):
        with pytest.raises(DirectoryNotEmpty):
            refuse()
    assert [each.name for each in (tmp_path / "full").iterdir()] == ["file"]


def test_what_the_same_operation_left_is_removed_and_what_another_left_is_not(
    tmp_path: Path,
) -> None:
    space = tmp_path / "space"
    claimed = claim(str(tmp_path / "new"), [tmp_path], "op1")
    claimed.claim_tablespaces([claim_tablespace(str(space), [tmp_path], [claimed.path])])
    (space / "PG_18").mkdir()
    _filled(claimed)
    # Killed while it moves the files up.
    (claimed.cluster / "global").rename(claimed.path / "global")
    with pytest.raises(DirectoryNotEmpty):
        claim(str(tmp_path / "new"), [tmp_path], "op2")
    assert (tmp_path / "new/global/pg_control").exists()
    assert find_claimed(str(tmp_path / "new"), [tmp_path], "op2") is None
    again = claim(str(tmp_path / "new"), [tmp_path], "op1")
    assert [each.name for each in again.path.iterdir()] == [again.mark.name]
    assert list(again.mark.iterdir()) == []
    assert list(space.iterdir()) == []
    found = find_claimed(str(tmp_path / "new"), [tmp_path], "op1")
    assert found == again
    found.clean()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_clean_up_touches_nothing_that_was_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster/PG_VERSION").write_text("18\n")
    RestoreDirectory(tmp_path / "cluster", "op1").clean()
    assert (tmp_path / "cluster/PG_VERSION").exists()


def test_a_mark_that_another_account_put_there_is_not_believed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("")
    claimed = RestoreDirectory(tmp_path / "cluster", "op1", owner=os.geteuid() + 1)
    claimed.mark.mkdir(parents=True)
    (claimed.mark / "tablespaces.json").write_text(json.dumps([str(precious)]))
    assert not claimed.claimed
    claimed.clean()
    assert (precious / "file").exists()
    assert claimed.mark.exists()


def test_only_what_is_an_accounts_own_is_read_for_it(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "own")
    os.mkfifo(tmp_path / "pipe")
    assert read_owned(tmp_path / "own", os.geteuid()) == "text"
    assert read_owned(tmp_path / "own", os.geteuid() + 1) is None
    for name in ("link", "pipe", "missing"):
        assert read_owned(tmp_path / name, os.geteuid()) is None


def test_only_directories_beneath_the_roots_are_written_to(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    for path in (tmp_path / "beside", root / "../beside", root / "out/new"):
        with pytest.raises(PathOutsideRoots):
            claim(str(path), [root], "op1")
    with pytest.raises(PathOutsideRoots):
        claim(str(root / "new"), [], "op1")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["elsewhere", "root"]


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file/new", tmp_path / "missing/new"):
        with pytest.raises(DirectoryUnusable):
            check_claim(str(path), [tmp_path])
        with pytest.raises(DirectoryUnusable):
            claim(str(path), [tmp_path], "op1")


def test_a_tablespace_goes_neither_into_the_cluster_nor_into_another_one(tmp_path: Path) -> None:
    claimed = claim(str(tmp_path / "new"), [tmp_path], "op1")
    with pytest.raises(DirectoryUnusable):
        claim_tablespace(str(claimed.path / "space"), [tmp_path], [claimed.path])
    with pytest.raises(DirectoryUnusable):
        claim_tablespace(str(tmp_path), [tmp_path.parent], [claimed.path])
    assert not (claimed.path / "space").exists()
