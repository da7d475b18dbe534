"""`dbopsd metrics-reference`, and the page in `docs/` that it writes."""

from pathlib import Path

import pytest

from dbopsd.metrics.collector import load_collectors
from dbopsd.metrics.otlp.names import load_names
from dbopsd.metrics.reference.exporter_differences import load_differences
from dbopsd.metrics.reference.page import markdown
from dbopsd.metrics.sources import load_sources

PAGE = Path(__file__).parents[3] / "docs" / "metrics_reference.md"


def rows() -> list[list[str]]:
    page = PAGE.read_text().partition("\n## Names in OTLP")[0]
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def test_the_page_is_what_the_program_says() -> None:
    assert PAGE.read_text() == markdown(), "run `make docs`"


def test_every_metric_is_there_with_its_meaning_under_its_collector() -> None:
    page = PAGE.read_text()
    found = {tuple(row) for row in rows()}
    for giver in (*load_collectors(), *load_sources()):
        assert f"\n### {giver.name}\n" in page
        for metric in giver.metrics:
            about = (f"| `{metric.name}`", metric.type.value, f"`{metric.unit}`")
            assert any(row[:3] == about and row[-1] == f"{metric.help} |" for row in found), about


@pytest.mark.parametrize(
    ("metric", "versions"),
    [
        ("pg_roles_connection_limit", [""]),
        ("pg_stat_io_reads_total", ["16+"]),
        ("pg_stat_progress_vacuum_num_dead_tuples", ["17+", "15-16"]),
        ("pg_stat_checkpointer_restartpoints_done_total", ["17+"]),
    ],
)
def test_versions_are_named_where_not_all_have_it(metric: str, versions: list[str]) -> None:
    assert [row[4] for row in rows() if row[0] == f"| `{metric}`"] == versions


def test_every_difference_is_there_with_its_reason() -> None:
    page = PAGE.read_text()
    for each in load_differences().listed:
        assert each.reason in page
        assert all(f"`{name}`" in page for name in each.series)


def test_every_name_that_otlp_has_in_its_place_is_there() -> None:
    section = PAGE.read_text().partition("## Names in OTLP")[2].partition("\n## ")[0]
    for metric, otlp in load_names().listed.items():
        assert any(
            line.startswith(f"| `{otlp.name}` |") and line.endswith(f"| `{metric}` |")
            for line in section.splitlines()
        )


def test_what_a_role_needs_is_named() -> None:
    page = PAGE.read_text()
    assert "Needs the extension `pg_stat_statements` 1.9" in page
    assert "Needs `pg_monitor`." in page
    assert "Only on a standby." in page
