"""The format of objects: whatever happens to one is found, and said for what it is."""

import random
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise

import pytest

from dbopsd.backup.codec.compression import Algorithm, Compression, compress
from dbopsd.backup.codec.errors import BackupDamaged, Damage, KeyMissing
from dbopsd.backup.codec.sealed_object import (
    FRAME_BYTES,
    DataKey,
    SealedWriter,
    data_key_id,
    open_object,
    seal_object,
)

_NAME = "main/1/backups/full-1/base.00000"
_KEY = DataKey(bytes(range(16)), bytes(range(32)))
_OTHER_KEY = DataKey(bytes(16), bytes(32))
_HEADER_BYTES = 44
_THREADS = ThreadPoolExecutor(2)
_CODECS = ["zstd:3", "zstd:19", "gzip:0", "gzip:1", "gzip:3", "none"]
_ENCRYPTED = pytest.mark.parametrize("key", [_KEY, None], ids=["encrypted", "plain"])


def _content(size: int, seed: int = 1) -> bytes:
    """Half of it can be compressed."""
    chance = random.Random(seed)
    half = chance.randbytes(size // 2)
    return half + b"the same " * ((size - len(half)) // 9) + b"." * ((size - len(half)) % 9)


def _seal(content: bytes, key: DataKey | None, name: str = _NAME, codec: str = "zstd:3") -> bytes:
    return seal_object(name, content, Compression.parse(codec), key)


def _find(id_: bytes) -> DataKey:
    for each in (_KEY, _OTHER_KEY):
        if each.id == id_:
            return each
    raise KeyMissing(())


def _open(stored: bytes, name: str = _NAME) -> bytes:
    """What is in an object, or the error: the same whether threads open its frames or not."""
    found, by_threads = (_outcome(stored, name, threads) for threads in (None, _THREADS))
    if isinstance(found, bytes):
        assert found == by_threads
        return found
    assert (type(found), str(found)) == (type(by_threads), str(by_threads))
    raise found


def _outcome(stored: bytes, name: str, threads: Executor | None) -> bytes | Exception:
    try:
        return b"".join(bytes(frame) for frame in open_object(name, stored, _find, threads))
    except (BackupDamaged, KeyMissing) as error:
        return error


def _damage(stored: bytes, name: str = _NAME) -> Damage:
    with pytest.raises(BackupDamaged) as raised:
        _open(stored, name)
    assert raised.value.object == name
    return raised.value.problem


def _pieces(stored: bytes) -> list[bytes]:
    """The header, each frame with its length, the trailer."""
    ends = [0, _HEADER_BYTES]
    while ends[-1] < len(stored):
        at = ends[-1]
        ends.append(at + 4 + int.from_bytes(stored[at : at + 4], "big"))
    return [stored[start:end] for start, end in pairwise(ends)]


@_ENCRYPTED
@pytest.mark.parametrize("codec", _CODECS)
@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, 3 * FRAME_BYTES + 17])
def test_content_comes_back(size: int, codec: str, key: DataKey | None) -> None:
    content = _content(size)
    stored = _seal(content, key, codec=codec)
    assert _open(stored) == content
    assert data_key_id(_NAME, stored) == (None if key is None else key.id)
    if key is not None and size > 1:
        assert content[:200] not in stored


def test_two_objects_of_the_same_content_have_nothing_in_common() -> None:
    one, other = _seal(_content(100), _KEY), _seal(_content(100), _KEY)
    assert one[_HEADER_BYTES + 4 :] != other[_HEADER_BYTES + 4 :]


@_ENCRYPTED
def test_every_flipped_bit_is_found(key: DataKey | None) -> None:
    stored = _seal(_content(500), key)
    frame, trailer = (len(piece) for piece in _pieces(stored)[1:])
    assert len(stored) == _HEADER_BYTES + frame + trailer
    seen = set()
    for position in range(len(stored)):
        for bit in (0, 5):
            changed = bytearray(stored)
            changed[position] ^= 1 << bit
            try:
                _open(bytes(changed))
            except BackupDamaged as damaged:
                seen.add(damaged.problem)
            except KeyMissing:
                # The id of its data key: nobody has such a one.
                assert 12 <= position < 28
            else:
                raise AssertionError(f"bit {bit} of byte {position} of {len(stored)}")
    assert seen == {Damage.HASH, Damage.TRUNCATED, Damage.FOREIGN}


@_ENCRYPTED
def test_a_bit_in_each_region_of_a_large_object_is_found(key: DataKey | None) -> None:
    stored = _seal(_content(4 * FRAME_BYTES + 5), key)
    chance = random.Random(1)
    position = 0
    for piece in _pieces(stored):
        for _ in range(5):
            changed = bytearray(stored)
            changed[position + chance.randrange(len(piece))] ^= 1 << chance.randrange(8)
            with pytest.raises((BackupDamaged, KeyMissing)):
                _open(bytes(changed))
        position += len(piece)


@_ENCRYPTED
def test_an_end_that_is_missing_is_found_wherever_it_was_cut(key: DataKey | None) -> None:
    stored = _seal(_content(3 * FRAME_BYTES), key)
    ends = [0]
    for piece in _pieces(stored):
        ends.append(ends[-1] + len(piece))
    for end in ends:
        for length in {max(end - 1, 0), end, end + 1, end + 4} - {len(stored)}:
            if length < len(stored):
                assert _damage(stored[:length]) is Damage.TRUNCATED, length
    assert _damage(stored + b"\0") is Damage.HASH
    assert _damage(stored + stored) is Damage.HASH


@_ENCRYPTED
def test_frames_in_another_order_are_found(key: DataKey | None) -> None:
    header, first, second, third, trailer = _pieces(_seal(_content(3 * FRAME_BYTES), key))
    for pieces in (
        [second, first, third, trailer],
        [first, third, second, trailer],
        [first, first, second, third, trailer],
        [second, third, trailer],
        [first, third, trailer],
        [trailer, first, second, third],
        [first, second, trailer],
        [trailer],
    ):
        assert _damage(b"".join([header, *pieces])) is Damage.ORDER


@_ENCRYPTED
def test_frames_of_another_object_are_found(key: DataKey | None) -> None:
    content = _content(2 * FRAME_BYTES)
    one, other = (_pieces(_seal(content, key)) for _ in range(2))
    assert _damage(b"".join([*one[:2], *other[2:]])) is Damage.HASH
    assert _damage(b"".join([one[0], *other[1:]])) is Damage.FOREIGN


@_ENCRYPTED
def test_an_object_under_another_name_is_foreign(key: DataKey | None) -> None:
    stored = _seal(_content(2 * FRAME_BYTES), key)
    for name in ("main/1/backups/full-1/base.00001", "main/2/backups/full-1/base.00000", "x"):
        assert _damage(stored, name) is Damage.FOREIGN


def test_an_object_under_another_key_is_foreign() -> None:
    stored = bytearray(_seal(_content(10), _KEY))
    stored[12:28] = _OTHER_KEY.id
    assert _damage(bytes(stored)) is Damage.FOREIGN


def test_an_encrypted_object_is_not_taken_for_a_plain_one() -> None:
    stored = bytearray(_seal(_content(10), _KEY))
    stored[9] = 0
    assert _damage(bytes(stored)) is Damage.FOREIGN


def test_what_is_no_object_is_foreign() -> None:
    assert _damage(b"PK\3\4" + bytes(100)) is Damage.FOREIGN
    assert _damage(b"") is Damage.TRUNCATED
    newer = bytearray(_seal(b"", None))
    newer[8] = 2
    with pytest.raises(BackupDamaged, match="format 2, and this version reads 1"):
        _open(bytes(newer))


@pytest.mark.parametrize("text", ["zstd", "zstd:0", "zstd:20", "gzip:4", "gzip:x", "lz4", "none:1"])
def test_a_codec_that_is_not_there_is_refused(text: str) -> None:
    if text == "zstd":
        assert str(Compression.parse(text)) == "zstd:3"
        return
    with pytest.raises(ValueError, match=r"level|none of"):
        Compression.parse(text)


def test_a_frame_larger_than_a_frame_is_refused() -> None:
    stored = seal_object(_NAME, b"", Compression(Algorithm.ZSTD, 3), None)
    assert _open(stored) == b""
    # Somebody without a key can make a whole plain object: what he packs is not unpacked at will.
    for codec in ("zstd:3", "gzip:1"):
        bomb = _bomb(codec)
        with pytest.raises(BackupDamaged, match="more than"):
            _open(bomb)


def _bomb(codec: str) -> bytes:
    compression = Compression.parse(codec)
    writer = SealedWriter(_NAME, compression, None)
    return b"".join(
        (
            writer.header,
            writer.seal(0, compress(bytes(50 * FRAME_BYTES), compression)),
            writer.trailer(1, 0, bytes(16)),
        )
    )
