"""The file of values that did not arrive."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbopsd.migrate.importer.copy.rejects_file import new_rejects_file, rejects_path


@pytest.fixture
def permissive() -> Iterator[None]:
    """A process that would let everybody read what it writes."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("permissive")
def test_it_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = rejects_path(tmp_path, "0123")
    with new_rejects_file(path):
        (making,) = path.parent.iterdir()
        assert stat.S_IMODE(making.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == []
