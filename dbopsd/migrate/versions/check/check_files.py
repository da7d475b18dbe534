"""The check of files that are to run: problems, which stop them, and findings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.check import squawk_rules
from dbopsd.migrate.versions.check.allowances import NOT_INSPECTED, about_directives
from dbopsd.migrate.versions.check.errors import FindingsBlock
from dbopsd.migrate.versions.check.inspection import Extent, Inspected, inspect
from dbopsd.migrate.versions.check.live_tables import LiveTables, read_live_tables
from dbopsd.migrate.versions.check.rules import all_rules
from dbopsd.migrate.versions.check.severity import PlanTables, in_rollback, weighed
from dbopsd.migrate.versions.check.squawk import LintAnswer, Squawk, program
from dbopsd.migrate.versions.check.syntax import ServerSyntax, SyntaxVerdict
from dbopsd.migrate.versions.model.errors import MigrationFilesInvalid
from dbopsd.migrate.versions.model.ledger_run import Direction
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.model.reports import Finding, Severity
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.sql import positions
from dbopsd.operations.kind import Run

SYNTAX_ERROR: Final = "SYNTAX_ERROR"
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
    inspected = await inspect(run, scripts)
    major = await _major(session)
    server = ServerSyntax(session, major)
    verdicts = await server.verdicts(scripts, inspected)
    if server.failure:
        notes.append(f"the server was not asked about syntax: {server.failure}")
    linted = await _lint(run, planned, inspected, major, notes)
    tables = PlanTables(await _live_tables(session, inspected, notes))
    findings: list[Finding] = []
    problems: list[MigrationProblem] = []
    for each, found, verdict, lint in zip(planned, inspected, verdicts, linted, strict=True):
        checked = _File(each, found, verdict, lint, tables)
        findings += sorted(checked.findings(), key=lambda one: (one.line, one.column))
        problems += sorted(checked.problems(), key=lambda one: (one.line, one.column))
        checked.note_tables()
    return CheckResult(tuple(findings), tuple(problems), tuple(notes), len(planned))


async def _major(session: Session | None) -> int:
    if session is None:
        return 0
    ((version,),) = await session.fetch_all(_VERSION)
    return int(version) // 10_000


async def _lint(
    run: Run,
    planned: Sequence[PlannedRun],
    inspected: Sequence[Inspected],
    major: int,
    notes: list[str],
) -> list[LintAnswer]:
    """What squawk says of each script that the grammar accepts, in one call for each mode."""
    answers = [LintAnswer()] * len(planned)
    installed = program()
    if installed is None:
        notes.append("squawk is not installed beside dbopsd: its rules were not checked")
        return answers
    squawk = Squawk(run, installed, major)
    for transactional in (True, False):
        chosen = [
            number
            for number, (each, found) in enumerate(zip(planned, inspected, strict=True))
            if each.script.transactional is transactional
            and not (found.refusal or found.failure or found.skipped)
        ]
        texts = [planned[number].script.text for number in chosen]
        if texts:
            said = await squawk.lint(texts, transactional=transactional)
            for number, answer in zip(chosen, said, strict=True):
                answers[number] = answer
    return answers


async def _live_tables(
    session: Session | None, inspected: Sequence[Inspected], notes: list[str]
) -> LiveTables | None:
    if session is None:
        notes.append("the sizes of tables are not known: there is no connection")
        return None
    names = {name for found in inspected for each in found.statements for name in each.tables} | {
        name for found in inspected for each in found.places for name in each.tables
    }
    try:
        return await read_live_tables(session, names)
    except DatabaseError as error:
        notes.append(f"the sizes of tables are not known: {error.message}")
        return None


class _File:
    """A file with all that was said of it."""

    def __init__(
        self,
        planned: PlannedRun,
        inspected: Inspected,
        verdict: SyntaxVerdict,
        linted: LintAnswer,
        tables: PlanTables,
    ) -> None:
        self._planned = planned
        self._script = planned.script
        self._inspected = inspected
        self._verdict = verdict
        self._linted = linted
        self._tables = tables

    def problems(self) -> Iterator[MigrationProblem]:
        """Why it cannot run."""
        refusal = self._verdict.refusal
        if refusal is not None and self._verdict.certain:
            yield self._problem(SYNTAX_ERROR, refusal.message, refusal.position)
        for place in self._inspected.places:
            if reason := all_rules()[place.rule].problem:
                rule = all_rules()[place.rule]
                yield self._problem(reason, f"{place.message}. {rule.advice}", place.position)

    def findings(self) -> Iterator[Finding]:
        """What else is to be said of it."""
        yield from self._own()
        yield from self._of_squawk()
        yield from self._not_inspected()
        for rule, severity, position, message, advice in about_directives(self._script):
            yield self._finding(rule, severity, position, message, advice)

    def note_tables(self) -> None:
        """Have the tables that it creates known to those that come after it."""
        for each in self._inspected.statements:
            self._note(each)

    def _note(self, statement: Extent) -> None:
        self._tables.create(statement.created)
        if statement.renamed:
            self._tables.rename(*statement.renamed)

    def _own(self) -> Iterator[Finding]:
        for place in self._inspected.places:
            rule = all_rules()[place.rule]
            if rule.problem:
                continue
            severity = weighed(
                rule.severity, rule.weight, place.tables, self._tables, new=place.new
            )
            if severity is not None:
                yield self._finding(rule.name, severity, place.position, place.message, rule.advice)

    def _of_squawk(self) -> Iterator[Finding]:
        for linted in self._linted.places:
            standing = squawk_rules.standing(linted.rule)
            statement = self._statement_at(linted.position)
            tables = statement.tables if statement else ()
            severity = weighed(standing.severity, standing.weight, tables, self._tables, new=False)
            if severity is not None:
                yield self._finding(
                    linted.rule, severity, linted.position, linted.message, linted.advice
                )

    def _statement_at(self, position: int) -> Extent | None:
        return next(
            (each for each in self._inspected.statements if each.start <= position <= each.end),
            None,
        )

    def _not_inspected(self) -> Iterator[Finding]:
        found, refusal = self._inspected, self._verdict.refusal
        if refusal is not None and not self._verdict.certain:
            message = f"{refusal.message}, says the check's grammar; the server was not asked"
            yield self._finding("syntax-error", Severity.ERROR, refusal.position or 0, message)
        elif found.refusal and refusal is None:
            message = "the server accepts what the check's grammar does not know"
            position = found.refusal.position or 0
            yield self._finding(NOT_INSPECTED, Severity.WARNING, position, message)
        if found.failure:
            message = f"the file was not looked into: {found.failure}"
            yield self._finding(NOT_INSPECTED, Severity.ERROR, 0, message)
        for position in found.skipped:
            message = "the statement is too large to look into"
            yield self._finding(NOT_INSPECTED, Severity.WARNING, position, message)
        if found.more:
            yield self._finding(
                NOT_INSPECTED, Severity.WARNING, 0, "there is more than is listed of this file"
            )
        if self._linted.failure:
            message = f"squawk did not look at the file: {self._linted.failure}"
            yield self._finding(NOT_INSPECTED, Severity.WARNING, 0, message)

    def _finding(
        self, rule: str, severity: Severity, position: int, message: str, advice: str = ""
    ) -> Finding:
        file, script = self._planned.file, self._script
        line, column = positions.place(script, position)
        if self._planned.direction is Direction.DOWN:
            severity = in_rollback(severity)
            message = f"in the rollback: {message}"
        return Finding(
            rule,
            severity,
            file.set,
            script.path,
            message,
            file.version,
            line,
            column,
            advice,
            script.allowed.get(rule, ""),
        )

    def _problem(self, reason: str, message: str, position: int | None) -> MigrationProblem:
        file, script = self._planned.file, self._script
        problem = MigrationProblem(
            reason, message, file.set, file.version, script.path, blocking=True
        )
        if position is None:
            return problem
        line, column = positions.place(script, position)
        return replace(problem, line=line, column=column)
