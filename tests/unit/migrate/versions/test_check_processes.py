"""The processes of a check: one that dies of a file is no answer about the others."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from dbopsd.migrate.versions.check.inspection import inspect
from dbopsd.migrate.versions.check.squawk import Squawk
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.operations.kind import Completed, Run

POISON = "poison"
SEGMENTATION_FAULT = -11
OUT_OF_TIME = -24


class ScriptedRun:
    """Runs `program` in place of processes."""

    def __init__(self, scratch: Path, program: Callable[[list[str], bytes], Completed]) -> None:
        self.scratch = scratch
        self.calls = 0
        self._program = program

    async def child(
        self,
        *command: str,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        summary: str = "",
    ) -> Completed:
        self.calls += 1
        return self._program(list(command), stdin or b"")


def inspecting(_command: list[str], stdin: bytes) -> Completed:
    """Answers up to the first script that it dies of, of which it has written the beginning."""
    answers = b""
    for script in json.loads(stdin)["scripts"]:
        if POISON in script["text"]:
            return Completed(SEGMENTATION_FAULT, answers + b'{"stat', b"")
        found: dict[str, Any] = {
            "matches": [],
            "dismissed": [],
            "skipped": [],
            "statements": [
                {
                    "start": 0,
                    "end": 1,
                    "created": [["", script["text"]]],
                    "tables": [],
                    "renamed": None,
                }
            ],
        }
        answers += json.dumps(found).encode() + b"\n"
    return Completed(0, answers, b"")


def linting(command: list[str], _stdin: bytes) -> Completed:
    """Finds the text of each file in it, and dies of one."""
    directory = Path(command[4])
    findings = []
    for name in command[command.index("json") + 1 :]:
        if not name.endswith(".sql"):
            continue
        text = (directory / name).read_text()
        if POISON in text:
            return Completed(OUT_OF_TIME, b"", b"")
        findings.append(
            {"file": name, "line": 0, "column": 0, "message": text, "rule_name": "r", "help": None}
        )
    return Completed(1, json.dumps(findings).encode(), b"")


def as_run(run: ScriptedRun) -> Run:
    return cast("Run", run)


async def test_a_script_that_ends_its_process_is_known(tmp_path: Path) -> None:
    run = ScriptedRun(tmp_path, inspecting)
    texts = ["a", POISON, "b", "c", POISON]
    answers = await inspect(as_run(run), [Script("x.sql", text) for text in texts], "dbops")
    assert [each.statements[0].created[0][1] if each.statements else "" for each in answers] == [
        *("a", "", "b", "c", "")
    ]
    assert [bool(each.failure) for each in answers] == [False, True, False, False, True]
    assert "signal 11" in answers[1].failure
    assert run.calls == 2


async def test_after_too_many_deaths_the_rest_is_given_up(tmp_path: Path) -> None:
    run = ScriptedRun(tmp_path, inspecting)
    answers = await inspect(as_run(run), [Script("x.sql", POISON)] * 20, "dbops")
    assert all(each.failure for each in answers)
    assert run.calls == 5


async def test_squawk_says_something_of_all_but_the_script_that_it_dies_of(tmp_path: Path) -> None:
    run = ScriptedRun(tmp_path, linting)
    texts = [f"text {number}" for number in range(100)]
    texts[41] = POISON
    answers = await Squawk(as_run(run), "squawk", 18).lint(texts, [True] * 100)
    said = [each.places[0].message if each.places else each.failure for each in answers]
    texts[41] = "it took too much time on the processor"
    assert said == texts
    assert run.calls < 20
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", [b"", b"{", b'[{"file": "elsewhere.sql"}]', b"[1]"])
async def test_what_squawk_should_not_say_is_no_answer(tmp_path: Path, output: bytes) -> None:
    run = ScriptedRun(tmp_path, lambda _command, _stdin: Completed(1, output, b""))
    (answer,) = await Squawk(as_run(run), "squawk", 0).lint(["SELECT 1"], [False])
    assert answer.failure
