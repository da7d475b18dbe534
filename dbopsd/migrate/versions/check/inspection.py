"""What the grammar and the rules have to say of scripts, from a process of its own."""

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dbopsd.migrate.versions.check.corrections import Dismissal
from dbopsd.migrate.versions.folder.exits import reason_of
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.sql.syntax_tree import Name
from dbopsd.operations.errors import ChildOutputTooLarge
from dbopsd.operations.kind import Run

_MODULE: Final = f"{__package__}.inspect_scripts"
_BATCH_CHARS: Final = 4 * 2**20
_MOST_SCRIPTS: Final = 2_000
"""Of a batch. So its answers stay far below what is kept of a program's output."""
_TIMEOUT_S: Final = 300.0
"""For a batch, by the clock: the process limits its own time on the processor."""
_MOST_DEATHS: Final = 5
"""After which what is left is not inspected: each takes as long as the limits let it."""


@dataclass(frozen=True)
class Place:
    """A rule that is broken. `position`: a character of the script, from 0."""

    rule: str
    position: int
    message: str
    tables: tuple[Name, ...] = ()
    new: bool = False
    """Whether the same script creates all these tables before it."""


@dataclass(frozen=True)
class Extent:
    """A statement that creates, locks or renames relations, and where it is in the script."""

    start: int
    end: int
    created: tuple[Name, ...]
    tables: tuple[Name, ...]
    """What it locks or changes."""
    renamed: tuple[Name, Name] | None = None


@dataclass(frozen=True)
class Refusal:
    """A syntax error. `position`: the character, from 0; None: not known."""

    message: str
    position: int | None


@dataclass(frozen=True)
class Inspected:
    """What a script has."""

    refusal: Refusal | None = None
    """The grammar refuses it, and nothing else is known."""
    places: tuple[Place, ...] = ()
    statements: tuple[Extent, ...] = ()
    """In their order."""
    dismissed: tuple[Dismissal, ...] = ()
    skipped: tuple[tuple[int, int], ...] = ()
    """Where the statements begin and end that are too large to look into."""
    more: bool = False
    """Whether there are more places than are listed."""
    failure: str = ""
    """Why it could not be inspected at all."""


@dataclass
class _Batch:
    scripts: list[Script]
    answers: list[Inspected] = field(default_factory=list)


async def inspect(run: Run, scripts: Sequence[Script], ledger_schema: str) -> list[Inspected]:
    """What each script has. One that is the process's end is `failure`, and no other.

    `ledger_schema`: where the database has its ledger.
    """
    answers: list[Inspected] = []
    deaths = 0
    for batch in _batches(scripts):
        while len(batch.answers) < len(batch.scripts):
            if deaths == _MOST_DEATHS:
                given_up = "too many files before it could not be inspected"
                batch.answers.append(Inspected(failure=given_up))
                continue
            failure = await _inspect_rest(run, batch, ledger_schema)
            if failure and len(batch.answers) < len(batch.scripts):
                batch.answers.append(Inspected(failure=failure))
                deaths += 1
        answers += batch.answers
    return answers


def _batches(scripts: Sequence[Script]) -> Iterator[_Batch]:
    """Parts of the scripts, in order, each of a size that one process can take."""
    batch = _Batch([])
    size = 0
    for script in scripts:
        if batch.scripts and (
            size + len(script.text) > _BATCH_CHARS or len(batch.scripts) == _MOST_SCRIPTS
        ):
            yield batch
            batch, size = _Batch([]), 0
        batch.scripts.append(script)
        size += len(script.text)
    if batch.scripts:
        yield batch


async def _inspect_rest(run: Run, batch: _Batch, ledger_schema: str) -> str:
    """Inspect what has no answer yet, up to a script that is the process's end; how it ended."""
    rest = batch.scripts[len(batch.answers) :]
    texts = [{"text": each.text, "transactional": each.transactional} for each in rest]
    request = {"ledger_schema": ledger_schema, "scripts": texts}
    line = await asyncio.to_thread(lambda: json.dumps(request).encode() + b"\n")
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            done = await run.child(
                *(sys.executable, "-I", "-m", _MODULE), stdin=line, summary="inspect migrations"
            )
    except TimeoutError:
        return f"it took more than {_TIMEOUT_S:g} s"
    except ChildOutputTooLarge as error:
        return error.message
    whole, _, _cut = done.stdout.rpartition(b"\n")
    batch.answers += await asyncio.to_thread(_read_lines, whole)
    if done.exit_status == 0 and len(batch.answers) == len(batch.scripts):
        return ""
    return reason_of(done.exit_status)


def _read_lines(output: bytes) -> list[Inspected]:
    return [_inspected(json.loads(line)) for line in output.splitlines()]


def _inspected(answer: dict[str, Any]) -> Inspected:
    if syntax := answer.get("syntax"):
        return Inspected(Refusal(syntax["message"], syntax["position"]))
    return Inspected(
        places=tuple(
            Place(**{**each, "tables": _names(each["tables"])}) for each in answer["matches"]
        ),
        statements=tuple(_extent(each) for each in answer["statements"]),
        dismissed=tuple(_dismissal(each) for each in answer["dismissed"]),
        skipped=tuple((start, end) for start, end in answer["skipped"]),
        more=answer.get("more", False),
    )


def _extent(each: dict[str, Any]) -> Extent:
    renamed = each["renamed"]
    return Extent(
        each["start"],
        each["end"],
        _names(each["created"]),
        _names(each["tables"]),
        _names(renamed) if renamed else None,  # type: ignore[arg-type]  # there are two
    )


def _dismissal(each: dict[str, Any]) -> Dismissal:
    table = each["table"]
    return Dismissal(
        **{
            **each,
            "table": (table[0], table[1]) if table else None,
            "modifiers": tuple(each["modifiers"]),
        }
    )


def _names(pairs: list[list[str]]) -> tuple[Name, ...]:
    return tuple((schema, name) for schema, name in pairs)
