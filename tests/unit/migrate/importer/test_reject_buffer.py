"""Rejected values that wait come back as they went, few or many."""

from contextlib import closing
from pathlib import Path

import pytest

from dbopsd.migrate.importer.conversion.encoder import Reject
from dbopsd.migrate.importer.copy.reject_buffer import RejectBuffer
from dbopsd.migrate.importer.model.errors import RejectsUnwritable

ODD = [
    Reject("id=1", "a", "NOT_A_DATE", "'\ud800'", "text", b"\xed\xa0\x80"),
    Reject("a='\0\n'", "Größe", "INVALID_UTF8", "x'00'", "blob", bytes(range(256))),
    Reject("", "", "NULL_IN_KEY", "NULL", "null", b""),
]


def test_they_come_back_in_their_order(tmp_path: Path) -> None:
    with closing(RejectBuffer(tmp_path)) as waiting:
        waiting.add(ODD[:2])
        waiting.add(ODD[2:])
        assert waiting.count == 3
        assert list(waiting) == ODD
        assert list(tmp_path.iterdir()) == []


def many() -> list[Reject]:
    return [Reject(f"id={number}", *("a", "b", "c", "blob"), b"x" * 2**20) for number in range(20)]


def test_many_are_in_a_file_that_has_no_name(tmp_path: Path) -> None:
    with closing(RejectBuffer(tmp_path)) as waiting:
        waiting.add(many())
        assert list(waiting) == many()
        assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_place_for_them(tmp_path: Path) -> None:
    waiting = RejectBuffer(tmp_path / "nowhere")
    with closing(waiting), pytest.raises(RejectsUnwritable) as raised:
        waiting.add(many())
    assert str(tmp_path / "nowhere") in raised.value.message
    assert "no such file or directory" in raised.value.message
