"""What a check of migrations found, for people: findings as compilers write them."""

from collections.abc import Iterator, Sequence

from dbops.v1 import migrations_pb2
from rich.console import Group, RenderableType
from rich.text import Text

from dbops_client.cli.migrate_views import located, notes_below
from dbops_client.cli.result_views import result_view
from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import count

_Response = migrations_pb2.CheckMigrationsResponse
_Finding = migrations_pb2.MigrationFinding
_Difference = migrations_pb2.SchemaDifference
_Roundtrip = migrations_pb2.MigrationRoundtrip

_NUMBERS: frozenset[str] = frozenset()
_SEVERITY_STYLES = {_Finding.ERROR: "bold red", _Finding.WARNING: "yellow", _Finding.INFO: "cyan"}
_RESULT_STYLES = {
    _Roundtrip.RESTORED: "green",
    _Roundtrip.ONLY_ORDER_OR_GRANTS: "yellow",
    _Roundtrip.NOT_RESTORED: "bold red",
    _Roundtrip.FAILED: "bold red",
    _Roundtrip.NOT_TRIED: "yellow",
}
_BAD_RESULTS = frozenset({_Roundtrip.NOT_RESTORED, _Roundtrip.FAILED})
# A definition may be a function of a thousand lines.
_MOST_DEFINITION_CHARS = 120


def _problem_of_check(response: _Response) -> str | None:
    if response.ok:
        return None
    amounts = [
        _plural(_number(response, _Finding.ERROR), "error"),
        _plural(_number(response, _Finding.WARNING), "warning"),
        *_beyond_findings(response),
    ]
    return f"found {', '.join(amount for amount in amounts if amount) or 'problems'}"


def _beyond_findings(response: _Response) -> list[str]:
    return [
        _plural(len(response.drift), "difference of the schema"),
        _plural(_not_restored(response), "rollback that does not restore"),
    ]


@result_view(_Response, _problem_of_check)
def check_view(response: _Response) -> RenderableType:
    """Return everything that a check found, and a line that says whether all is well."""
    blocks: list[RenderableType] = []
    for finding in response.findings:
        blocks += _finding(finding)
    blocks += _drift(response.drift)
    blocks += _roundtrips(response.roundtrip)
    if blocks:
        blocks.append(Text())
    return Group(*blocks, _verdict(response), *notes_below(response.notes))


def _verdict(response: _Response) -> Text:
    verdict = ("OK", "green") if response.ok else ("NOT OK", "bold red")
    findings = _plural(len(response.findings), "finding") or "no finding"
    files = _plural(response.files, "file")
    checked = f"{files} checked" if files else "nothing is waiting to be applied"
    parts = [checked, findings, *_beyond_findings(response)]
    return Text.assemble(verdict, f"  {', '.join(part for part in parts if part)}")


def _finding(finding: _Finding) -> Iterator[RenderableType]:
    known = finding.severity in _Finding.Severity.values()
    severity = _Finding.Severity.Name(finding.severity) if known else str(finding.severity)
    place = located(finding.path, finding.line, finding.column)
    line = Text.assemble(
        f"{plain(place)}: " if place else "",
        (severity.lower(), _SEVERITY_STYLES.get(finding.severity, "")),
        plain(f": {finding.message}"),
        (f" [{plain(finding.rule)}]", "dim"),
    )
    for label, text in (("allowed", finding.allowed), ("advice", finding.advice)):
        if text:
            line.append(f"\n    {label}: {plain(text)}")
    yield line


def _drift(drift: Sequence[_Difference]) -> Iterator[RenderableType]:
    if drift:
        yield Text()
        yield Text("The schema differs from the one after the last migration:", style="bold red")
        yield _difference_table(drift)


def _roundtrips(roundtrips: Sequence[_Roundtrip]) -> Iterator[RenderableType]:
    if not roundtrips:
        return
    table = new_table("VERSION", "NAME", "ROUND TRIP", "PROBLEM", numbers=_NUMBERS)
    for each in roundtrips:
        known = each.result in _Roundtrip.Result.values()
        result = _Roundtrip.Result.Name(each.result) if known else f"RESULT_{each.result}"
        table.add_row(
            cell(each.version or "repeatable"),
            cell(each.name),
            Text(result, style=_RESULT_STYLES.get(each.result, "")),
            cell(each.problem or _plural(len(each.differences), "difference") or "-"),
        )
    yield Text()
    yield table
    for each in roundtrips:
        if each.differences:
            yield Text()
            yield Text(plain(f"After the rollback of {each.version} {each.name}:"), style="bold")
            yield _difference_table(each.differences)


def _difference_table(differences: Sequence[_Difference]) -> RenderableType:
    table = new_table("CHANGE", "KIND", "OBJECT", "EXPECTED", "FOUND", numbers=_NUMBERS, fold=True)
    for each in differences:
        known = each.change in _Difference.Change.values()
        change = _Difference.Change.Name(each.change) if known else f"CHANGE_{each.change}"
        aspect = {
            _Difference.COLUMN_ORDER: " (order)",
            _Difference.OWNER_OR_GRANTS: " (owner or grants)",
        }.get(each.aspect, "")
        table.add_row(
            cell(change.lower() + aspect),
            cell(each.kind),
            cell(each.identity),
            cell(_cut(each.expected)),
            cell(_cut(each.actual)),
        )
    return table


def _cut(definition: str) -> str:
    text = plain(definition)
    if len(text) <= _MOST_DEFINITION_CHARS:
        return text or "-"
    return f"{text[:_MOST_DEFINITION_CHARS]}…"


def _number(response: _Response, severity: "_Finding.Severity.ValueType") -> int:
    return sum(each.severity == severity and not each.allowed for each in response.findings)


def _not_restored(response: _Response) -> int:
    return sum(each.result in _BAD_RESULTS for each in response.roundtrip)


def _plural(number: int, noun: str) -> str:
    """Return the number with its noun; nothing if it is 0."""
    if not number:
        return ""
    first, space, rest = noun.partition(" ")
    return f"{count(number)} {first}{'' if number == 1 else 's'}{space}{rest}"
