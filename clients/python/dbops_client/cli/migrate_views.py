"""Migrations, and what was done with them, for people."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dbops.v1 import migrations_pb2
from google.protobuf.duration_pb2 import Duration
from rich.console import Group, RenderableType
from rich.text import Text

from dbops_client._names import backup_id, database_id
from dbops_client.cli.backup_views import time_of
from dbops_client.cli.result_views import result_view
from dbops_client.cli.tables import cell, facts, new_table
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import count, duration

_Migration = migrations_pb2.Migration
_Report = migrations_pb2.MigrationReport
_List = migrations_pb2.ListMigrationsResponse

_NUMBERS = frozenset({"TOOK", "STATEMENTS", "ATTEMPTS", "WAITED", "PID", "OPEN FOR"})
_STYLES = {
    _Migration.PENDING: "cyan",
    _Migration.APPLIED: "green",
    _Migration.CHANGED: "bold red",
    _Migration.MISSING: "bold red",
    _Migration.OUT_OF_ORDER: "yellow",
    _Migration.FAILED: "bold red",
    _Migration.INTERRUPTED: "bold red",
    _Migration.RUNNING: "cyan",
    _Migration.BASELINED: "green",
    _Migration.ADOPTED: "green",
}
_SETTLED = frozenset({_Migration.APPLIED, _Migration.BASELINED, _Migration.ADOPTED})
_OUTCOME_STYLES = {
    _Report.SUCCEEDED: "green",
    _Report.NOTHING_TO_DO: "green",
    _Report.VALIDATED: "green",
    _Report.FAILED: "bold red",
}


def is_in_order(found: _List) -> bool:
    """Whether nothing is pending, and everything is as it should be."""
    return not (
        found.pending
        or found.drifted
        or any(problem.blocking for problem in found.problems)
        or any(each.state not in _SETTLED for each in found.migrations)
    )


def migration_list_view(database: str, found: _List) -> RenderableType:
    """Return the migrations, a table for each set, and below it what is wrong."""
    blocks: list[RenderableType] = [_summary(database_id(database), found)]
    sets = list(dict.fromkeys(each.set for each in found.migrations))
    for name in sets:
        if len(sets) > 1:
            blocks += [Text(), Text(plain(name), style="bold")]
        in_set = [each for each in found.migrations if each.set == name]
        blocks.append(_table(in_set, found.problems))
    if not sets:
        blocks.append(Text("There are no such migrations."))
    if found.problems:
        blocks += [Text(), *(_problem(each) for each in found.problems)]
    return Group(*blocks)


def _summary(database: str, found: _List) -> Text:
    at = f"at version {found.current_version}" if found.current_version else ""
    states = Counter(each.state for each in found.migrations)
    amounts = [f"{count(number)} {state_name(state)}" for state, number in sorted(states.items())]
    errors = sum(each.blocking for each in found.problems)
    wrong = _plural(errors, "error") if errors else ""
    parts = ", ".join(part for part in (at, *amounts, wrong) if part)
    line = Text.assemble((plain(database), "bold"), f"  {plain(parts)}")
    for each in found.sets:
        version = f", at version {each.current_version}" if each.current_version else ""
        line.append(f"\n{plain(f'{each.set}: {each.layout} in {each.directory}{version}')}")
    if found.drifted:
        line.append(
            "\nThe schema differs from the one after the last migration: "
            f"'dbops migrate check {plain(database)} --drift' shows how.",
            style="bold red",
        )
    return line


def _table(
    migrations: Iterable[_Migration],
    problems_below: Iterable[migrations_pb2.MigrationProblem] = (),
) -> RenderableType:
    """Return a row for each migration, with the reasons of its problems that are shown below."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for problem in problems_below:
        for key in {problem.path, problem.version} - {""}:
            reasons.setdefault((problem.set, key), []).append(problem.reason)
    table = new_table(
        *("VERSION", "NAME", "STATE", "APPLIED", "BY", "TOOK", "ROLLBACK", "NOTE"),
        numbers=_NUMBERS,
    )
    for each in migrations:
        applied = time_of(each.apply_time) if each.HasField("apply_time") else "-"
        table.add_row(
            cell("repeatable" if each.repeatable else each.version),
            cell(each.name),
            state_text(each.state),
            cell(applied),
            cell(each.applied_by or "-"),
            # Of one that was rolled back it is how long that took.
            cell(_took(each.duration) if applied != "-" and each.HasField("duration") else "-"),
            cell("yes" if each.has_rollback else "no"),
            cell(_note(each, _reasons_of(each, reasons))),
        )
    return table


def _reasons_of(
    migration: _Migration, reasons: Mapping[tuple[str, str], Sequence[str]]
) -> list[str]:
    keys = (migration.path, migration.version or migration.name)
    found = [reason for key in keys for reason in reasons.get((migration.set, key), ())]
    return list(dict.fromkeys(found))


def _note(migration: _Migration, reasons: Sequence[str]) -> str:
    partly = migration.state == _Migration.INTERRUPTED or migration.state == _Migration.RUNNING
    phase = _Migration.Phase.Name(migration.phase).lower() if migration.phase in (1, 2) else ""
    parts = [
        ", ".join(reasons) or migration.problem,
        _statements(migration) if partly else "",
        f"phase {phase}" if phase else "",
        "" if migration.transactional or not migration.path else "not in a transaction",
    ]
    return "; ".join(part for part in parts if part) or "-"


def _problem(problem: migrations_pb2.MigrationProblem) -> Text:
    place = located(problem.path, problem.line, problem.column)
    severity = ("error", "bold red") if problem.blocking else ("warning", "yellow")
    return Text.assemble(
        f"{plain(place)}: " if place else "",
        severity,
        plain(f": {problem.message}"),
        (f" [{plain(problem.reason)}]", "dim"),
    )


def located(path: str, line: int, column: int) -> str:
    """Return a place in a file as compilers write it."""
    return ":".join([path, *(str(number) for number in (line, column) if number)]) if path else ""


@result_view(_Migration)
def migration_view(migration: _Migration) -> RenderableType:
    """Return what is known about a migration: a line for each fact."""
    applied = time_of(migration.apply_time) if migration.HasField("apply_time") else ""
    return facts(
        {
            "Version": migration.version or "repeatable",
            "Name": migration.name,
            "Set": migration.set,
            "State": state_text(migration.state),
            "Problem": migration.problem,
            "File": migration.path,
            "SHA-256": migration.checksum,
            # Another tool's has its algorithm before it.
            "Checksum when applied": migration.applied_checksum,
            "Applied": applied,
            "By": migration.applied_by,
            "Took": _took(migration.duration) if migration.HasField("duration") else "",
            "Statements": _statements(migration),
            "Rollback": "yes" if migration.has_rollback else "no",
            "Operation": migration.operation,
        }
    )


def _problem_of_report(report: _Report) -> str | None:
    return f"did not succeed: {report.problem}" if report.outcome == _Report.FAILED else None


@result_view(_Report, _problem_of_report)
def report_view(report: _Report) -> RenderableType:
    """Return the view of an apply or a rollback: each migration, and who was in the way.

    Why it failed is the error of its operation, which whoever shows the operation shows.
    """
    known = report.outcome in _Report.Outcome.values()
    outcome = _Report.Outcome.Name(report.outcome) if known else f"OUTCOME_{report.outcome}"
    took_s = sum(_seconds(each.duration) for each in report.migrations)
    amount = _plural(len(report.migrations), "migration")
    if report.outcome == _Report.FAILED and report.migrations:
        done = sum(each.HasField("duration") and not each.problem for each in report.migrations)
        amount = f"{done} of {amount} done"
        if not any(each.HasField("duration") or each.problem for each in report.migrations):
            amount = "nothing was begun"
    amount += f" in {duration(took_s)}" if took_s else ""
    summary = Text.assemble((outcome, _OUTCOME_STYLES.get(report.outcome, "")), f"  {amount}")
    if report.backup:
        summary.append(f"\nBackup: {plain(backup_id(report.backup))}")
    blocks: list[RenderableType] = [summary]
    if report.migrations:
        blocks += [Text(), _run_table(report)]
    for each in report.migrations:
        if each.detail:
            title = plain(f"Detail of {each.version or each.name}:")
            blocks += [Text(), Text.assemble((title, "bold"), " ", plain(each.detail))]
    if report.blockers:
        blocks += [Text(), Text("In the way:", style="bold red"), _blocker_table(report.blockers)]
    return Group(*blocks, *notes_below(report.notes))


def _run_table(report: _Report) -> RenderableType:
    runs = report.migrations
    several = len({each.set for each in runs}) > 1
    # The report's own is the error of its operation.
    others = any(_other_problem(report, each) != "-" for each in runs)
    table = new_table(
        *(["SET"] if several else []),
        *("VERSION", "NAME", "STATE", "STATEMENTS", "TOOK", "ATTEMPTS", "WAITED"),
        *(["PROBLEM"] if others else []),
        numbers=_NUMBERS,
    )
    for each in runs:
        table.add_row(
            *([cell(each.set)] if several else []),
            cell(each.version or "repeatable"),
            cell(each.name),
            state_text(each.state),
            cell(_statements(each) or "-"),
            cell(_took(each.duration) if each.HasField("duration") else "-"),
            cell(str(each.lock_attempts or "-")),
            cell(_took(each.lock_wait) if each.HasField("lock_wait") else "-"),
            *([cell(_other_problem(report, each))] if others else []),
        )
    return table


def _other_problem(report: _Report, run: migrations_pb2.MigrationRun) -> str:
    return "-" if run.problem == report.problem else run.problem or "-"


def _blocker_table(blockers: Sequence[migrations_pb2.MigrationBlocker]) -> RenderableType:
    table = new_table(
        *("PID", "APPLICATION", "USER", "STATE", "OPEN FOR", "RELATION", "LOCK", "STATEMENT"),
        numbers=_NUMBERS,
    )
    for each in blockers:
        table.add_row(
            cell(str(each.pid)),
            cell(each.application or "-"),
            cell(each.user or "-"),
            cell(each.state or "-"),
            cell(_took(each.age) if each.HasField("age") else "-"),
            cell(each.relation or "-"),
            cell(each.mode or "-"),
            cell(each.query or "-"),
        )
    return table


@result_view(migrations_pb2.BaselineMigrationsResponse)
def baseline_view(response: migrations_pb2.BaselineMigrationsResponse) -> RenderableType:
    """Return the migrations that were recorded as applied."""
    if not response.migrations:
        return Text("Nothing is recorded: the ledger has all of them.")
    return _table(response.migrations)


@result_view(migrations_pb2.AdoptMigrationsResponse)
def adoption_view(response: migrations_pb2.AdoptMigrationsResponse) -> RenderableType:
    """Return what was taken over from another tool, and what does not fit."""
    line = f"{_plural(len(response.adopted), 'migration')} adopted from {response.source_table}"
    for entries, what in (
        (response.unknown, "not in the folder"),
        (response.mismatched, "changed since"),
        (response.failed, "left failed or unfinished"),
    ):
        line += f", {count(len(entries))} {what}" if entries else ""
    blocks: list[RenderableType] = [Text(plain(line))]
    if response.adopted:
        blocks += [Text(), _table(response.adopted)]
    for title, entries in (
        ("Not in the folder, and not recorded:", response.unknown),
        ("Changed since:", response.mismatched),
        ("Left failed or unfinished by the tool:", response.failed),
    ):
        if entries:
            table = new_table("VERSION", "NAME", "PROBLEM", numbers=_NUMBERS)
            for entry in entries:
                table.add_row(cell(entry.version), cell(entry.name or "-"), cell(entry.problem))
            blocks += [Text(), Text(title, style="yellow"), table]
    return Group(*blocks, *notes_below(response.notes))


def notes_below(notes: Sequence[str]) -> Iterator[RenderableType]:
    """Return a line for each note, below an empty one; nothing if there are none."""
    if notes:
        yield Text()
        yield Text("\n".join(f"Note: {plain(note)}" for note in notes))


def state_name(state: "_Migration.State.ValueType") -> str:
    """Return the name of a state, or the number of a state that this version does not know."""
    known = state in _Migration.State.values()
    return _Migration.State.Name(state) if known else f"STATE_{state}"


def state_text(state: "_Migration.State.ValueType") -> Text:
    """Return the name of a state in its colour."""
    return Text(state_name(state), style=_STYLES.get(state, ""))


def _statements(run: _Migration | migrations_pb2.MigrationRun) -> str:
    if not run.statements:
        return ""
    return f"{run.statements_done} of {run.statements}"


def _took(value: Duration) -> str:
    return duration(_seconds(value))


def _seconds(value: Duration) -> float:
    return value.ToNanoseconds() / 1e9


def _plural(number: int, noun: str) -> str:
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"
