"""The check of files that are to run: problems, which stop them, and findings."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.check.checked_file import CheckedFile
from dbopsd.migrate.versions.check.column_types import LiveColumn, read_live_columns
from dbopsd.migrate.versions.check.errors import FindingsBlock
from dbopsd.migrate.versions.check.inspection import Inspected, inspect
from dbopsd.migrate.versions.check.kept_verdicts import Verdict, kept_verdicts, key_of
from dbopsd.migrate.versions.check.live_tables import LiveTables, read_live_tables
from dbopsd.migrate.versions.check.severity import PlanTables
from dbopsd.migrate.versions.check.squawk import LintAnswer, Squawk, program
from dbopsd.migrate.versions.check.syntax import ServerSyntax
from dbopsd.migrate.versions.model.errors import MigrationFilesInvalid
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.model.reports import Finding, Severity
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.sql.syntax_tree import SMALL_SCRIPT_CHARS
from dbopsd.operations.kind import Run

_VERSION: Final = Statement(
    "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4", "SELECT version"
)


@dataclass(frozen=True)
class CheckResult:
    """What a check found, in the order of the files and of places in them."""

    findings: tuple[Finding, ...] = ()
    problems: tuple[MigrationProblem, ...] = ()
    """Why files cannot run, or would do harm for certain: nobody can override them."""
    notes: tuple[str, ...] = ()
    """What could not be checked."""
    files: int = 0


def blocking(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those that are a reason not to apply."""
    return tuple(each for each in findings if each.severity is Severity.ERROR and not each.allowed)


def refuse(database: str, result: CheckResult, override: str = "") -> None:
    """Raise `MigrationFilesInvalid` or `FindingsBlock` for what must not run.

    `override`: the reason why findings are none; empty: they are. Problems are in any case.
    """
    if result.problems:
        raise MigrationFilesInvalid(database, result.problems[0], len(result.problems))
    if not override and (errors := blocking(result.findings)):
        raise FindingsBlock.of(database, errors)


async def check_files(
    run: Run, planned: Sequence[PlannedRun], session: Session | None
) -> CheckResult:
    """Check scripts in the order in which they would run.

    `session`: asked for syntax and the sizes of tables, outside a transaction; nothing is run on
    it. None: there is no server, and a note says so. Raises nothing for what it finds.
    """
    if not planned:
        return CheckResult()
    scripts = [each.script for each in planned]
    notes: list[str] = []
    major = await _major(session)
    verdicts = await _verdicts(run, scripts, major, notes)
    inspected = [found for found, _ in verdicts]
    server = ServerSyntax(session, major)
    syntax = await server.verdicts(scripts, inspected)
    if server.failure:
        notes.append(f"the server was not asked about syntax: {server.failure}")
    live, columns = await _live(session, inspected, notes)
    tables = PlanTables(live)
    files = [
        CheckedFile(each, found, said, linted, tables, columns)
        for each, (found, linted), said in zip(planned, verdicts, syntax, strict=True)
    ]
    return CheckResult(*await asyncio.to_thread(_judge, files), tuple(notes), len(planned))


def _judge(
    files: Iterable[CheckedFile],
) -> tuple[tuple[Finding, ...], tuple[MigrationProblem, ...]]:
    """All findings and problems. In a thread of its own: hostile files have many."""
    findings: list[Finding] = []
    problems: list[MigrationProblem] = []
    for each in files:
        of_file = each.judge()
        problems += of_file[0]
        findings += of_file[1]
    return tuple(findings), tuple(problems)


async def _major(session: Session | None) -> int:
    if session is None:
        return 0
    ((version,),) = await session.fetch_all(_VERSION)
    return int(version) // 10_000


async def _verdicts(
    run: Run, scripts: Sequence[Script], major: int, notes: list[str]
) -> list[Verdict]:
    """What the grammar with the rules of our own, and squawk, have to say of each script."""
    schema = run.database.config.migrations.schema_
    installed = program()
    if installed is None:
        notes.append("squawk is not installed beside dbopsd: its rules were not checked")
        return [(found, LintAnswer()) for found in await inspect(run, scripts, schema)]
    kept = kept_verdicts()
    keys = await asyncio.to_thread(lambda: [key_of(each, major, schema) for each in scripts])
    verdicts = {n: kept.get(key) for n, key in enumerate(keys)}
    new = [n for n, verdict in verdicts.items() if verdict is None]
    squawk = Squawk(run, installed, major)
    for n, verdict in zip(
        new, await _look_into(run, [scripts[n] for n in new], schema, squawk), strict=True
    ):
        kept.keep(keys[n], verdict)
        verdicts[n] = verdict
    return [verdict for verdict in verdicts.values() if verdict is not None]


async def _look_into(
    run: Run, scripts: Sequence[Script], schema: str, squawk: Squawk
) -> list[Verdict]:
    modes = [each.transactional for each in scripts]
    if all(len(each.text) <= SMALL_SCRIPT_CHARS for each in scripts):
        linting = asyncio.create_task(squawk.lint([each.text for each in scripts], modes))
        try:
            return list(zip(await inspect(run, scripts, schema), await linting, strict=True))
        finally:
            linting.cancel()
            await asyncio.wait({linting})
    # Of a large one, squawk may take minutes over what there is no room for in a tree either.
    inspected = await inspect(run, scripts, schema)
    readable = await asyncio.to_thread(lambda: list(map(_readable, scripts, inspected)))
    return list(zip(inspected, await squawk.lint(readable, modes), strict=True))


def _readable(script: Script, inspected: Inspected) -> str:
    """The text, with blanks for what was not looked into."""
    if inspected.refusal or inspected.failure:
        return ""
    parts, passed = [], 0
    for start, end in inspected.skipped:
        blank = "\n".join(" " * len(line) for line in script.text[start:end].split("\n"))
        parts += [script.text[passed:start], blank]
        passed = end
    return "".join((*parts, script.text[passed:]))


async def _live(
    session: Session | None, inspected: Sequence[Inspected], notes: list[str]
) -> tuple[LiveTables | None, list[LiveColumn]]:
    """What the database has of what the scripts name."""
    if session is None:
        notes.append("the sizes of tables are not known: there is no connection")
        return None, []
    tables = [each.tables for found in inspected for each in found.statements]
    tables += [each.tables for found in inspected for each in found.places]
    names = {name for each in tables for name in each}
    changes = [each for found in inspected for each in found.dismissed]
    try:
        return await read_live_tables(session, names), await read_live_columns(session, changes)
    except DatabaseError as error:
        notes.append(f"the sizes of tables are not known: {error.message}")
        return None, []
