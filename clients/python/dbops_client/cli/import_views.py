"""The results of imports for people."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from dbops.v1 import migrate_pb2
from google.protobuf.duration_pb2 import Duration
from rich.console import Group, RenderableType
from rich.text import Text

from dbops_client.cli.result_views import result_view
from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import count, duration, size

_Report = migrate_pb2.ImportReport
_Object = migrate_pb2.ImportObject

# More than this nobody reads on a screen. --output json has all of them.
_MAX_SHOWN = 20
_NUMBERS = frozenset(
    {
        *("ROWS", "COPIED", "SIZE", "COPYING", "REJECTED", "CHANGED", "MERGED", "DELETED"),
        *("VERIFIED", "DIFFERING", "COUNT", "REMOVED", "RESTORED"),
    }
)
_STYLES = {
    _Report.SUCCEEDED: "green",
    _Report.SUCCEEDED_WITH_REJECTS: "yellow",
    _Report.FAILED: "bold red",
}
_FATE_STYLES = {_Object.CHANGED: "yellow", _Object.NOT_CARRIED: "red"}


def _problem_of_report(report: _Report) -> str | None:
    # Rows are in quarantine only if the request said so: the import did what it should.
    published = report.outcome in (_Report.SUCCEEDED, _Report.SUCCEEDED_WITH_REJECTS)
    return None if published else f"did not succeed: {report.problem}"


def _problem_of_verification(response: migrate_pb2.VerifyImportResponse) -> str | None:
    return None if response.equal else f"found {response.differing_rows} rows that differ"


@result_view(_Report, _problem_of_report)
def report_view(report: _Report) -> RenderableType:
    """Return the view of an import."""
    return _separated(_report_blocks(report))


@result_view(migrate_pb2.ImportPlan)
def plan_view(plan: migrate_pb2.ImportPlan) -> RenderableType:
    """Return the view of a plan: what an import would do."""
    return _separated(_plan_blocks(plan))


@result_view(migrate_pb2.VerifyImportResponse, _problem_of_verification)
def verification_view(response: migrate_pb2.VerifyImportResponse) -> RenderableType:
    """Return the view of a verification: whether the rows equal those of the file."""
    return _separated(_verification_blocks(response))


@result_view(migrate_pb2.RevertImportResponse)
def reversion_view(response: migrate_pb2.RevertImportResponse) -> RenderableType:
    """Return the view of a revert."""
    return _separated(_reversion_blocks(response))


def _separated(blocks: Iterable[RenderableType]) -> RenderableType:
    """Return the blocks, separated by empty lines."""
    first, *rest = blocks
    return Group(first, *(part for block in rest for part in (Text(), block)))


def _report_blocks(report: _Report) -> Iterator[RenderableType]:
    yield _report_summary(report)
    if report.tables:
        yield _imported_tables(report.tables)
    yield from _objects(report.objects)
    yield from _rejects(report)
    yield from _differences(report.differences, sum(t.differing_rows for t in report.tables))
    yield from _notes(report.notes)


def _report_summary(report: _Report) -> Text:
    known = report.outcome in _Report.Outcome.values()
    outcome = _Report.Outcome.Name(report.outcome) if known else f"OUTCOME_{report.outcome}"
    took_s = sum(_seconds(stage.duration) for stage in report.stages)
    verified = f"{count(report.verified_rows)} verified" if report.verified_rows else "not verified"
    amounts = [f"{count(report.copied_rows)} of {count(report.rows)} rows copied", verified]
    if report.rejected_rows:
        amounts.append(f"{count(report.rejected_rows)} rejected")
    line = ", ".join(amounts)
    if took_s > 0:
        line += f", in {duration(took_s)} ({count(round(report.copied_rows / took_s))} rows/s)"
    summary = Text.assemble((outcome, _STYLES.get(report.outcome, "")), f"  {line}")
    for label, text in (
        ("", report.problem),
        ("", f"{report.source} to schema {report.schema}" if report.source else ""),
        ("Import: ", report.operation),
        ("Stages: ", ", ".join(f"{s.stage} {_took(s.duration)}" for s in report.stages)),
        ("Rejected values, in table ", report.rejects_table),
        ("Rejected values, in a file on the worker's machine: ", report.rejects_file),
        ("Replaced tables, kept for a revert in schema ", report.previous_schema),
    ):
        if text:
            summary.append(f"\n{label}{plain(text)}")
    return summary


def _imported_tables(tables: Sequence[migrate_pb2.ImportedTable]) -> RenderableType:
    # Columns of what most imports do not have, only if there is any.
    rare = [
        (header, field)
        for header, field in (
            ("CHANGED", "changed_values"),
            ("MERGED", "merged_rows"),
            ("DELETED", "deleted_rows"),
            ("DIFFERING", "differing_rows"),
        )
        if any(getattr(table, field) for table in tables)
    ]
    found = new_table(
        *("TABLE", "ROWS", "COPIED", "SIZE", "COPYING", "REJECTED", "VERIFIED"),
        *(header for header, _ in rare),
        numbers=_NUMBERS,
        fold=True,
    )
    for table in tables:
        found.add_row(
            cell(_arrow(table.source, table.target)),
            *(cell(count(number)) for number in (table.rows, table.copied_rows)),
            cell(size(table.copied_bytes)),
            cell(_took(table.copy_duration)),
            *(cell(count(number)) for number in (table.rejected_rows, table.verified_rows)),
            *(cell(count(getattr(table, field))) for _, field in rare),
        )
    return found


def _objects(objects: Sequence[_Object]) -> Iterator[RenderableType]:
    carried = Counter(each.kind for each in objects if each.fate == _Object.CARRIED)
    if carried:
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(carried.items()))
        yield Text(plain(f"Carried unchanged: {kinds}"))
    found = new_table("FATE", "KIND", "OBJECT", "REASON", numbers=_NUMBERS, fold=True)
    for each in objects:
        if each.fate == _Object.CARRIED:
            continue
        known = each.fate in _Object.Fate.values()
        fate = _Object.Fate.Name(each.fate) if known else f"FATE_{each.fate}"
        of_table = f"{each.table}: " if each.table and each.table != each.name else ""
        found.add_row(
            Text(fate, style=_FATE_STYLES.get(each.fate, "")),
            cell(each.kind),
            cell(of_table + each.name),
            cell(each.reason),
        )
    if found.row_count:
        yield found


def _rejects(report: _Report) -> Iterator[RenderableType]:
    if report.reject_counts:
        counts = new_table("TABLE", "COLUMN", "COUNT", "REASON", numbers=_NUMBERS, fold=True)
        for each in report.reject_counts:
            counts.add_row(
                cell(each.table),
                cell(each.column or "-"),
                cell(count(each.count)),
                cell(each.reason),
            )
        yield Group(Text("Rejected values:"), counts)
    if report.rejects:
        total = sum(each.count for each in report.reject_counts)
        examples = new_table(
            "TABLE", "COLUMN", "ROW", "REASON", "VALUE", numbers=_NUMBERS, fold=True
        )
        for reject in report.rejects[:_MAX_SHOWN]:
            examples.add_row(
                cell(reject.table),
                cell(reject.column or "-"),
                cell(reject.key),
                cell(reject.reason),
                cell(reject.value),
            )
        yield Group(Text("Examples:"), examples, *_rest(len(report.rejects), total))


def _differences(
    differences: Sequence[migrate_pb2.ImportDifference], differing_rows: int
) -> Iterator[RenderableType]:
    if not differences:
        return
    found = new_table("TABLE", "ROW", "COLUMN", "FILE", "POSTGRESQL", numbers=_NUMBERS, fold=True)
    for each in differences[:_MAX_SHOWN]:
        # Every value has a literal, such as NULL or '': an empty text means that there is no row.
        found.add_row(
            cell(each.table),
            cell(each.key),
            cell(each.column or "-"),
            cell(each.source or "no such row"),
            cell(each.target or "no such row"),
        )
    rows = "1 row differs" if differing_rows == 1 else f"{count(differing_rows)} rows differ"
    yield Group(Text(f"{rows}:"), found, *_rest(len(differences), len(differences)))


def _rest(named: int, total: int) -> Iterator[Text]:
    if named > _MAX_SHOWN:
        yield Text(f"… and {count(named - _MAX_SHOWN)} more, which --output json names")
    if total > named:
        yield Text(f"… and {count(total - named)} more, which are only counted (--max-examples)")


def _notes(notes: Sequence[str]) -> Iterator[RenderableType]:
    if notes:
        yield Text("\n".join(f"Note: {plain(note)}" for note in notes))


def _plan_blocks(plan: migrate_pb2.ImportPlan) -> Iterator[RenderableType]:
    tables = "1 table" if len(plan.tables) == 1 else f"{len(plan.tables)} tables"
    yield Text(
        plain(
            f"{plan.source} ({size(plan.source_size_bytes)}) to schema {plan.schema}: {tables}, "
            f"{count(plan.rows)} rows; about {_took(plan.estimated_duration)}, "
            f"and {size(plan.estimated_bytes)} in PostgreSQL"
        )
    )
    for table in plan.tables:
        columns = new_table("COLUMN", "TYPE", "CONVERSION", "WHY", numbers=_NUMBERS, fold=True)
        for column in table.columns:
            columns.add_row(
                cell(_arrow(column.source, column.target)),
                cell(column.type),
                cell(column.conversion),
                cell(column.evidence),
            )
        name = plain(_arrow(table.source, table.target))
        yield Group(Text.assemble((name, "bold"), f"  {count(table.rows)} rows"), columns)
    yield from _objects(plan.objects)
    yield from _notes(plan.notes)


def _verification_blocks(
    response: migrate_pb2.VerifyImportResponse,
) -> Iterator[RenderableType]:
    verdict = ("EQUAL", "green") if response.equal else ("DIFFERENT", "bold red")
    yield Text.assemble(
        verdict,
        f"  {count(response.verified_rows)} rows compared, {count(response.differing_rows)} differ",
        "\n",
        plain(f"{response.source} and schema {response.schema}"),
    )
    found = new_table("TABLE", "ROWS", "VERIFIED", "DIFFERING", numbers=_NUMBERS, fold=True)
    for table in response.tables:
        numbers = (table.rows, table.verified_rows, table.differing_rows)
        found.add_row(
            cell(_arrow(table.source, table.target)), *(cell(count(each)) for each in numbers)
        )
    if found.row_count:
        yield found
    yield from _differences(response.differences, response.differing_rows)


def _reversion_blocks(
    response: migrate_pb2.RevertImportResponse,
) -> Iterator[RenderableType]:
    yield Text(plain(f"{response.operation} is reverted in schema {response.schema}"))
    lines = [
        plain(f"{label}: {', '.join(tables) or 'none'}")
        for label, tables in (
            ("Restored", response.restored_tables),
            ("Removed", response.removed_tables),
        )
    ]
    yield Text("\n".join(lines))
    found = new_table("TABLE", "REMOVED", "RESTORED", numbers=_NUMBERS, fold=True)
    for table in response.tables:
        rows = (table.removed_rows, table.restored_rows)
        found.add_row(cell(table.target), *(cell(count(each)) for each in rows))
    if found.row_count:
        yield found


def _arrow(source: str, target: str) -> str:
    return source if source == target or not target else f"{source} → {target}"


def _took(value: Duration) -> str:
    return duration(_seconds(value))


def _seconds(value: Duration) -> float:
    return value.ToNanoseconds() / 1e9
