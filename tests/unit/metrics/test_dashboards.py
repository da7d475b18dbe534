"""The Grafana dashboards: what they ask for exists, and they fit where they are put.

`tests/debian/test_dashboards.py` asks each query of a real Prometheus.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbopsd.metrics.collector import load_collectors
from dbopsd.metrics.sources import load_sources

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
# Prometheus writes it beside what it scraped.
_PROMETHEUS_OWN = "scrape_samples_scraped"


def _panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in board["panels"] if each["type"] != "row"]


def test_there_is_a_dashboard_for_each_view() -> None:
    assert {path.stem for path in DASHBOARDS} == {
        "backups",
        "overview",
        "statements",
        "replication",
        "pool",
    }


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_its_panels_have_places_of_their_own(path: Path) -> None:
    board = json.loads(path.read_text())
    assert board["uid"] == f"dbopsd-{path.stem}"
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({each["id"] for each in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_each_query_is_about_the_chosen_database(path: Path) -> None:
    for panel in _panels(json.loads(path.read_text())):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            assert target["expr"].count("$instance") >= target["expr"].count("[$__rate"), panel[
                "title"
            ]
            assert "$instance" in target["expr"], panel["title"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_each_metric_is_declared(path: Path) -> None:
    declared = {metric.name for each in load_collectors() for metric in each.metrics}
    declared |= {metric.name for each in load_sources() for metric in each.metrics}
    for panel in _panels(json.loads(path.read_text())):
        for target in panel["targets"]:
            asked = set(re.findall(r"([a-z_]+)\{", target["expr"]))
            settings = {name for name in asked if name.startswith("pg_settings_")}
            assert asked - settings - {_PROMETHEUS_OWN} <= declared, panel["title"]


def test_grafana_finds_the_dashboards_where_compose_puts_them() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    mounted = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    at = {inside: (DEPLOY / outside).resolve() for outside, inside in mounted.items()}
    provisioning = at["/etc/grafana/provisioning"]
    provider = yaml.safe_load((provisioning / "dashboards" / "dbopsd.yaml").read_text())
    folder = provider["providers"][0]["options"]["path"]
    assert sorted(at[folder].glob("*.json")) == DASHBOARDS
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (at[str(Path(home).parent)] / Path(home).name).is_file()
