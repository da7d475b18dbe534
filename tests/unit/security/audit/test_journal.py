"""The journal: many calls, one thread, and a disk that does not always work."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from dbopsd.config import AuditConfig
from dbopsd.security.audit.chain import unseal
from dbopsd.security.audit.errors import AuditLogInUse, AuditUnavailable
from dbopsd.security.audit.factory import configured_journal
from dbopsd.security.audit.files import LogFiles
from dbopsd.security.audit.journal import AuditJournal
from dbopsd.security.audit.retention import Retention
from dbopsd.security.audit.verify import verify
from dbopsd.security.audit.writer import Writer
from tests.support.auditlog import (
    ROTATE_BYTES,
    call,
    files_of,
    lines_of,
    refused,
    result,
    write,
    writer,
)
from tests.support.patience import eventually

APPENDER = Path(__file__).with_name("appender.py")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit" / "audit.jsonl"


@pytest.fixture
async def start():
    started = []

    async def make(path, **options):
        patience_s = options.pop("patience_s", 10.0)
        sink = options.pop("sink", None)
        journal = AuditJournal(writer(path, **options), sink=sink, patience_s=patience_s)
        await journal.start()
        started.append(journal)
        return journal

    yield make
    for journal in started:
        await journal.stop()


def sealed(path):
    return [unseal(line) for line in lines_of(path)]


def events(path):
    return [each.event for each in sealed(path)]


async def test_what_is_left_out_is_counted_at_the_latest_when_it_stops(start, path):
    journal = await start(path)
    await journal.append(refused(1))
    for number in range(3):
        journal.leave_out(refused(number))
    assert events(path) == ["header", "refused"]
    await journal.append(call(2))
    journal.leave_out(refused(4))
    await journal.stop()
    assert events(path) == ["header", "refused", "gap", "call", "gap"]
    gaps = [each.fields for each in sealed(path) if each.event == "gap"]
    assert [(gap["results"], gap["refused"]) for gap in gaps] == [(0, 3), (0, 1)]
    assert verify(path).whole


async def test_what_is_appended_is_there_in_its_order(start, path):
    journal = await start(path)
    for number in range(5):
        await journal.append(call(number))
        # On disk when it is acknowledged, not later.
        assert sealed(path)[-1].fields["call"] == f"{number:032x}"
    await journal.stop()
    assert verify(path).whole


class CountingWriter(Writer):
    """Counts its writes, and the threads that ask for them."""

    writes = 0

    def append(self, records):
        self.writes += 1
        self.thread = threading.get_ident()
        return super().append(records)


async def test_calls_that_wait_together_share_one_write(path):
    counting = CountingWriter(LogFiles(path), rotate_bytes=ROTATE_BYTES, retention=Retention())
    journal = AuditJournal(counting)
    await journal.start()
    await asyncio.gather(*(journal.append(call(number)) for number in range(300)))
    await journal.stop()
    assert [each.fields["call"] for each in sealed(path)[1:]] == [
        f"{number:032x}" for number in range(300)
    ]
    assert counting.writes <= 10
    assert counting.thread != threading.get_ident()


async def test_many_tasks_over_many_files(start, path):
    journal = await start(path, rotate_bytes=4096)

    async def one(task):
        for number in range(40):
            await journal.append(call(task * 1000 + number))
            await journal.append(result(task * 1000 + number))

    await asyncio.gather(*(one(task) for task in range(20)))
    await journal.stop()
    assert len(files_of(path)) > 5
    assert verify(path).whole
    found = [(each.fields["call"], each.event) for each in sealed(path) if each.event != "header"]
    assert len(found) == len(set(found)) == 1600
    for task in range(20):
        mine = [found_call for found_call, _ in found if int(found_call, 16) // 1000 == task]
        assert mine == sorted(mine)


async def test_the_event_loop_goes_on_while_the_disk_hangs(start, path):
    """A named pipe in the anchor's place: opening it for writing waits for a reader."""
    journal = await start(path, patience_s=0.3)
    pipe = path.with_name("audit.head.new")
    os.mkfifo(pipe)
    started = time.monotonic()
    waiting = asyncio.create_task(journal.append(call(1)))
    ticks = 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 10
    with pytest.raises(AuditUnavailable, match=r"not answered for 0\.3 s"):
        waiting.result()
    assert time.monotonic() - started < 2
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        pipe.unlink()
        # The pipe takes no fsync: that batch failed, as its call was told. The next one works.
        await eventually(lambda: _works(journal))
    finally:
        os.close(reader)


async def _works(journal):
    await journal.append(result(1))
    return True


async def test_without_its_directory_calls_are_refused_until_it_is_back(
    start, path, tmp_path, caplog
):
    journal = await start(path)
    await journal.append(call(1))
    path.parent.rename(tmp_path / "away")
    for number in range(3):
        with pytest.raises(AuditUnavailable, match="No such file"):
            await journal.append(call(number))
    for lost in (result(1), refused(2), refused(3)):
        with pytest.raises(AuditUnavailable):
            await journal.append(lost)
    assert "No such file" in journal.problem
    (tmp_path / "away").rename(path.parent)
    await journal.append(call(4))
    assert journal.problem == ""
    assert events(path) == ["header", "call", "gap", "call"]
    gap = sealed(path)[2].fields
    assert (gap["results"], gap["refused"]) == (1, 2)
    assert gap["since"] < gap["time"]
    report = verify(path)
    assert report.whole
    assert "1 results and 2 refusals were not written" in report.notes[0]
    texts = [record.getMessage() for record in caplog.records]
    assert len([text for text in texts if "cannot be written" in text]) == 1
    assert len([text for text in texts if "written again" in text]) == 1


@contextmanager
def small_disk(directory: Path):
    """A file system of 256 KiB at `directory`; None where this process may mount none."""
    directory.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "dbopsd-test", str(directory)],
        capture_output=True,
        check=False,
    )
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(directory)], check=True)


FULL_DISK = """
import asyncio, os, resource, sys
from pathlib import Path
from dbopsd.security.audit.errors import AuditUnavailable
from dbopsd.security.audit.journal import AuditJournal
from tests.support.auditlog import call, result, writer

path, limited = Path(sys.argv[1]), sys.argv[2] == "limited"
ballast = path.parent / "ballast"

def fill():
    if limited:
        limit = path.stat().st_size + 5000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        return
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            pass

def free():
    if limited:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    else:
        ballast.unlink()

async def main():
    journal = AuditJournal(writer(path))
    await journal.start()
    acknowledged = []
    for number in range(5):
        await journal.append(call(number))
        acknowledged.append(number)
    fill()
    refused = 0
    for number in range(5, 60):
        try:
            await journal.append(call(number))
        except AuditUnavailable as exc:
            refused += 1
            problem = exc.problem
        else:
            acknowledged.append(number)
    try:
        await journal.append(result(1))
    except AuditUnavailable:
        pass
    free()
    await journal.append(call(99))
    acknowledged.append(99)
    await journal.stop()
    print(refused, problem, sep="|")
    print(*acknowledged)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["disk", "limit"])
def test_a_full_disk(tmp_path, how):
    """A real small disk and, for where none may be mounted, the kernel's limit on a file's size."""
    directory = tmp_path / "audit"
    with small_disk(directory) as mounted:
        limited = how == "limit" or not mounted
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                FULL_DISK,
                str(directory / "audit.jsonl"),
                "limited" if limited else "mounted",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        log = tmp_path / "copy" / "audit.jsonl"
        shutil.copytree(directory, log.parent)
    first, second = done.stdout.splitlines()
    refused_calls, problem = first.split("|")
    assert int(refused_calls) > 10
    assert problem == ("File too large" if limited else "No space left on device")
    report = verify(log)
    assert report.whole, report.problems
    assert [note for note in report.notes if "1 results" in note]
    calls = [int(each.fields["call"], 16) for each in sealed(log) if each.event == "call"]
    assert calls == [int(number) for number in second.split()]


async def test_a_log_that_cannot_be_begun_refuses_calls_until_it_can(start, tmp_path):
    in_the_way = tmp_path / "audit"
    in_the_way.write_text("a file where the directory should be")
    journal = await start(in_the_way / "audit.jsonl")
    with pytest.raises(AuditUnavailable):
        await journal.append(call(1))
    in_the_way.unlink()
    await journal.append(call(2))
    assert events(in_the_way / "audit.jsonl") == ["header", "call"]


async def test_two_daemons_on_one_log(start, path):
    await start(path)
    with pytest.raises(AuditLogInUse):
        await start(path)


async def test_after_its_end_nothing_is_taken(start, path):
    journal = await start(path)
    await journal.append(call(1))
    await journal.stop()
    with pytest.raises(AuditUnavailable, match="stopping"):
        await journal.append(call(2))
    await journal.stop()


async def test_what_waits_at_the_end_is_written(start, path):
    journal = await start(path)
    futures = [journal.submit(call(number)) for number in range(500)]
    await journal.stop()
    assert all(future.done() and future.exception() is None for future in futures)
    assert len(sealed(path)) == 501


async def test_a_call_that_is_gone_leaves_its_record(start, path):
    journal = await start(path)
    tasks = [asyncio.create_task(journal.append(call(number))) for number in range(50)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await journal.append(call(50))
    assert len(sealed(path)) == 52


async def test_a_sink_that_fails_changes_nothing(start, path, caplog):
    def fail(_):
        raise RuntimeError("no")

    journal = await start(path, sink=fail)
    await journal.append(call(1))
    await journal.append(call(2))
    await journal.stop()
    assert verify(path).records == 3
    assert "handing audit records on failed" in caplog.text


async def test_a_disk_that_hangs_holds_no_start_up(path, caplog):
    """A named pipe in the anchor's place: opening it for writing waits for a reader."""
    path.parent.mkdir()
    pipe = path.with_name("audit.head.new")
    os.mkfifo(pipe)
    journal = AuditJournal(writer(path), patience_s=0.2)
    await journal.start()
    assert "has not answered" in caplog.text
    with pytest.raises(AuditUnavailable):
        await journal.append(call(1))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    pipe.unlink()
    await eventually(lambda: _works(journal))
    os.close(reader)
    await journal.stop()
    assert verify(path).whole


@pytest.mark.parametrize("path", ["audit.jsonl", "/var/log/audit", "/var/log/audit.head"])
def test_a_path_that_cannot_be_the_logs_is_refused(path):
    with pytest.raises(ValidationError):
        AuditConfig(path=path)


def test_what_the_configuration_says_is_followed(tmp_path):
    assert configured_journal(AuditConfig(enabled=False), tmp_path, None) is None
    assert AuditConfig().path_in(tmp_path) == tmp_path / "audit" / "audit.jsonl"
    elsewhere = tmp_path / "x.jsonl"
    assert AuditConfig(path=elsewhere).path_in(tmp_path) == elsewhere


def test_a_process_killed_at_any_moment_loses_nothing_that_it_acknowledged(soak):
    """`kill -9` in the middle of writes, rotations and starts, again and again on one log."""
    random = soak.random()
    directory = Path(tempfile.mkdtemp(prefix="dbopsd-audit-"))
    log = directory / "audit" / "audit.jsonl"
    acknowledged: set[int] = set()
    torn = 0
    try:
        for round_number in range(soak.scale(20, 400)):
            child = subprocess.Popen(
                [sys.executable, str(APPENDER), str(log), str(round_number * 1_000_000)],
                stdout=subprocess.PIPE,
                cwd=APPENDER.parents[4],
            )
            try:
                assert child.stdout is not None
                assert child.stdout.readline() == b"started\n"
                time.sleep(random.uniform(0.0, 0.15))
            finally:
                child.send_signal(signal.SIGKILL)
                out, _ = child.communicate()
            # The last line may be cut: what was not told in full was not told.
            acknowledged |= {int(number) for number in re.findall(rb"^(\d+)\n", out, re.MULTILINE)}
            if random.random() < 0.5:
                # What a loss of power may leave, which a kill seldom does.
                with log.open("ab") as file:
                    file.write(b'{"sequence":12345,"time":"2026-'[: random.randrange(1, 30)])
                torn += 1
            report = verify(log)
            assert report.whole, (round_number, report.problems)
        write(log)
        assert verify(log).whole
        written = [int(each.fields["call"], 16) for each in sealed(log) if each.event == "call"]
        assert len(written) == len(set(written))
        assert acknowledged <= set(written)
        assert len(acknowledged) > 100
        assert len(files_of(log)) > 2
        told = [note for note in verify(log).notes if "a crash had left" in note]
        assert len(told) == torn > 0
    finally:
        shutil.rmtree(directory)
