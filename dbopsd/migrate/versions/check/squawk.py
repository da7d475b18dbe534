"""squawk, run on copies of scripts: nothing that is in a script or beside it changes its rules."""

import asyncio
import json
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dbopsd.migrate.versions.check.squawk_rules import EXCLUDED, SYNTAX
from dbopsd.migrate.versions.folder.exits import reason_of
from dbopsd.operations.errors import ChildOutputTooLarge
from dbopsd.operations.kind import Run

_LIMITED: Final = str(Path(__file__).with_name("limited_program.py"))
_MEMORY_BYTES: Final = 2**30
_CPU_S: Final = 10
_BYTES_PER_CPU_S: Final = 200_000
"""A tenth of what it takes of real files."""
_TIMEOUT_S: Final = 120.0
_MOST_FILES: Final = 2_000
"""Of one call, whose arguments they are."""
_MOST_CALLS: Final = 40
"""For all files: to find the ones that it dies of, they are halved again and again."""
_MOST_PLACES: Final = 1_000
"""Of one script."""
_TEXT_CHARS: Final = 500
# What a comment in a script would turn off rules with, or have the script looked at otherwise.
_DIRECTIVE: Final = ("squawk-", "squawk_")


@dataclass(frozen=True)
class Linted:
    """A rule of squawk's that is broken. `position`: a character of the script, from 0."""

    rule: str
    position: int
    message: str
    advice: str = ""


class SquawkFailed(Exception):
    """It died, or did not say anything that can be read; the text says which."""


@dataclass(frozen=True)
class LintAnswer:
    """What squawk says of a script."""

    places: tuple[Linted, ...] = ()
    more: bool = False
    """Whether there are more places than are listed."""
    failure: str = ""
    """Why it said nothing."""


def program() -> str | None:
    """The squawk that came with this package: one that PATH finds may be another."""
    places = f"{Path(sys.executable).parent}:{sysconfig.get_path('scripts')}"
    return shutil.which("squawk", path=places)


class Squawk:
    """squawk for one check of a server of the major version `major`; 0: it is not known."""

    def __init__(self, run: Run, installed: str, major: int) -> None:
        self._run = run
        self._program = installed
        self._major = major
        self._calls_left = _MOST_CALLS

    async def lint(self, texts: Sequence[str], transactional: Sequence[bool]) -> list[LintAnswer]:
        """What it says of each text, in one call for `_MOST_FILES` of a transaction mode."""
        answers = [LintAnswer()] * len(texts)
        for mode in (True, False):
            chosen = [n for n, each in enumerate(transactional) if each is mode and texts[n]]
            for start in range(0, len(chosen), _MOST_FILES):
                part = chosen[start : start + _MOST_FILES]
                said = await self._lint_part([texts[n] for n in part], transactional=mode)
                for number, answer in zip(part, said, strict=True):
                    answers[number] = answer
        return answers

    async def _lint_part(self, texts: Sequence[str], *, transactional: bool) -> list[LintAnswer]:
        if self._calls_left == 0:
            return [LintAnswer(failure="other files were its end too often")] * len(texts)
        self._calls_left -= 1
        try:
            return await self._call(texts, transactional=transactional)
        except SquawkFailed as failed:
            if len(texts) == 1:
                return [LintAnswer(failure=str(failed))]
        middle = len(texts) // 2
        return [
            *await self._lint_part(texts[:middle], transactional=transactional),
            *await self._lint_part(texts[middle:], transactional=transactional),
        ]

    async def _call(self, texts: Sequence[str], *, transactional: bool) -> list[LintAnswer]:
        """Raises `SquawkFailed`."""
        directory = Path(tempfile.mkdtemp(prefix="squawk-", dir=self._run.scratch))
        try:
            names = await asyncio.to_thread(_write_files, directory, texts)
            size = sum(map(len, texts))
            arguments = [
                *(sys.executable, "-I", "-S", _LIMITED),
                *(str(directory), str(_MEMORY_BYTES), str(_CPU_S + size // _BYTES_PER_CPU_S)),
                *(self._program, "--config", "config.toml", "--reporter", "json"),
                *(("--assume-in-transaction",) if transactional else ()),
                *((f"--pg-version={self._major}.0",) if self._major else ()),
                *names,
            ]
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    done = await self._run.child(*arguments, summary="squawk")
            except TimeoutError:
                raise SquawkFailed(f"squawk took more than {_TIMEOUT_S:g} s") from None
            except ChildOutputTooLarge as error:
                raise SquawkFailed(error.message) from error
            return await asyncio.to_thread(
                _answers, done.exit_status, done.stdout, dict(zip(names, texts, strict=True))
            )
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def _write_files(directory: Path, texts: Sequence[str]) -> list[str]:
    """Write the configuration and each text, and give their names: the users' own reach nobody."""
    rules = json.dumps(EXCLUDED)
    (directory / "config.toml").write_text(f"excluded_rules = {rules}\n", encoding="utf-8")
    names = []
    for number, text in enumerate(texts):
        names.append(f"{number:06}.sql")
        (directory / names[-1]).write_bytes(text.replace(*_DIRECTIVE).encode())
    return names


def _answers(status: int, output: bytes, texts: Mapping[str, str]) -> list[LintAnswer]:
    """What it says of each text, by the names of their files. Raises `SquawkFailed`."""
    found = _findings(status, output, texts.keys())
    return [
        LintAnswer(_places(said, text), more=len(said) > _MOST_PLACES)
        for name, text in texts.items()
        for said in [found.get(name, [])]
    ]


def _findings(
    status: int, output: bytes, names: AbstractSet[str]
) -> dict[str, list[dict[str, Any]]]:
    """The findings of each file. Raises `SquawkFailed`."""
    # 1 is for findings, and for what it cannot read: then it says nothing.
    if status not in (0, 1) or not output.strip():
        raise SquawkFailed(reason_of(status))
    by_file: dict[str, list[dict[str, Any]]] = {}
    try:
        for finding in json.loads(output):
            by_file.setdefault(finding["file"], []).append(finding)
    except (ValueError, KeyError, TypeError):
        raise SquawkFailed("squawk said what is not its JSON") from None
    if not by_file.keys() <= names:
        raise SquawkFailed("squawk spoke of files that it was not given")
    return by_file


def _places(findings: Sequence[dict[str, Any]], text: str) -> tuple[Linted, ...]:
    if not findings:
        return ()
    lines = text.encode().split(b"\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.decode(errors="ignore")) + 1)
    return tuple(
        Linted(
            finding["rule_name"],
            _position(lines, starts, finding["line"], finding["column"]),
            finding["message"][:_TEXT_CHARS],
            (finding["help"] or "")[:_TEXT_CHARS],
        )
        for finding in findings[:_MOST_PLACES]
        if finding["rule_name"] != SYNTAX
    )


def _position(lines: Sequence[bytes], starts: Sequence[int], line: int, column: int) -> int:
    """The character of a place that squawk has as a line and as bytes within it, both from 0."""
    if not 0 <= line < len(lines):
        return 0
    return starts[line] + len(lines[line][:column].decode(errors="ignore"))
