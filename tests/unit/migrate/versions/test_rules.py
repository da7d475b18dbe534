"""Each rule of our own, over statements that it is about and others that it is not."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dbopsd.migrate.versions import ledger
from dbopsd.migrate.versions.check.allowances import is_rule
from dbopsd.migrate.versions.check.check_files import CheckResult, blocking, refuse
from dbopsd.migrate.versions.check.errors import FindingsBlock
from dbopsd.migrate.versions.check.inspect_scripts import inspect
from dbopsd.migrate.versions.check.rule import Weight
from dbopsd.migrate.versions.check.rules import all_rules, changes_ledger
from dbopsd.migrate.versions.check.squawk import program
from dbopsd.migrate.versions.check.squawk_rules import EXCLUDED, KNOWN
from dbopsd.migrate.versions.model.reports import Finding, Severity
from tests.support.checked_statements import CASES, OUTSIDE

# These two are weighed by what the database has.
_OF_TABLES = frozenset({"references-locked-table", "reindex-partitioned"})


@pytest.mark.parametrize("transactional", [True, False])
def test_the_rules_find_what_they_are_about(transactional: bool) -> None:
    wrong = {}
    for text, expected in (CASES if transactional else OUTSIDE).items():
        rules = {each.rpartition(":")[0] for each in expected.split()} & all_rules().keys()
        found = {
            each["rule"]
            for each in inspect(text, transactional=transactional, ledger_schema="dbops")["matches"]
            if not (each["new"] and all_rules()[each["rule"]].weight is not Weight.ALWAYS)
        }
        if found - _OF_TABLES != rules - _OF_TABLES:
            wrong[text] = (found, rules)
    assert not wrong


def test_the_ledger_is_guarded_wherever_it_is() -> None:
    statement = "UPDATE {}migration_runs SET result = '' WHERE id = 1"
    for schema, named, guarded in (
        ("public", "", True),
        ("public", "public.", True),
        ("public", "dbops.", False),
        ("ops", "ops.", True),
        ("ops", "dbops.", False),
        ("ops", "", False),
    ):
        found = inspect(statement.format(named), transactional=True, ledger_schema=schema)
        assert [each["rule"] for each in found["matches"]] == ["changes-ledger"] * guarded


def test_every_relation_of_the_ledger_is_guarded() -> None:
    scripts = (Path(ledger.__file__).parent / "sql").glob("upgrade_to_*.sql")
    created = re.findall(
        r"^CREATE (?:TABLE IF NOT EXISTS|OR REPLACE VIEW) \{(\w+)\}",
        "\n".join(each.read_text() for each in scripts),
        re.MULTILINE,
    )
    assert set(created) == {*changes_ledger.TABLES, changes_ledger.VIEW}


def test_squawk_has_the_rules_that_are_known_of_it(tmp_path: Path) -> None:
    installed = program()
    assert installed is not None
    (tmp_path / "config.toml").write_text(f"excluded_rules = {json.dumps([*KNOWN, *EXCLUDED])}")
    (tmp_path / "1.sql").write_text("DROP TABLE t;")
    command = [installed, "--config", "config.toml", "--reporter", "json", "1.sql"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_every_rule_has_a_case_that_breaks_it() -> None:
    broken = {each.rpartition(":")[0] for found in CASES.values() for each in found.split()}
    assert all_rules().keys() <= broken


def test_a_rule_says_what_to_do_and_is_named_once() -> None:
    for name, rule in all_rules().items():
        assert rule.advice, name
        assert name not in KNOWN, name
        assert name not in EXCLUDED, name
        # What would fail or do harm for certain is not to be allowed.
        assert is_rule(name) is not bool(rule.problem), name


def test_what_blocks_says_where_and_how_to_go_on() -> None:
    findings = [
        Finding("truncate", severity, "default", "002_x.sql", "this empties t", "002", 3, 7)
        for severity in (Severity.WARNING, Severity.ERROR, Severity.ERROR)
    ]
    allowed = replace(findings[1], allowed="it is empty")
    assert blocking([findings[0], allowed]) == ()
    refuse("main", CheckResult((findings[0], allowed)))
    refuse("main", CheckResult(tuple(findings)), override="the board knows")
    with pytest.raises(FindingsBlock) as blocked:
        refuse("main", CheckResult((*findings, allowed)))
    assert blocked.value.message.startswith(
        "002_x.sql:3:7: this empties t (truncate), and 1 more: `dbops migrate check main`"
    )
    assert blocked.value.metadata["findings"] == "2"
