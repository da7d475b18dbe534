"""What is wrong with one file: all that was said of it, weighed."""

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

from dbopsd.migrate.versions.check import squawk_rules
from dbopsd.migrate.versions.check.allowances import NOT_INSPECTED, about_directives
from dbopsd.migrate.versions.check.column_types import LiveColumn, keeps_rows
from dbopsd.migrate.versions.check.inspection import Extent, Inspected, Place
from dbopsd.migrate.versions.check.rule import Rule
from dbopsd.migrate.versions.check.rules import all_rules
from dbopsd.migrate.versions.check.severity import PlanTables, in_rollback, weighed
from dbopsd.migrate.versions.check.squawk import LintAnswer, Linted
from dbopsd.migrate.versions.check.squawk_rules import is_for_rollbacks
from dbopsd.migrate.versions.check.syntax import SyntaxVerdict
from dbopsd.migrate.versions.model.ledger_run import Direction
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.model.reports import Finding, Severity
from dbopsd.migrate.versions.plan.plan import PlannedRun
from dbopsd.migrate.versions.sql import positions
from dbopsd.migrate.versions.sql.lexer import words

SYNTAX_ERROR: Final = "SYNTAX_ERROR"


class CheckedFile:
    """A script that is to run, with all that was said of it."""

    def __init__(
        self,
        planned: PlannedRun,
        inspected: Inspected,
        verdict: SyntaxVerdict,
        linted: LintAnswer,
        tables: PlanTables,
        columns: Sequence[LiveColumn],
    ) -> None:
        self._planned = planned
        self._script = planned.script
        self._inspected = inspected
        self._verdict = verdict
        # What is no SQL, or could not be looked into, says nothing that can be relied on.
        unread = inspected.refusal or inspected.failure
        self._linted = LintAnswer() if unread else linted
        self._tables = tables
        self._columns = columns
        self._passed = 0
        self._dismissed = {
            rule: [each for each in inspected.dismissed if each.rule == rule]
            for rule in {each.rule for each in inspected.dismissed}
        }

    def judge(self) -> tuple[list[MigrationProblem], list[Finding]]:
        """Why it cannot run, and what else is to be said of it, each in order of their places.

        Once, and file by file: it makes the tables that the file creates known to those after it.
        """
        findings = [*self._not_inspected(), *self._directives()]
        problems = list(self._syntax())
        said: list[Place | Linted] = [*self._inspected.places, *self._linted.places]
        for each in sorted(said, key=lambda one: one.position):
            self._pass_statements(each.position)
            if isinstance(each, Linted):
                findings += self._of_squawk(each)
            elif (rule := all_rules()[each.rule]).problem:
                problems += self._own_problem(rule, each)
            else:
                findings += self._own(rule, each)
        self._pass_statements(len(self._script.text) + 1)
        findings.sort(key=lambda one: (one.line, one.column))
        problems.sort(key=lambda one: (one.line, one.column))
        return problems, findings

    def _pass_statements(self, position: int) -> None:
        """Have known what the statements that end before a place have made."""
        statements = self._inspected.statements
        while self._passed < len(statements) and statements[self._passed].end < position:
            statement = statements[self._passed]
            self._tables.create(statement.created)
            if statement.renamed:
                self._tables.rename(*statement.renamed)
            self._passed += 1

    def _syntax(self) -> Iterator[MigrationProblem]:
        refusal = self._verdict.refusal
        if refusal is not None and self._verdict.certain:
            yield self._problem(SYNTAX_ERROR, refusal.message, refusal.position)

    def _directives(self) -> Iterator[Finding]:
        for rule, severity, position, message, advice in about_directives(self._script):
            yield self._finding(rule, severity, position, message, advice)

    def _own_problem(self, rule: Rule, place: Place) -> Iterator[MigrationProblem]:
        if self._severity(rule, place) is not None:
            yield self._problem(rule.problem, f"{place.message}. {rule.advice}", place.position)

    def _own(self, rule: Rule, place: Place) -> Iterator[Finding]:
        severity = self._severity(rule, place)
        if severity is not None:
            yield self._finding(rule.name, severity, place.position, place.message, rule.advice)

    def _severity(self, rule: Rule, place: Place) -> Severity | None:
        return weighed(rule.severity, rule.weight, place.tables, self._tables, new=place.new)

    def _of_squawk(self, linted: Linted) -> Iterator[Finding]:
        undoes = self._planned.direction is Direction.DOWN and is_for_rollbacks(linted.rule)
        if undoes or self._is_dismissed(linted):
            return
        standing = squawk_rules.standing(linted.rule)
        statement = self._statement_at(linted.position)
        severity = weighed(
            standing.severity,
            standing.weight,
            statement.tables if statement else (),
            self._tables,
            new=False,
        )
        if severity is not None:
            yield self._finding(
                linted.rule, severity, linted.position, linted.message, linted.advice
            )

    def _is_dismissed(self, linted: Linted) -> bool:
        dismissed = self._dismissed.get(linted.rule, ())
        # They come in the order of their ends, and do not overlap but at these.
        index = bisect.bisect_left(dismissed, linted.position, key=lambda each: each.end)
        return any(
            each.start <= linted.position
            and (each.table is None or keeps_rows(each, self._columns))
            for each in dismissed[index : index + 2]
        )

    def _statement_at(self, position: int) -> Extent | None:
        statements = self._inspected.statements
        index = bisect.bisect_right(statements, position, key=lambda each: each.start) - 1
        return statements[index] if index >= 0 and position <= statements[index].end else None

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
        for start, end in found.skipped:
            is_insert = next(words(self._script.text, start, end), "") == "INSERT"
            severity = Severity.INFO if is_insert else Severity.WARNING
            message = "the statement is too large to look into"
            yield self._finding(NOT_INSPECTED, severity, start, message)
        if found.more or self._linted.more:
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
        line, column = self._place(position)
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

    def _place(self, position: int) -> tuple[int, int]:
        """The line and the column of a character, from 1. A file may have thousands to ask for."""
        if self._script.replaced:
            return positions.place(self._script, position)
        line = bisect.bisect_right(self._line_starts, position)
        return self._script.first_line + line - 1, position - self._line_starts[line - 1] + 1

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self._script.text))]

    def _problem(self, reason: str, message: str, position: int | None) -> MigrationProblem:
        file, script = self._planned.file, self._script
        problem = MigrationProblem(
            reason, message, file.set, file.version, script.path, blocking=True
        )
        if position is None:
            return problem
        line, column = self._place(position)
        return replace(problem, line=line, column=column)
