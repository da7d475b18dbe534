"""A backup's tar becomes files beneath one folder, whatever somebody put into it."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.restore.tar_extractor import TarExtractor


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return written.getvalue()


def _member(
    name: str,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o600,
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size = kind, mode, len(content)
    return info, content


def _extract(
    tar: bytes, folder: Path, *, step: int = 700, apart: dict[str, Path] | None = None
) -> None:
    with TarExtractor(folder, "base.00000", apart or {}) as extractor:
        for begin in range(0, len(tar), step):
            extractor.feed(tar[begin : begin + step])
        extractor.finish()


@pytest.mark.parametrize("step", [1, 511, 512, 10_000])
def test_files_and_directories_come_out_as_they_went_in(tmp_path: Path, step: int) -> None:
    large = os.urandom(5000)
    tar = _tar(
        _member("global", kind=tarfile.DIRTYPE, mode=0o750),
        _member("global/pg_control", large),
        _member("empty"),
        _member("base/1/2", b"x", mode=0o666),
    )
    _extract(tar, tmp_path / "to", step=step)
    to = tmp_path / "to"
    assert (to / "global/pg_control").read_bytes() == large
    assert (to / "empty").read_bytes() == b""
    assert (to / "base/1/2").stat().st_mode & 0o777 == 0o640
    assert (to / "global").stat().st_mode & 0o777 == 0o750


def test_a_file_can_be_kept_apart(tmp_path: Path) -> None:
    apart = tmp_path / "version"
    _extract(
        _tar(_member("PG_VERSION", b"18\n"), _member("base/1/PG_VERSION", b"18\n")),
        tmp_path / "to",
        apart={"PG_VERSION": apart},
    )
    assert apart.read_bytes() == b"18\n"
    assert not (tmp_path / "to/PG_VERSION").exists()
    assert (tmp_path / "to/base/1/PG_VERSION").exists()


@pytest.mark.parametrize(
    "member",
    [
        _member("../outside", b"x"),
        _member("base/../../outside", b"x"),
        _member("/outside", b"x"),
        _member("base//outside", b"x"),
        _member("link", kind=tarfile.SYMTYPE),
        _member("link", kind=tarfile.LNKTYPE),
        _member("pipe", kind=tarfile.FIFOTYPE),
        _member("device", kind=tarfile.BLKTYPE),
        _member("device", kind=tarfile.CHRTYPE),
        _member("first", b"again"),
        _member("first/below", b"x"),
    ],
    ids=lambda member: f"{member[0].name}-{member[0].type.decode()}",
)
def test_what_is_no_plain_file_beneath_the_folder_is_refused(
    tmp_path: Path, member: tuple[tarfile.TarInfo, bytes]
) -> None:
    with pytest.raises(BackupDamaged) as raised:
        _extract(_tar(_member("first", b"1"), member), tmp_path / "to")
    assert raised.value.problem is Damage.FOREIGN
    assert not (tmp_path / "outside").exists()
    assert (tmp_path / "to/first").read_bytes() == b"1"


def test_a_link_that_is_there_already_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to/first").symlink_to(tmp_path / "outside")
    with pytest.raises(BackupDamaged):
        _extract(_tar(_member("first", b"1")), tmp_path / "to")
    assert not (tmp_path / "outside").exists()


def test_a_tar_that_ends_early_is_not_whole(tmp_path: Path) -> None:
    tar = _tar(_member("first", os.urandom(2000)))
    for length in (100, 512, 1500, 2560):
        with pytest.raises(BackupDamaged) as raised:
            _extract(tar[:length], tmp_path / str(length))
        assert raised.value.problem is Damage.TRUNCATED


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupDamaged):
        _extract(os.urandom(1024), tmp_path / "to")
    with pytest.raises(BackupDamaged):
        _extract(_tar(_member("first")) + b"more".ljust(512), tmp_path / "other")
