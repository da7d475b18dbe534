"""The format of an object of the store.

    header   magic "dbopsobj", format, encryption, compression, 0; data key's id (16); salt (16)
    frames   length (4, big-endian), and so many bytes: at most 1 MiB, compressed, then sealed
    trailer  a frame whose content is the number of plain bytes (8) and their XXH3-128 (16)

A frame is sealed by AES-256-GCM, or, where nothing is encrypted, by an XXH3-128 before it. Its
number and whether it is the trailer go into the nonce (STREAM, https://eprint.iacr.org/2015/189),
the header and the object's name into the key. So a frame that is changed, moved, left out, or of
another object does not open.
"""

import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from itertools import count
from typing import Final, NamedTuple, Protocol

import xxhash
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dbopsd.backup.codec.compression import Algorithm, Compression, compress, decompress
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.store.base import Content

FRAME_BYTES: Final = 2**20

_MAGIC: Final = b"dbopsobj"
_FORMAT: Final = 1
_HEADER: Final = struct.Struct(">8sBBBx16s16s")
_LENGTH: Final = struct.Struct(">I")
_TRAILER: Final = struct.Struct(">Q16s")
_SEAL_BYTES: Final = 16
# What a compressor may make of a frame that it cannot make smaller: gzip's level 0, whose codes are
# those of text, adds a quarter and more.
_MOST_STORED_BYTES: Final = 2 * FRAME_BYTES
# How many places are tried for a frame that is out of order.
_PLACES_TRIED: Final = 32
_NO_KEY: Final = bytes(16)
# By threads: two of them are busy, and nobody waits for the next frame.
_OPENED_AHEAD: Final = 4


class Encryption(IntEnum):
    """How frames are sealed; the number is in each object."""

    NONE = 0
    AES_256_GCM = 1


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key that objects are encrypted with. `id`: 16 bytes; `key`: 32."""

    id: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"DataKey({self.id.hex()})"


FindKey = Callable[[bytes], DataKey]
"""The data key of an id. Raises `KeyMissing`, `KeyWrong`."""


class _Seal(Protocol):
    def close(self, nonce: bytes, content: Content) -> bytes: ...

    def open(self, nonce: bytes, content: Content) -> Content | None:
        """The content; None if it was sealed otherwise."""


class SealedWriter:
    """Makes one object of frames. `name` is its key in the store, without the store's own part.

    `seal` is for any thread; what it returns is to be put together in the order of the numbers,
    after `header` and before `trailer`.
    """

    def __init__(self, name: str, compression: Compression, data_key: DataKey | None) -> None:
        self.header = _HEADER.pack(
            _MAGIC,
            _FORMAT,
            Encryption.NONE if data_key is None else Encryption.AES_256_GCM,
            compression.algorithm,
            _NO_KEY if data_key is None else data_key.id,
            os.urandom(16),
        )
        self._seal = _seal_of(self.header, name, data_key)

    def seal(self, number: int, compressed: Content) -> bytes:
        """The frame of that number, from 0 on: of at most `FRAME_BYTES` before compression."""
        return _framed(self._seal, number, compressed, last=False)

    def trailer(self, number: int, plain_bytes: int, digest: bytes) -> bytes:
        """The end: after `number` frames with so many bytes, whose XXH3-128 is `digest`."""
        return _framed(self._seal, number, _TRAILER.pack(plain_bytes, digest), last=True)


def seal_object(
    name: str, content: Content, compression: Compression, data_key: DataKey | None
) -> bytes:
    """A whole object. For contents of some MiB: they are held several times."""
    writer = SealedWriter(name, compression, data_key)
    plain = memoryview(content).cast("B")
    frames = [plain[start : start + FRAME_BYTES] for start in range(0, len(plain), FRAME_BYTES)]
    return b"".join(
        (
            writer.header,
            *(
                writer.seal(number, compress(frame, compression))
                for number, frame in enumerate(frames)
            ),
            writer.trailer(len(frames), len(plain), xxhash.xxh3_128_digest(plain)),
        )
    )


def open_object(
    name: str, stored: Content, find_key: FindKey, threads: Executor | None = None
) -> Iterator[Content]:
    """The content of an object, frame by frame, each checked; some are opened ahead by `threads`.

    The last is checked before the iterator ends: only then it is known that nothing is missing.
    Raises `BackupDamaged`, and what `find_key` does.
    """
    view = memoryview(stored).cast("B")
    header, algorithm, data_key = _read_header(name, view, find_key)
    seal = _seal_of(header, name, data_key)
    number, plain_bytes, digest = 0, 0, xxhash.xxh3_128()
    opening = partial(_open_frame, seal, algorithm)
    for frame in _opened_in_order(name, view, len(header), opening, threads):
        try:
            plain = frame.plain()
        except ValueError as error:
            raise BackupDamaged(name, Damage.HASH, f"frame {number}: {error}") from None
        if plain is None:
            break
        digest.update(plain)
        plain_bytes += len(plain)
        number += 1
        yield plain
    content = seal.open(_nonce(number, last=True), frame.stored)
    if content is None:
        raise BackupDamaged(name, *_why(seal, view, len(header), number))
    if bytes(content) != _TRAILER.pack(plain_bytes, digest.digest()):
        raise BackupDamaged(name, Damage.HASH, "its content is not what was sealed")
    if frame.end != len(view):
        raise BackupDamaged(name, Damage.HASH, "something follows its end")


def most_stored_bytes(plain_bytes: int) -> int:
    """The most that an object with so many bytes of content has in the store."""
    frames = -(-plain_bytes // FRAME_BYTES) + 1
    return _HEADER.size + frames * (_LENGTH.size + _MOST_STORED_BYTES)


def data_key_id(name: str, stored: Content) -> bytes | None:
    """The id of the data key of an object; None if it is not encrypted. Raises `BackupDamaged`."""
    fields = _header_fields(name, memoryview(stored).cast("B"))
    return None if fields[2] == Encryption.NONE else bytes(fields[4])


def _header_fields(name: str, view: memoryview) -> tuple[bytes, int, int, int, bytes, bytes]:
    if len(view) < _HEADER.size:
        detail = "it is empty" if not view else "it ends within its header"
        raise BackupDamaged(name, Damage.TRUNCATED, detail)
    magic, format_, encryption, algorithm, key_id, salt = _HEADER.unpack(view[: _HEADER.size])
    if magic != _MAGIC:
        raise BackupDamaged(name, Damage.FOREIGN, "it is no object of dbopsd")
    if format_ != _FORMAT:
        detail = f"it has format {format_}, and this version reads {_FORMAT}: update dbopsd"
        raise BackupDamaged(name, Damage.FOREIGN, detail)
    if encryption not in tuple(Encryption) or algorithm not in tuple(Algorithm):
        raise BackupDamaged(name, Damage.HASH, "its header is damaged")
    return magic, format_, encryption, algorithm, key_id, salt


def _read_header(
    name: str, view: memoryview, find_key: FindKey
) -> tuple[bytes, Algorithm, DataKey | None]:
    _, _, encryption, algorithm, key_id, _ = _header_fields(name, view)
    data_key = None if encryption == Encryption.NONE else find_key(key_id)
    return bytes(view[: _HEADER.size]), Algorithm(algorithm), data_key


class _Frame(NamedTuple):
    """A frame as it is stored, where it ends, and what gives its content."""

    stored: memoryview
    end: int
    plain: Callable[[], Content | None]


def _opened_in_order(
    name: str,
    view: memoryview,
    position: int,
    opening: Callable[[int, Content], Content | None],
    threads: Executor | None,
) -> Iterator[_Frame]:
    """The frames from `position` on, without an end but by `BackupDamaged`.

    What is wrong with a length is raised when it is that frame's turn: one before may tell more.
    """
    most = 1 if threads is None else _OPENED_AHEAD
    ahead: deque[_Frame] = deque()
    for number in count():
        try:
            stored, position = _next_frame(name, view, position)
        except BackupDamaged:
            yield from ahead
            raise
        plain = (
            partial(opening, number, stored)
            if threads is None
            else threads.submit(opening, number, stored).result
        )
        ahead.append(_Frame(stored, position, plain))
        if len(ahead) == most:
            yield ahead.popleft()


def _open_frame(seal: _Seal, algorithm: Algorithm, number: int, frame: Content) -> Content | None:
    """What is in frame `number`; None if it was sealed otherwise. Raises ValueError."""
    content = seal.open(_nonce(number, last=False), frame)
    return None if content is None else decompress(content, algorithm, FRAME_BYTES)


def _next_frame(name: str, view: memoryview, position: int) -> tuple[memoryview, int]:
    start = position + _LENGTH.size
    if start > len(view):
        raise BackupDamaged(name, Damage.TRUNCATED, "its end is missing")
    (length,) = _LENGTH.unpack(view[position:start])
    if length > _MOST_STORED_BYTES or length < _SEAL_BYTES:
        raise BackupDamaged(name, Damage.HASH, f"a frame of {length} bytes cannot be")
    if start + length > len(view):
        raise BackupDamaged(name, Damage.TRUNCATED, "its end is missing")
    return view[start : start + length], start + length


def _why(seal: _Seal, view: memoryview, start: int, number: int) -> tuple[Damage, str]:
    """Why frame `number` does not open: it may be one of another place, or nothing does."""
    position, others = start, []
    while position < len(view):
        try:
            frame, position = _next_frame("", view, position)
        except BackupDamaged:
            break
        others.append(frame)
    if number >= len(others):
        return Damage.HASH, f"frame {number} does not open"
    if any(
        seal.open(_nonce(other, last=last), others[number]) is not None
        for other in range(max(len(others) + 1, _PLACES_TRIED))
        for last in (False, True)
    ):
        return Damage.ORDER, f"frame {number} is one of another place"
    if number == 0 and all(
        seal.open(_nonce(index, last=index == len(others) - 1), frame) is None
        for index, frame in enumerate(others)
    ):
        return Damage.FOREIGN, "no frame opens: it is another object, or its header is damaged"
    return Damage.HASH, f"frame {number} is not as it was stored"


class _AesSeal:
    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, nonce: bytes, content: Content) -> bytes:
        return self._cipher.encrypt(nonce, content, None)

    def open(self, nonce: bytes, content: Content) -> Content | None:
        try:
            return self._cipher.decrypt(nonce, content, None)
        except InvalidTag:
            return None


class _HashSeal:
    """Finds what happens by mishap; somebody who wants to can make another object."""

    def __init__(self, header: bytes, name: str) -> None:
        self._bound = xxhash.xxh3_128_digest(header + name.encode())

    def close(self, nonce: bytes, content: Content) -> bytes:
        return self._hash(nonce, content) + bytes(content)

    def open(self, nonce: bytes, content: Content) -> Content | None:
        plain = memoryview(content)[_SEAL_BYTES:]
        return plain if self._hash(nonce, plain) == content[:_SEAL_BYTES] else None

    def _hash(self, nonce: bytes, content: Content) -> bytes:
        hashed = xxhash.xxh3_128(self._bound + nonce)
        hashed.update(content)
        return hashed.digest()


def _seal_of(header: bytes, name: str, data_key: DataKey | None) -> _Seal:
    if data_key is None:
        return _HashSeal(header, name)
    derived = HKDF(SHA256(), 32, salt=header, info=name.encode()).derive(data_key.key)
    return _AesSeal(derived)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _framed(seal: _Seal, number: int, content: Content, *, last: bool) -> bytes:
    closed = seal.close(_nonce(number, last=last), content)
    if len(closed) > _MOST_STORED_BYTES:
        raise ValueError(f"a frame of {len(closed)} bytes could not be read again")
    return _LENGTH.pack(len(closed)) + closed
