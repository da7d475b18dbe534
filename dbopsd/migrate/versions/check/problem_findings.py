"""Problems of files and of the ledger among the findings of a check."""

from collections.abc import Iterable

from dbopsd.migrate.versions.check.check_files import CheckResult
from dbopsd.migrate.versions.check.checked_file import SYNTAX_ERROR
from dbopsd.migrate.versions.model.migration import MigrationProblem
from dbopsd.migrate.versions.model.reports import Finding, Severity
from dbopsd.migrate.versions.plan.plan import PlannedRun

# Problems that need no hand: somebody may want to know of them.
_INFORMATIVE = frozenset({"LINE_ENDINGS", "MIGRATION_FAILED"})


def with_problems(
    result: CheckResult, problems: Iterable[MigrationProblem], planned: Iterable[PlannedRun]
) -> tuple[Finding, ...]:
    """What a check of `planned` found, file by file: the problems of each first, then its findings.

    `problems`: those that reading the folders and the ledger showed. They come first where they
    are of no file that was checked.
    """
    read = list(problems)
    broken = {(each.set, each.path) for each in read if each.blocking}
    checked = [
        each
        for each in result.problems
        # Text that is no SQL to the folder's reader is none to the grammar either.
        if each.reason != SYNTAX_ERROR or (each.set, each.path) not in broken
    ]
    unique = {(each.set, each.path, each.reason, each.line): each for each in (*checked, *read)}
    findings = [_finding(each) for each in unique.values()]
    by_file: dict[tuple[str, str], list[Finding]] = {
        (each.file.set, each.script.path): [] for each in planned
    }
    elsewhere: list[Finding] = []
    for finding in (*findings, *result.findings):
        by_file.get((finding.set, finding.path), elsewhere).append(finding)
    return (*elsewhere, *(finding for found in by_file.values() for finding in found))


def _finding(problem: MigrationProblem) -> Finding:
    """The problem as a finding, whose rule is its reason."""
    severity = Severity.ERROR if problem.blocking else Severity.WARNING
    if problem.reason in _INFORMATIVE:
        severity = Severity.INFO
    return Finding(
        problem.reason.lower().replace("_", "-"),
        severity,
        problem.set,
        problem.path,
        problem.message,
        problem.version,
        problem.line,
        problem.column,
    )
