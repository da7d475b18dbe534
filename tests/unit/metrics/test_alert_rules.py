"""The rules: what is refused when they are loaded, and what the configuration changes."""

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from dbopsd.__main__ import cli
from dbopsd.app.alerts import metric_givers
from dbopsd.config import AlertsConfig, Config
from dbopsd.metrics.alerts import reference
from dbopsd.metrics.alerts.prometheus_rules import prometheus_rules
from dbopsd.metrics.alerts.rules import RuleSet, Severity, placeholders
from dbopsd.metrics.collector import load_collectors
from dbopsd.metrics.errors import RuleInvalid
from dbopsd.metrics.sources import load_sources

RULES = RuleSet.default()
COLLECTORS, SOURCES = load_collectors(), load_sources()
DOCS = Path(__file__).parents[3] / "docs"
GOOD = 'severity = "info"\nsummary = "s"\nremedy = "r"\n'


def alerts(**config: object) -> AlertsConfig:
    return AlertsConfig.model_validate(config)


def own(directory: Path, text: str) -> RuleSet:
    path = directory / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return RuleSet.of(alerts(rules_file=path))


def test_every_default_rule_reads_metrics_that_there_are() -> None:
    givers = metric_givers(COLLECTORS, SOURCES)
    RULES.require_metrics(lambda name: givers(name) is not None)
    asleep = {rule.name for rule in RULES.rules.values() if rule.dormant}
    assert {rule.name for rule in RULES.awake()} == set(RULES.rules) - asleep


def test_a_default_rule_names_only_labels_that_its_metrics_have() -> None:
    labels = {each.name: each.labels for giver in COLLECTORS for each in giver.metrics}
    labels |= {each.name: each.labels for giver in SOURCES for each in giver.metrics}
    for rule in RULES.awake():
        known = {label for name in rule.fires.metrics for label in labels.get(name, ())}
        named = placeholders(rule.summary) | placeholders(rule.remedy)
        assert named - {"value", "message"} <= known, rule.name


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[rules.R]\nexpr = 'up >'\n" + GOOD, "R"),
        ("[rules.R]\nexpr = 'sort(pg_up)'\n" + GOOD, "sort is not supported"),
        ("[rules.R]\nexpr = 'pg_up > 1'\ncheck = 'storage'\n" + GOOD, "expr or check"),
        ("[rules.R]\ncheck = 'storage'\n" + GOOD, "needs state with check"),
        ("[rules.R]\nexpr = 'pg_up > 1'\nthreshold = 1\n" + GOOD, "no {threshold}"),
        ("[rules.R]\nexpr = 'pg_up > {threshold}'\n" + GOOD, "no threshold"),
        ("[rules.R]\nexpr = 'pg_up > 1'\nresolve = 1\n" + GOOD, "resolve without"),
        ("[rules.R]\nexpr = 'pg_up > 1'\nunder = ['Nobody']\n" + GOOD, "under Nobody"),
        ("[rules.R]\nexpr = 'pg_up > 1'\nseverity = 'info'\nsummary = 's'\n", "remedy"),
        ("[rules.R]\nexpr = 'pg_up > 1'\nfor = 5\n" + GOOD, "for"),
        ("[rules.'R R']\nexpr = 'pg_up > 1'\n" + GOOD, "no name of a rule"),
        ("rules = 5", "something else"),
        ("[other]\nx = 1", "something else"),
        ("[rules", "is no TOML"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(RuleInvalid) as raised:
        own(tmp_path, text)
    assert problem in str(raised.value)
    assert "rules.toml" in str(raised.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleInvalid, match="No such file"):
        RuleSet.of(alerts(rules_file=tmp_path / "none.toml"))


def test_a_rule_of_an_unknown_metric_is_refused(tmp_path: Path) -> None:
    rules = own(tmp_path, "[rules.R]\nexpr = 'pg_upp == 0'\n" + GOOD)
    givers = metric_givers(COLLECTORS, SOURCES)
    with pytest.raises(RuleInvalid, match="no collector gives the metric pg_upp"):
        rules.require_metrics(lambda name: givers(name) is not None)


def test_own_rules_are_added_and_take_the_place_of_default_ones(tmp_path: Path) -> None:
    rules = own(
        tmp_path,
        "[rules.DatabaseDown]\nexpr = 'pg_up == 0'\nfor_s = 5\n"
        + GOOD
        + "[rules.Busy]\nexpr = 'dbops_pool_pending_requests > {threshold}'\nthreshold = 3\n"
        + GOOD,
    ).rules
    assert set(rules) == {*RULES.rules, "Busy"}
    assert rules["DatabaseDown"].for_s == 5
    assert rules["DatabaseDown"].severity is Severity.INFO


def test_an_own_rule_of_a_check_takes_it_out_of_the_general_ones(tmp_path: Path) -> None:
    rules = own(
        tmp_path,
        "[rules.PoolBusy]\ncheck = 'pool_use'\nstate = 'degraded'\n" + GOOD,
    ).rules
    assert "pool_use" in rules["HealthCheckDegraded"].text
    assert "pool_use" not in RULES.rules["HealthCheckDegraded"].text


def test_the_configuration_changes_rules() -> None:
    rules = RuleSet.of(
        alerts(
            rules={
                "DeadRows": {"enabled": False},
                # As a variable of the environment writes it.
                "sessionsblocked": {"threshold": 20, "for_s": 0, "severity": "critical"},
                "Deadlocks": {"threshold": 10, "resolve": 2},
            }
        )
    ).rules
    assert "DeadRows" not in rules
    blocked = rules["SessionsBlocked"]
    assert blocked.text == "pg_blocked_sessions_oldest_wait_seconds > 20"
    assert (blocked.resolve_threshold, blocked.for_s) == (18, 0)
    assert blocked.severity is Severity.CRITICAL
    assert rules["Deadlocks"].holds.text.endswith("> 2")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"Nothing": {}}, "unknown rule; there are BackupFailed"),
        ({"DatabaseDown": {"threshold": 1}}, "DatabaseDown has no threshold"),
        ({"ConnectionsHigh": {"threshold": 1}}, "set health.thresholds.connections"),
        ({"DatabaseDown": {"resolve": 1}}, "and so no resolve"),
    ],
)
def test_a_change_that_cannot_be_is_refused(changes: object, problem: str) -> None:
    with pytest.raises(RuleInvalid) as raised:
        RuleSet.of(alerts(rules=changes))
    assert problem in str(raised.value)


def test_the_resolve_threshold_is_a_tenth_back_on_either_side(tmp_path: Path) -> None:
    above = RULES.rules["SequenceNearEnd"]
    assert above.resolve_threshold == pytest.approx(0.81)
    below = own(tmp_path, "[rules.R]\nexpr = 'pg_up < {threshold}'\nthreshold = 10\n" + GOOD).rules[
        "R"
    ]
    assert below.resolve_threshold == 11


def test_changes_are_exported_and_disabled_rules_are_not() -> None:
    rules = RuleSet.of(
        alerts(rules={"DeadRows": {"enabled": False}, "DatabaseDown": {"for_s": 90}})
    )
    text = prometheus_rules(rules.rules.values())
    assert "DeadRows" not in text
    assert '- alert: DatabaseDown\n        expr: "pg_up == 0"\n        for: 90s\n' in text
    assert "{{ $value | humanizePercentage }}" in text
    assert "{message}" not in text
    assert "{value}" not in text


def test_the_command_writes_the_file(tmp_path: Path) -> None:
    config = tmp_path / "dbopsd.toml"
    config.write_text("[alerts.rules.DeadRows]\nenabled = false\n", encoding="utf-8")
    out = tmp_path / "rules.yml"
    done = CliRunner().invoke(cli, ["export", "prometheus-rules"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == prometheus_rules(rule for _, rule in sorted(RULES.rules.items()))
    command = ["export", "prometheus-rules", "--config", str(config), "--output", str(out)]
    done = CliRunner().invoke(cli, command)
    assert (done.exit_code, done.output) == (0, "")
    written = out.read_text(encoding="utf-8")
    assert "DeadRows" not in written
    assert "DatabaseDown" in written
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_the_command_refuses_what_it_cannot_write_or_use(tmp_path: Path) -> None:
    where = tmp_path / "none" / "rules.yml"
    done = CliRunner().invoke(cli, ["export", "prometheus-rules", "--output", str(where)])
    assert done.exit_code == 2
    assert "No such file or directory" in done.stderr
    config = tmp_path / "dbopsd.toml"
    config.write_text("[alerts.rules.Nothing]\nenabled = false\n", encoding="utf-8")
    done = CliRunner().invoke(cli, ["export", "prometheus-rules", "--config", str(config)])
    assert done.exit_code == 2
    assert "alerts.rules.Nothing: unknown rule" in done.stderr
    assert CliRunner().invoke(cli, ["check-config", "--config", str(config)]).exit_code == 2


def test_the_page_is_what_the_program_says() -> None:
    assert (DOCS / "alerts_reference.md").read_text() == reference.markdown(), "run `make docs`"
    done = CliRunner().invoke(cli, ["alerts-reference"])
    assert (done.exit_code, done.stdout) == (0, reference.markdown())
    for name in RULES.rules:
        assert f"| `{name}` |" in done.stdout
    assert f"[{len(RULES.rules)} rules]" in (DOCS / "metrics.md").read_text()


def test_the_examples_of_the_documentation_are_taken(tmp_path: Path) -> None:
    _, _, after = (DOCS / "metrics.md").read_text().partition("\n## Alerts\n")
    section = after.partition("\n## ")[0]
    blocks = re.findall(r"^```toml\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    for block in blocks:
        if block.startswith("[rules."):
            assert "QueueLong" in own(tmp_path, block).rules
            continue
        config = Config.model_validate(tomllib.loads(block))
        shared = RuleSet.of(config.alerts.model_copy(update={"rules_file": None}))
        for name, database in config.databases.items():
            shared.changed(database.alerts.rules, name)
