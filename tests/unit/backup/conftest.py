"""What tests of backups share."""

from collections.abc import Iterator

import pytest

from tests.support.failing_store import no_pauses


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    with no_pauses():
        yield
