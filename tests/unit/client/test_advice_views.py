"""Advice as a terminal shows it."""

from dbops.v1 import metrics_pb2
from dbops_client.cli.advice_views import advice_table, advice_view, sql_lines
from rich.console import Console


def shown(view, width=100):
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def advice(sql):
    return metrics_pb2.Advice(
        name="databases/main/advice/duplicate-index-000000000000",
        kind="duplicate_index",
        title='Drop public."a\nb\x1b[31m"',
        severity=metrics_pb2.Advice.WARNING,
        confidence=metrics_pb2.Advice.LOW,
        gain="frees 8 kB",
        risk="None.",
        not_known=["whether it is wanted"],
        sql=[sql],
    )


def test_sql_is_shown_as_it_is():
    sql = 'DROP INDEX CONCURRENTLY public."a [b] c"'
    text = shown(advice_view(advice(sql)))
    assert "Not known: whether it is wanted" in text
    assert "look first" in text
    assert sql_lines(advice(sql)) == ["", f"{sql};"]


def test_a_name_that_would_drive_the_terminal_is_no_statement():
    hostile = advice('DROP INDEX public."a\nb\x1b[31m"')
    assert "\x1b" not in shown(advice_view(hostile))
    _, line = sql_lines(hostile)
    assert line.startswith("-- see --output json")
    assert line.isprintable()


def test_gaps_stand_below_the_table():
    gap = metrics_pb2.AdviceGap(kind="unused_index", reason="HISTORY_SHORT", message="too short")
    found = metrics_pb2.ListAdviceResponse(advice=[advice("SELECT 1")], gaps=[gap])
    lines = [line.rstrip() for line in shown(advice_table(found)).splitlines()]
    assert lines[-1] == "not judged: unused_index: too short"
    assert any("duplicate-index-000000000000" in line for line in lines)
    assert "\x1b" not in shown(advice_table(found))
    empty = metrics_pb2.ListAdviceResponse()
    assert shown(advice_table(empty)).strip() == "There is nothing to advise."
