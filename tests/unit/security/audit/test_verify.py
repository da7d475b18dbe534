"""Every way to tamper with a log shows, and where."""

import json
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbopsd.security.audit.chain import GENESIS, Link, seal
from dbopsd.security.audit.errors import AuditUnreadable
from dbopsd.security.audit.files import LogFiles
from dbopsd.security.audit.record import Gap, Header, Recovered, now
from dbopsd.security.audit.retention import Retention
from dbopsd.security.audit.verify import CUT, EDITED, MISSING, verify
from tests.support.auditlog import call, files_of, lines_of, refused, result, write

_FAST = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A log of three files, 16 records with their headers."""
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    batches = [[call(number), result(number)] for number in range(7)]
    write(path, *batches[:2])
    for start in (2, 4):
        write(path, *batches[start : start + 2], rotate_bytes=1500)
    write(path, batches[6])
    assert len(files_of(path)) >= 3
    assert verify(path).whole
    return path


@pytest.fixture
def log(original, tmp_path):
    shutil.copytree(original.parent, tmp_path / "audit")
    return tmp_path / "audit" / original.name


def problems(path):
    return [(problem.kind, problem.file, problem.line) for problem in verify(path).problems]


def test_a_log_as_it_was_written_is_whole(log):
    report = verify(log)
    assert (report.whole, report.notes) == (True, [])
    assert (report.first, report.last) == (1, len(lines_of(log)))
    assert report.records == report.last
    assert report.files == len(files_of(log))


def test_a_log_that_was_just_begun_is_whole(tmp_path):
    write(tmp_path / "audit.jsonl")
    assert verify(tmp_path / "audit.jsonl").whole


@_FAST
@given(data=st.data())
def test_any_byte_of_any_file_or_of_the_anchor(original, data):
    names = [*files_of(original), LogFiles(original).anchor]
    victim = data.draw(st.sampled_from(names), label="file")
    content = victim.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1), label="place")
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    try:
        victim.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
        assert not verify(original).whole
    finally:
        victim.write_bytes(content)


@_FAST
@given(data=st.data())
def test_any_line_left_out(original, data):
    victim = data.draw(st.sampled_from(files_of(original)), label="file")
    lines = victim.read_bytes().splitlines(True)
    index = data.draw(st.integers(0, len(lines) - 1), label="line")
    _with_content(original, victim, lines[:index] + lines[index + 1 :])


@_FAST
@given(data=st.data())
def test_any_two_lines_swapped(original, data):
    victim = data.draw(st.sampled_from(files_of(original)), label="file")
    lines = victim.read_bytes().splitlines(True)
    one, two = data.draw(
        st.lists(st.integers(0, len(lines) - 1), min_size=2, max_size=2, unique=True)
    )
    lines[one], lines[two] = lines[two], lines[one]
    _with_content(original, victim, lines)


@_FAST
@given(data=st.data())
def test_any_line_twice(original, data):
    victim = data.draw(st.sampled_from(files_of(original)), label="file")
    lines = victim.read_bytes().splitlines(True)
    index = data.draw(st.integers(0, len(lines) - 1), label="line")
    _with_content(original, victim, [*lines[: index + 1], *lines[index:]])


@_FAST
@given(data=st.data())
def test_any_cut_at_the_end_of_any_file(original, data):
    victim = data.draw(st.sampled_from(files_of(original)), label="file")
    content = victim.read_bytes()
    size = data.draw(st.integers(0, len(content) - 1), label="size")
    _with_content(original, victim, [content[:size]])


def _with_content(original, victim, lines):
    content = victim.read_bytes()
    try:
        victim.write_bytes(b"".join(lines))
        assert not verify(original).whole
    finally:
        victim.write_bytes(content)


def test_an_edit_is_found_where_it_is(log):
    first = files_of(log)[0]
    first.write_bytes(first.read_bytes().replace(b'"caller":"ann"', b'"caller":"bob"', 1))
    (problem,) = verify(log).problems
    assert (problem.kind, problem.file, problem.line) == (EDITED, first.name, 2)
    assert problem.sequence == 2


def test_a_line_edited_and_hashed_anew_breaks_with_the_next(log):
    first = files_of(log)[0]
    lines = first.read_bytes().splitlines(True)
    header = json.loads(lines[0])
    lines[1], _ = seal(call(caller="bob"), Link(1, header["hash"]))
    first.write_bytes(b"".join(lines))
    assert problems(log) == [(EDITED, first.name, 3)]


def test_a_missing_line_says_which(log):
    first = files_of(log)[0]
    lines = first.read_bytes().splitlines(True)
    first.write_bytes(b"".join(lines[:2] + lines[3:]))
    (problem,) = verify(log).problems
    assert (problem.kind, problem.line, problem.sequence) == (MISSING, 3, 3)


def test_a_missing_file_in_the_middle(log):
    middle = files_of(log)[1]
    after = files_of(log)[2]
    middle.unlink()
    assert problems(log) == [(CUT, after.name, 1)]


def test_missing_files_at_the_beginning(log):
    first, second = files_of(log)[:2]
    first.unlink()
    assert problems(log) == [(MISSING, second.name, 1)]


def test_the_newest_file_is_missing(log):
    log.unlink()
    assert problems(log) == [(CUT, log.name, 0)]


def test_whole_lines_missing_at_the_end_show_against_the_anchor(log):
    lines = log.read_bytes().splitlines(True)
    last = len(lines_of(log))
    log.write_bytes(b"".join(lines[:-2]))
    (problem,) = verify(log).problems
    assert (problem.kind, problem.sequence) == (CUT, last - 1)


def test_without_its_anchor_a_log_is_not_called_whole(log):
    LogFiles(log).anchor.unlink()
    assert problems(log) == [(MISSING, "audit.head", 0)]


def test_the_whole_chain_made_anew_shows_against_the_anchor(log):
    number = len(lines_of(log))
    for file in files_of(log)[:-1]:
        file.unlink()
    link, lines = GENESIS, []
    for record in [Header(time=now()), *(call(index) for index in range(1, number + 3))]:
        line, link = seal(record, link)
        lines.append(line)
    log.write_bytes(b"".join(lines))
    assert problems(log) == [(EDITED, "audit.head", 0)]


def test_two_files_made_into_one(log):
    """Every line is as it was, and in its order: only a file's first line tells."""
    first, second = files_of(log)[:2]
    lines = len(first.read_bytes().splitlines())
    second.write_bytes(first.read_bytes() + second.read_bytes())
    first.unlink()
    assert problems(log) == [(MISSING, second.name, lines + 1)]


def test_lines_put_on_at_the_end_by_somebody_else(log):
    with log.open("ab") as file:
        file.write(b'{"event":"call"}\n')
    assert problems(log) == [(EDITED, log.name, len(log.read_bytes().splitlines()))]


def test_what_a_crash_left_of_a_line_is_no_problem(log):
    with log.open("ab") as file:
        file.write(b'{"sequence":999,"ti')
    report = verify(log)
    assert report.whole
    assert "19 bytes of a line" in report.notes[0]


def test_whole_lines_past_the_anchor_are_no_problem(log):
    """A crash between the log and the anchor."""
    anchor = LogFiles(log).anchor
    before = anchor.read_bytes()
    write(log, [call(50)])
    anchor.write_bytes(before)
    assert verify(log).whole


@pytest.mark.parametrize("content", [b"", b"{}\n", b"x" * 40_000, b"\x00" * 40_000, b"\n" * 9])
def test_another_file_in_the_place_of_a_full_one(log, content):
    files_of(log)[1].write_bytes(content)
    assert not verify(log).whole


def test_files_removed_as_configured_are_no_problem(tmp_path):
    path = tmp_path / "audit.jsonl"
    for number in range(6):
        write(path, [call(number)] * 9, rotate_bytes=1500, retention=Retention(keep_files=2))
    report = verify(path)
    assert report.whole, report.problems
    assert report.first > 1
    assert report.notes == [f"records up to {report.first - 1} were removed as configured"]
    # One more is not.
    files_of(path)[0].unlink()
    assert [problem.kind for problem in verify(path).problems] == [MISSING]


def test_a_removal_that_a_crash_stopped_half_way_is_no_problem(tmp_path):
    path = tmp_path / "audit.jsonl"
    for number in range(3):
        write(path, [call(number)] * 9, rotate_bytes=1500)
    kept = {file: file.read_bytes() for file in files_of(path)[:-1]}
    write(path, [call(9)], rotate_bytes=1500, retention=Retention(keep_files=1))
    assert len(files_of(path)) == 2
    for file, content in kept.items():
        file.write_bytes(content)
    assert verify(path).whole


def test_files_are_kept_for_days(tmp_path):
    path = tmp_path / "audit.jsonl"
    for number in range(3):
        write(path, [call(number)] * 9, rotate_bytes=1500)
    old = files_of(path)[0]
    os.utime(old, (0, 0))
    write(path, [call(3)], rotate_bytes=1500, retention=Retention(keep_days=1))
    assert old not in files_of(path)
    assert len(files_of(path)) == 3
    assert verify(path).whole


def test_gaps_and_recoveries_are_told_as_notes(tmp_path):
    path = tmp_path / "audit.jsonl"
    write(
        path,
        [
            Gap(time=now(), results=2, refused=3, since=now()),
            Recovered(time=now(), torn_bytes=5),
            refused(),
        ],
    )
    report = verify(path)
    assert report.whole
    assert "2 results and 3 refusals" in report.notes[0]
    assert "5 bytes" in report.notes[1]


@pytest.mark.parametrize("name", ["audit.jsonl", "gone/audit.jsonl"])
def test_where_there_is_no_log_nothing_is_said_of_it(tmp_path, name):
    with pytest.raises(AuditUnreadable):
        verify(tmp_path / name)


def test_a_symbolic_link_is_not_followed(log, tmp_path):
    copy = tmp_path / "copy"
    log.rename(copy)
    log.symlink_to(copy)
    with pytest.raises(AuditUnreadable):
        verify(log)
