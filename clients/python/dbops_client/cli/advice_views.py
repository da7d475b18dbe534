"""Advice about a database for people."""

from collections.abc import Iterable

from dbops.v1 import metrics_pb2
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from dbops_client.cli.tables import cell, new_table
from dbops_client.cli.terminal import plain

_Advice = metrics_pb2.Advice
_STYLES = {
    _Advice.Severity.CRITICAL: "bold red",
    _Advice.Severity.WARNING: "yellow",
    _Advice.Severity.INFO: "cyan",
}


def advice_table(found: metrics_pb2.ListAdviceResponse) -> RenderableType:
    """Return a table of advice, or a line if there is none, and what was not judged below it."""
    table = new_table("SEVERITY", "SURE", "ID", "ADVICE")
    for each in found.advice:
        table.add_row(_severity(each), cell(_sure(each)), cell(advice_id(each)), cell(each.title))
    body: RenderableType = table if table.row_count else Text("There is nothing to advise.")
    return Group(body, *_gaps(found.gaps))


def advice_view(found: _Advice) -> RenderableType:
    """Return all that is known of a piece of advice but its SQL."""
    evidence = new_table("EVIDENCE", "VALUE", "SOURCE", fold=True)
    for each in found.evidence:
        evidence.add_row(cell(each.name), cell(each.value), cell(each.source))
    return Group(
        Text.assemble(_severity(found), "  ", (plain(found.title), "bold")),
        Text(plain(f"{advice_id(found)}, {_sure(found)}")),
        Padding(evidence, (1, 0)),
        Text(plain(f"Gain: {found.gain}")),
        Text(plain(f"Risk: {found.risk}")),
        *(Text(plain(f"Not known: {each}")) for each in found.not_known),
    )


def sql_lines(found: _Advice) -> list[str]:
    """Return the SQL of a piece of advice, to be printed as it is.

    A console would wrap it, and a line break within a quoted name makes it another one.
    """
    return ["", *(f"{_statement(each)};" for each in found.sql)] if found.sql else []


def advice_id(advice: _Advice) -> str:
    """Return the `{advice}` part of its name."""
    return advice.name.rpartition("/")[2]


def _gaps(gaps: Iterable[metrics_pb2.AdviceGap]) -> Iterable[RenderableType]:
    for each in gaps:
        yield Text(plain(f"not judged: {each.kind}: {each.message}"), style="dim")


def _severity(advice: _Advice) -> Text:
    known = advice.severity in _Advice.Severity.values()
    name = _Advice.Severity.Name(advice.severity) if known else f"SEVERITY_{advice.severity}"
    return Text(name, style=_STYLES.get(advice.severity, ""))


def _sure(advice: _Advice) -> str:
    return "sure" if advice.confidence == _Advice.Confidence.HIGH else "look first"


def _statement(sql: str) -> str:
    """A statement without control characters, which could drive the terminal; as JSON has it.

    A name with a line break in it stands in JSON only: without the break it names another object.
    """
    if sql.isprintable():
        return sql
    return f"-- see --output json: a name in it has characters that no terminal shows: {plain(sql)}"
