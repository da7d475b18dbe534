"""Rules of advice as files: what they declare, and what is wrong with them."""

from pathlib import Path

import pytest

from dbopsd.db.session import Table
from dbopsd.metrics.advice.adviser import THRESHOLDS
from dbopsd.metrics.advice.errors import RuleInvalid
from dbopsd.metrics.advice.finding import Confidence, Finding, Severity, kind_of
from dbopsd.metrics.advice.rule import Rule, for_version, load_rules
from dbopsd.metrics.advice.suggestion.suggestion import KIND
from dbopsd.metrics.server_facts import ServerFacts

RULES = load_rules()
GIVEN = {*THRESHOLDS, "use", "memory_bytes", "rotational"}
HEAD = '/*\nabout = "x."\nkinds = ["one"]\n{}*/\nSELECT 1'


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.since}")
def test_a_rule_is_given_what_it_needs(rule: Rule) -> None:
    text = rule.statement.query_text
    assert set(rule.header.needs) <= GIVEN
    assert {name for name in GIVEN if f"%({name})s" in text} == set(rule.header.needs)


def test_every_kind_is_documented() -> None:
    kinds = {kind for rule in RULES for kind in rule.header.kinds} | {KIND}
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    assert {kind for kind in kinds if f"`{kind}`" not in page} == set()


@pytest.mark.parametrize("version", [15, 16, 17, 18, 19])
def test_each_version_has_one_variant_of_each_rule(version: int) -> None:
    names = [rule.name for rule in for_version(RULES, version)]
    assert sorted(names) == sorted({rule.name for rule in RULES})
    (checkpoints,) = [each for each in for_version(RULES, version) if each.name == "max_wal_size"]
    assert checkpoints.since == (17 if version >= 17 else 15)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("Bad.sql", HEAD.format(""), "NAME.sql"),
        ("none.sql", "SELECT 1", "/* comment */"),
        ("toml.sql", "/* kinds = */ SELECT 1", "no TOML"),
        ("about.sql", '/* kinds = ["one"] */ SELECT 1', "about"),
        ("extra.sql", HEAD.format("colour = 1\n"), "colour"),
        ("severity.sql", HEAD.format('severity = "grave"\n'), "severity"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(name: str, text: str, why: str) -> None:
    with pytest.raises(RuleInvalid, match=why.replace("*", r"\*")):
        Rule.parse(name, text)


def test_rows_are_findings_and_gaps() -> None:
    rule = Rule.parse("one.sql", HEAD.format('risk = "None."\nseverity = "warning"\n'))
    columns = ("object", "title", "evidence", "gain", "sql", "not_known", "gap")
    rows = [
        ("a", "do", [["n", "1", "s"], ["m", None, "s"]], "g", ["S", None], [None, "k"], None),
        (None, None, None, None, None, None, "not all"),
    ]
    (finding,), (gap,) = rule.read(Table(columns, rows))
    assert (finding.kind, finding.severity, finding.risk) == ("one", Severity.WARNING, "None.")
    assert finding.confidence is Confidence.HIGH
    assert [each.name for each in finding.evidence] == ["n"]
    assert (finding.sql, finding.not_known) == (("S",), ("k",))
    assert (gap.kind, gap.reason, gap.message) == ("one", "NOT_ALL_JUDGED", "not all")


def test_what_a_server_lacks_is_a_gap() -> None:
    rule = Rule.parse("one.sql", HEAD.format('privilege = "pg_read_all_stats"\n'))
    able = ServerFacts(18, standby=False, postgres_database="x", privileges=["pg_read_all_stats"])
    assert rule.lacking(able) is None
    standby = ServerFacts(18, standby=True, postgres_database="x", privileges=[])
    assert rule.lacking(standby) is not None
    assert rule.lacking(standby)[0] == "OTHER_ROLE"  # type: ignore[index]
    unable = ServerFacts(18, standby=False, postgres_database="x", privileges=[])
    reason, message = rule.lacking(unable) or ("", "")
    assert reason == "PERMISSION_MISSING"
    assert "GRANT pg_read_all_stats" in message


def test_ids_are_of_kind_and_object() -> None:
    def finding(kind: str, name: str) -> Finding:
        level = (Severity.INFO, Confidence.LOW)
        return Finding(kind, name, "t", *level, (), "g", "r", (), ())

    ids = {finding(kind, name).id for kind in ("a_b", "a") for name in ("x", 'y"z')}
    assert len(ids) == 4
    assert {kind_of(each) for each in ids} == {"a_b", "a"}
    assert kind_of("a-b") is None
