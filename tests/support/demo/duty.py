"""The demo's duty, which proves from its own side that it is held once: by locks of the kernel's.

It is there where DEMO_DUTY_LEDGER names a file, to which it writes what it does; the same file with
`.lock` and `.child` behind it are locked by its work and by a program of its for as long as they
live, frozen or not.
"""

import asyncio
import fcntl
import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbopsd.config import Config
from dbopsd.operations.duty import Duty, DutyRun, Place

LEDGER = "DEMO_DUTY_LEDGER"
PLACE = "DEMO_DUTY_PLACE"
NAME = "demo-duty"
BEGIN, ALIVE, END, TWICE = "begin", "alive", "end", "twice"
ALIVE_S = 0.05
_LONGER_THAN_ANY_TEST_S = "86400"


@dataclass(frozen=True)
class Mark:
    """What a holder did, and when by `time.monotonic()`, which all of a machine share."""

    at: float
    what: str
    token: int
    pid: int


def duties(_config: Config) -> Sequence[Duty]:
    """The demo's duty for the database `main`, where it is asked for."""
    if LEDGER not in os.environ:
        return ()
    place = Place[os.environ.get(PLACE, Place.WORKER.name)]
    return (Duty(NAME, _work, database="main", place=place),)


async def _work(run: DutyRun) -> None:
    ledger = os.environ[LEDGER]
    lock = os.open(f"{ledger}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _write(ledger, TWICE, run.token)
        _write(ledger, BEGIN, run.token)
        command = ("flock", "--nonblock", f"{ledger}.child", "sleep", _LONGER_THAN_ANY_TEST_S)
        program = asyncio.create_task(run.child(*command))
        try:
            while not program.done():
                run.check()
                _write(ledger, ALIVE, run.token)
                await asyncio.sleep(ALIVE_S)
            # Its lock was taken: an earlier holder's program is there still.
            _write(ledger, TWICE, run.token)
        finally:
            program.cancel()
            await asyncio.gather(program, return_exceptions=True)
            _write(ledger, END, run.token)
    finally:
        os.close(lock)


def _write(ledger: str, what: str, token: int) -> None:
    line = f"{time.monotonic():.6f} {what} {token} {os.getpid()}\n"
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read(ledger: Path) -> list[Mark]:
    """What holders have written so far, in order."""
    if not ledger.exists():
        return []
    lines = [line.split() for line in ledger.read_text().splitlines()]
    return [Mark(float(at), what, int(token), int(pid)) for at, what, token, pid in lines]


def longest_gap_s(marks: Sequence[Mark]) -> float:
    """The longest time without any holder, between its marks."""
    return max((b.at - a.at for a, b in itertools.pairwise(marks)), default=0.0)


def check(marks: Sequence[Mark]) -> None:
    """AssertionError where two held the duty at once."""
    assert not [mark for mark in marks if mark.what == TWICE], marks
    begun = [mark.token for mark in marks if mark.what == BEGIN]
    assert begun == sorted(set(begun)), f"each holder has a higher token: {begun}"
    # In order of time and of tokens alike: nobody writes once another has begun.
    for earlier, later in itertools.pairwise(marks):
        assert earlier.token <= later.token, (earlier, later)
        assert earlier.at <= later.at or earlier.token == later.token, (earlier, later)
