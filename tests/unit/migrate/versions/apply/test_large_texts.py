"""Searches of long texts, part by part, and what is done beside the event loop."""

import re
import threading

import pytest

from dbopsd.migrate.versions.apply.index_builds import may_have_skipping_builds
from dbopsd.migrate.versions.apply.large_texts import find_end, off_the_loop

WORD = re.compile(r"\bINDEX\b")
WINDOW = 2**16


@pytest.mark.parametrize("start", [0, WINDOW - 5, WINDOW - 3, WINDOW, 3 * WINDOW - 1])
def test_a_word_is_found_wherever_it_is(start: int) -> None:
    text = " " * start + "INDEX" + " " * WINDOW
    assert find_end(WORD, text, longest=6) == start + 5
    assert find_end(WORD, text, start + 1, longest=6) is None


@pytest.mark.parametrize("start", [1, WINDOW - 9, WINDOW + 1])
def test_what_stands_before_an_index_does_not_count(start: int) -> None:
    blank = " " * start
    assert may_have_skipping_builds(f"{blank}CREATE INDEX{blank}IF NOT EXISTS i")
    assert not may_have_skipping_builds(f"{blank}IF NOT EXISTS{blank}CREATE INDEX i")


@pytest.mark.parametrize(("length", "in_thread"), [(10, False), (2**20, True)])
async def test_only_what_takes_long_is_done_in_a_thread(length: int, in_thread: bool) -> None:
    done_by = await off_the_loop("x" * length, threading.current_thread)
    assert (done_by is not threading.main_thread()) is in_thread
