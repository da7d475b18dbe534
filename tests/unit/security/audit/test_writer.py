"""What a start finds, and what the log says of it."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dbopsd.security.audit.chain import unseal
from dbopsd.security.audit.errors import AuditLogInUse
from dbopsd.security.audit.files import LogFiles
from dbopsd.security.audit.verify import verify
from tests.support.auditlog import call, files_of, lines_of, result, write, writer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit" / "audit.jsonl"


def events(path):
    return [unseal(line).event for line in lines_of(path)]


def test_files_are_nobody_elses_to_read(path):
    write(path, [call()])
    write(path, [call()], rotate_bytes=100)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert {"audit.jsonl", "audit.head", "audit.lock"} < set(modes)


def test_a_start_goes_on_where_the_last_one_ended(path):
    write(path, [call(1)])
    write(path, [call(2)])
    assert events(path) == ["header", "call", "call"]
    assert verify(path).whole


def test_a_torn_line_is_cut_off_and_told(path):
    write(path, [call(1)])
    with path.open("ab") as file:
        file.write(b'{"sequence":3,"time":"20')
    write(path, [call(2)])
    assert events(path) == ["header", "call", "recovered", "call"]
    report = verify(path)
    assert report.whole
    assert "24 bytes" in report.notes[0]


def test_zeros_that_a_loss_of_power_left_are_a_torn_line(path):
    write(path, [call(1)])
    with path.open("ab") as file:
        file.write(bytes(4096))
    write(path, [call(2)])
    assert events(path) == ["header", "call", "recovered", "call"]
    assert verify(path).whole


def test_whole_lines_past_the_anchor_are_taken_as_they_are(path):
    anchor = LogFiles(path).anchor
    write(path, [call(1)])
    before = anchor.read_bytes()
    write(path, [call(2), call(3)])
    anchor.write_bytes(before)
    write(path, [call(4)])
    assert events(path) == ["header", "call", "call", "call", "call"]
    assert verify(path).whole


def test_a_line_that_was_vouched_for_is_not_called_torn(path):
    write(path, [call(1), call(2)])
    os.truncate(path, path.stat().st_size - 7)
    write(path, [call(3)])
    assert events_of(path) == ["header", "break", "call"]
    assert not verify(path).whole


def events_of(path):
    return [unseal(line).event for line in path.read_bytes().splitlines(True)]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda files: os.truncate(files.path, 0),
        lambda files: files.path.unlink(),
        lambda files: files.anchor.unlink(),
        lambda files: files.anchor.write_bytes(b"{}\n"),
        lambda files: files.path.write_bytes(files.path.read_bytes().replace(b'"ann"', b'"bob"')),
        lambda files: files.path.write_bytes(b"\n"),
        lambda files: files.path.write_bytes(
            b"".join(files.path.read_bytes().splitlines(True)[:-1])
        ),
    ],
    ids=["emptied", "removed", "no anchor", "anchor", "edited", "another", "cut"],
)
def test_a_start_does_not_wipe_the_traces_of_tampering(path, tamper, caplog):
    write(path, [call(1), call(2)])
    tamper(LogFiles(path))
    write(path, [call(3)])
    write(path, [call(4)])
    assert events_of(path) == ["header", "break", "call", "call"]
    assert not verify(path).whole
    assert "changed behind the daemon's back" in caplog.text
    numbers = [unseal(line).link.sequence for line in path.read_bytes().splitlines(True)]
    # None is used twice, so that copies elsewhere can be told apart.
    assert numbers == [4, 5, 6, 7]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda path: path.unlink(),
        lambda path: os.truncate(path, 10),
        lambda path: path.write_bytes(path.read_bytes() + b"more\n"),
        lambda path: path.rename(path.with_name("elsewhere")),
    ],
)
def test_tampering_while_the_daemon_runs_shows_and_stops_nothing(path, tamper, caplog):
    one = writer(path)
    one.open()
    one.append([call(1)])
    tamper(path)
    one.append([call(2)])
    one.append([call(3)])
    one.close()
    assert events_of(path) == ["header", "break", "call", "call"]
    assert not verify(path).whole
    assert "changed behind the daemon's back" in caplog.text


def test_a_crash_between_two_files(path):
    """The full file has its name, the new one is not there yet, or is empty, or half a line."""
    write(path, [call(1)])
    for content in (None, b"", b'{"sequence":'):
        size = len(lines_of(path))
        path.rename(LogFiles(path).full(size))
        if content is not None:
            path.write_bytes(content)
        assert verify(path).whole
        write(path, [call(2)])
        assert verify(path).whole, verify(path)
        assert "call" in events_of(path)


def test_a_directory_that_was_taken_away_is_not_made_again(path, tmp_path):
    one = writer(path)
    one.open()
    one.append([call(1)])
    path.parent.rename(tmp_path / "away")
    for number in range(3):
        with pytest.raises(FileNotFoundError):
            one.append([call(number)])
    assert not path.parent.exists()
    (tmp_path / "away").rename(path.parent)
    one.append([call(2)])
    one.close()
    assert events(path) == ["header", "call", "call"]
    assert verify(path).whole


def test_the_file_may_not_be_a_symbolic_link(path, tmp_path):
    path.parent.mkdir()
    (tmp_path / "victim").write_bytes(b"")
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError):
        write(path, [call(1)])
    assert (tmp_path / "victim").read_bytes() == b""


def test_a_second_writer_is_kept_away_and_told_by_whom(path):
    one = writer(path)
    one.open()
    with pytest.raises(AuditLogInUse) as caught:
        writer(path).open()
    assert caught.value.holder_pid == os.getpid()
    assert str(path) in str(caught.value)
    one.close()
    write(path, [call(1)])


def test_a_second_process_is_kept_away_too(path):
    one = writer(path)
    one.open()
    program = (
        "import sys; from pathlib import Path; from tests.support.auditlog import write; "
        "write(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    one.close()
    assert done.returncode != 0
    assert "AuditLogInUse" in done.stderr


def test_the_lock_follows_a_directory_that_was_replaced(path, tmp_path):
    one = writer(path)
    one.open()
    path.parent.rename(tmp_path / "away")
    path.parent.mkdir(mode=0o700)
    one.append([call(1)])
    with pytest.raises(AuditLogInUse):
        writer(path).open()
    one.close()


@pytest.fixture
def steps(path, monkeypatch):
    """What is asked of the system, in its order: `(what, which file)`."""
    taken: list[tuple[str, str]] = []

    def record(name):
        real = getattr(os, name)

        def call(*arguments, **options):
            first = arguments[0]
            if isinstance(first, int):
                place = Path(f"/proc/self/fd/{first}").readlink()
            else:
                place = Path(first)
            taken.append((name, place.name))
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    for name in ("write", "fsync", "ftruncate", "replace", "rename"):
        record(name)
    return taken


ANCHORED = [
    ("write", "audit.head.new"),
    ("fsync", "audit.head.new"),
    ("replace", "audit.head.new"),
]


def test_what_is_acknowledged_is_on_the_disk_and_then_vouched_for(path, steps):
    one = writer(path)
    one.open()
    steps.clear()
    one.append([call(1), result(1)])
    # The name of the new file, too.
    written = [("write", "audit.jsonl"), ("fsync", "audit.jsonl")]
    assert steps == [*written, ("fsync", "audit"), *ANCHORED]
    steps.clear()
    one.append([call(2)])
    assert steps == [*written, *ANCHORED]
    one.close()


def test_a_full_file_has_its_new_name_before_the_next_one_begins(path, steps):
    one = writer(path, rotate_bytes=100)
    one.open()
    one.append([call(1)])
    steps.clear()
    one.append([call(2)])
    written = [("write", "audit.jsonl"), ("fsync", "audit.jsonl"), ("fsync", "audit")]
    assert steps == [("rename", "audit.jsonl"), ("fsync", "audit"), *written, *ANCHORED]
    one.close()


def test_what_was_taken_back_is_off_the_disk(path, steps, monkeypatch):
    """Or a loss of power would bring back what its caller was told was never written."""
    one = writer(path)
    one.open()
    one.append([call(1)])
    recorded = os.fsync

    def fail_once(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", recorded)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail_once)
    steps.clear()
    with pytest.raises(OSError, match="Input/output error"):
        one.append([call(2)])
    assert steps == [
        ("write", "audit.jsonl"),
        ("ftruncate", "audit.jsonl"),
        ("fsync", "audit.jsonl"),
    ]
    one.append([call(3)])
    one.close()
    assert events(path) == ["header", "call", "call"]
    assert verify(path).whole


def test_a_torn_line_is_off_the_disk_before_anything_is_added(path, steps):
    write(path, [call(1)])
    with path.open("ab") as file:
        file.write(b'{"sequence":3')
    one = writer(path)
    steps.clear()
    one.open()
    assert steps[-2:] == [("ftruncate", "audit.jsonl"), ("fsync", "audit.jsonl")]
    one.close()


def test_a_batch_that_does_not_fit_leaves_nothing(path):
    """The kernel's limit on a file's size, in a process of its own: as good as a full disk."""
    program = """
import resource, sys
from pathlib import Path
from tests.support.auditlog import call, result, writer

one = writer(Path(sys.argv[1]))
one.open()
one.append([call(1)])
for room in (1, 200, 600, 1500):
    limit = Path(sys.argv[1]).stat().st_size + room
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        one.append([call(n) for n in range(9)])
    except OSError as exc:
        print(exc.errno)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
one.append([result(1)])
one.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["27"] * 4  # EFBIG
    assert events(path) == ["header", "call", "result"]
    assert verify(path).whole


def test_a_file_is_full_from_its_size_on(path):
    one = writer(path, rotate_bytes=2000)
    one.open()
    for number in range(30):
        one.append([call(number), result(number)])
    one.close()
    sizes = [file.stat().st_size for file in files_of(path)]
    assert len(sizes) > 5
    assert all(2000 <= size < 4000 for size in sizes[:-1])
    assert verify(path).whole
