"""Debian's promtool judges the exported rules as the daemon judges by them."""

import json
import subprocess
from pathlib import Path

import pytest

from dbopsd.metrics.alerts.prometheus_rules import prometheus_rules
from dbopsd.metrics.alerts.rules import RuleSet
from tests.support.alert_cases import load_cases
from tests.support.debian import tool

RULES = RuleSet.default().rules
CASES = load_cases()


@pytest.fixture(scope="module")
def rules_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "dbopsd.yml"
    path.write_text(prometheus_rules(RULES.values()), encoding="utf-8")
    return path


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("promtool"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_promtool_takes_every_rule(rules_file: Path) -> None:
    done = promtool("check", "rules", rules_file)
    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {len(RULES)} rules found" in done.stdout


def test_prometheus_fires_each_rule_in_its_situation_and_in_no_look_alike(
    rules_file: Path,
) -> None:
    paths = []
    for interval_s in sorted({case.interval_s for case in CASES}):
        tests = {
            "rule_files": [str(rules_file)],
            "evaluation_interval": f"{interval_s}s",
            "tests": [
                case.as_promtool(RULES[case.rule].severity.word)
                for case in CASES
                if case.interval_s == interval_s
            ],
        }
        paths.append(rules_file.with_name(f"tests-{interval_s}.json"))
        # A JSON text is a YAML one.
        paths[-1].write_text(json.dumps(tests), encoding="utf-8")
    done = promtool("test", "rules", *paths)
    assert done.returncode == 0, done.stdout + done.stderr
