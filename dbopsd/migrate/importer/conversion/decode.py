"""Decode the fields of a binary COPY for people, to show differences."""

import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np

from dbopsd.migrate.importer.conversion import numeric_wire
from dbopsd.migrate.importer.conversion.instants import DAY_US, EPOCH_DAY
from dbopsd.migrate.importer.conversion.postgres_type import read_type
from dbopsd.migrate.importer.conversion.rows import split_row

_LENGTH: Final = 200
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_INFINITE_DATES: Final = {2**31 - 1: "infinity", -(2**31): "-infinity"}
_INFINITE_TIMESTAMPS: Final = {2**63 - 1: "infinity", -(2**63): "-infinity"}


def decode_row(row: bytes, types: Sequence[str], *, length: int = _LENGTH) -> list[str | None]:
    """The fields of a row as text, each cut to `length` characters; None: NULL."""
    return [
        None if field is None else decode_field(field, type_, length=length)
        for field, type_ in zip(split_row(row), types, strict=True)
    ]


def decode_field(field: bytes, type_: str, *, length: int = _LENGTH) -> str:
    """One field as text. What is not of its type, or of no type that is known, is hexadecimal."""
    decode = _DECODERS.get(read_type(type_).name, _unknown)
    # No text that is shown whole has more bytes than that.
    beginning = field[: 4 * length + 4] if decode in _BY_BEGINNING else field
    try:
        text = decode(beginning)
    except (struct.error, ValueError, OverflowError):
        text = _hexadecimal(field[:length])
    return text if len(text) <= length else text[: length - 1] + "…"


def _boolean(field: bytes) -> str:
    return "true" if struct.unpack("?", field)[0] else "false"


def _integer(field: bytes) -> str:
    return str(int.from_bytes(field, "big", signed=True))


def _double(field: bytes) -> str:
    return str(struct.unpack(">d", field)[0])


def _real(field: bytes) -> str:
    return str(np.float32(struct.unpack(">f", field)[0]))


def _text(field: bytes) -> str:
    return field.decode(errors="replace")


def _jsonb(field: bytes) -> str:
    return _text(field[1:])


def _hexadecimal(field: bytes) -> str:
    return f"\\x{field.hex()}"


def _date(field: bytes) -> str:
    (days,) = struct.unpack(">i", field)
    if days in _INFINITE_DATES:
        return _INFINITE_DATES[days]
    try:
        return date.fromordinal(days + EPOCH_DAY).isoformat()
    except (ValueError, OverflowError):
        return f"{days} days from 2000-01-01"


def _timestamp(field: bytes) -> str:
    (micros,) = struct.unpack(">q", field)
    if micros in _INFINITE_TIMESTAMPS:
        return _INFINITE_TIMESTAMPS[micros]
    try:
        return (_EPOCH + timedelta(microseconds=micros)).replace(tzinfo=None).isoformat(" ")
    except OverflowError:
        return f"{micros} microseconds from 2000-01-01"


def _timestamp_with_zone(field: bytes) -> str:
    text = _timestamp(field)
    return f"{text}+00:00" if ":" in text else text


def _time(field: bytes) -> str:
    (micros,) = struct.unpack(">q", field)
    if micros == DAY_US:
        return "24:00:00"
    return (_EPOCH + timedelta(microseconds=micros)).time().isoformat()


def _uuid(field: bytes) -> str:
    return str(uuid.UUID(bytes=field))


def _unknown(field: bytes) -> str:
    try:
        return field.decode()
    except UnicodeDecodeError:
        return _hexadecimal(field)


_DECODERS: Final[Mapping[str, Callable[[bytes], str]]] = {
    "boolean": _boolean,
    "smallint": _integer,
    "integer": _integer,
    "bigint": _integer,
    "double precision": _double,
    "real": _real,
    "numeric": numeric_wire.decode,
    "text": _text,
    "character varying": _text,
    "character": _text,
    "bytea": _hexadecimal,
    "json": _text,
    "jsonb": _jsonb,
    "date": _date,
    "timestamp without time zone": _timestamp,
    "timestamp with time zone": _timestamp_with_zone,
    "time without time zone": _time,
    "uuid": _uuid,
}
_BY_BEGINNING: Final = frozenset({_text, _jsonb, _hexadecimal, _unknown})
