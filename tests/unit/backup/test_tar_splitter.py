"""A tar is taken apart wherever its bytes are cut."""

import io
import random
import tarfile

import pytest

from dbopsd.backup.physical.tar_splitter import TarDamaged, TarSplitter, Way

LABEL = b"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"


def _tar(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


def _split(content: bytes, cuts: list[int]) -> tuple[bytes, bytes, TarSplitter]:
    splitter = TarSplitter()
    ways = {Way.BASE: bytearray(), Way.MANIFEST: bytearray()}
    for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        # As the pipe's buffer is: gone after the call.
        buffer = bytearray(content[start:end])
        for way, piece in splitter.feed(memoryview(buffer)):
            ways[way] += piece
        buffer[:] = bytes(len(buffer))
    splitter.finish()
    return bytes(ways[Way.BASE]), bytes(ways[Way.MANIFEST]), splitter


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 70_000])
def test_the_manifest_is_split_off_and_the_rest_is_the_tar_without_it(size: int) -> None:
    rng = random.Random(size)
    others = {
        "backup_label": LABEL,
        "base/1/empty": b"",
        "base/1/1259": rng.randbytes(8192),
        "global/pg_control": rng.randbytes(8191),
    }
    manifest = rng.randbytes(size)
    content = _tar({**others, "backup_manifest": manifest})
    for _ in range(50):
        cuts = sorted(rng.sample(range(len(content)), rng.randrange(20)))
        base, found, splitter = _split(content, cuts)
        assert found == manifest
        assert splitter.files == {"backup_label": LABEL}
        with tarfile.open(fileobj=io.BytesIO(base)) as tar:
            files = {each.name: tar.extractfile(each) for each in tar.getmembers()}
            read = {name: file.read() for name, file in files.items() if file is not None}
        assert read == others


def test_bytes_may_come_one_by_one() -> None:
    content = _tar({"tablespace_map": b"", "backup_manifest": b"{}", "a": b"x" * 600})
    base, manifest, splitter = _split(content, list(range(1, len(content))))
    assert manifest == b"{}"
    assert splitter.files == {"tablespace_map": b""}
    assert len(base) == len(content) - 1024


def test_a_file_of_that_name_elsewhere_stays() -> None:
    content = _tar({"base/5/backup_manifest": b"a table"})
    assert _split(content, [])[:2] == (content, b"")


@pytest.mark.parametrize("kept", [0, 100, 512, 700, 1024, 1535])
def test_a_tar_that_ends_early_is_damaged(kept: int) -> None:
    content = _tar({"a": b"x" * 600})
    with pytest.raises(TarDamaged, match="ends early"):
        _split(content[:kept], [])


def test_a_header_that_was_changed_is_damaged() -> None:
    content = bytearray(_tar({"a": b"x" * 600}))
    content[130] ^= 1
    with pytest.raises(TarDamaged, match="checksum"):
        _split(bytes(content), [])


def test_sizes_past_eight_gib_are_binary() -> None:
    member = tarfile.TarInfo("base/1/1")
    member.size = 2**36
    splitter = TarSplitter()
    list(splitter.feed(memoryview(member.tobuf(format=tarfile.GNU_FORMAT))))
    with pytest.raises(TarDamaged, match="ends early"):
        splitter.finish()
