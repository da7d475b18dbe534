"""`dbopsd audit`."""

import json

import pytest
from click.testing import CliRunner

from dbopsd.security.audit.command import audit
from tests.support.auditlog import call, lines_of, refused, write


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "audit" / "audit.jsonl"
    write(path, [call(1), refused(2, reason="ROLE_MISSING", status="PERMISSION_DENIED")])
    return path


def run(*arguments):
    return CliRunner().invoke(audit, [str(argument) for argument in arguments])


def edit(path):
    path.write_bytes(path.read_bytes().replace(b'"ann"', b'"bob"', 1))


def test_a_whole_log(path):
    done = run("verify", path)
    assert done.exit_code == 0
    assert done.output == f"{path}: whole; records 1 to 3 in 1 files\n"


def test_a_broken_log_says_where_and_how(path):
    edit(path)
    done = run("verify", path)
    assert done.exit_code == 1
    first, last = done.output.splitlines()
    assert first.startswith("edited: audit.jsonl line 2, record 2: ")
    assert "BROKEN" in last


def test_for_programs(path):
    done = run("verify", path, "--output", "json")
    assert json.loads(done.output) == {
        "whole": True,
        "path": str(path),
        "files": 1,
        "records": 3,
        "first": 1,
        "last": 3,
        "problems": [],
        "notes": [],
    }
    edit(path)
    done = run("verify", path, "--output", "json")
    (problem,) = json.loads(done.output)["problems"]
    assert done.exit_code == 1
    assert (problem["kind"], problem["line"], problem["sequence"]) == ("edited", 2, 2)


def test_without_a_log_nothing_is_said_of_it(tmp_path):
    done = run("verify", tmp_path / "none.jsonl")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "cannot be read" in done.stderr
    assert run("tail", tmp_path / "none.jsonl").exit_code == 2
    assert run("verify", "--config", tmp_path / "none.toml").exit_code == 2
    assert run("verify", "--nonsense").exit_code == 2


def test_the_configuration_says_where_the_log_is(path, tmp_path):
    config = tmp_path / "dbopsd.toml"
    config.write_text(f'[server]\nstate_dir = "{tmp_path}"\n')
    assert str(path) in run("verify", "--config", config).output
    config.write_text(f'[audit]\npath = "{tmp_path}/other.jsonl"\n')
    assert run("verify", "--config", config).exit_code == 2


def test_the_newest_records_for_people(path):
    done = run("tail", path, "-n", 2)
    assert done.exit_code == 0
    first, last = done.output.splitlines()
    assert " call ann 127.0.0.1:5000 dbops.v1.BackupService/CreateBackup databases/main" in first
    assert last.endswith("databases/main PERMISSION_DENIED ROLE_MISSING")


def test_a_forged_line_does_not_reach_the_terminal_as_it_is(path):
    with path.open("ab") as file:
        file.write(b'{"event":"call","caller":"\\u001b[2J"}\n[1]\n\x1b[2J\n')
    done = run("tail", path)
    assert "\x1b" not in done.output
    assert len(done.output.splitlines()) == len(lines_of(path))
