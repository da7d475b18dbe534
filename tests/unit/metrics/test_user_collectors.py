"""Files of users' collectors that are refused when the daemon starts."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from dbopsd.app.config_check import check_config
from dbopsd.config import Config, MetricsConfig
from dbopsd.errors import ConfigurationError
from dbopsd.metrics.errors import CollectorInvalid
from tests.support.user_collector_files import load_files, load_queries, user_collector

ONE = "SELECT 1 AS n"

WRONG = {
    "a name of ours": (
        {"mine": user_collector("mine", ONE).replace("mine_value", "pg_locks_count")},
        "declares pg_locks_count, which is a name of dbopsd's own",
    ),
    "a name of a source's": (
        {"mine": user_collector("mine", ONE).replace("mine_value", "pg_up")},
        "declares pg_up",
    ),
    "a name that rows make": (
        {"mine": user_collector("pg_settings_work_mem", ONE)},
        "declares pg_settings_work_mem_value",
    ),
    "a reserved prefix": ({"mine": user_collector("dbops_mine", ONE)}, "dbops_mine_value"),
    "the collector's name": ({"locks": user_collector("mine", ONE)}, "has the name of a collector"),
    "the same metric twice": (
        {"mine": user_collector("mine", ONE), "yours": user_collector("mine", ONE)},
        "declares mine_value, which mine.sql has already",
    ),
    "a label of the exposition's": (
        {"mine": user_collector("mine", ONE, labels='"server"')},
        "the label server is not for collectors",
    ),
    "a label twice": (
        {"mine": user_collector("mine", ONE, labels='"a", "a"')},
        "has the label 'a' twice",
    ),
    "a label of Prometheus's own": (
        {"mine": user_collector("mine", ONE, labels='"__name__"')},
        "'__name__' is no name of a label",
    ),
    "a family of ours": (
        {"mine": user_collector("mine", ONE).replace("mine_value", "pg_locks_count_total")},
        "declares pg_locks_count_total, which OpenMetrics does not tell from pg_locks_count",
    ),
    "one family twice": (
        {
            "mine": user_collector("mine", ONE).replace(
                "[metrics", '[metrics.mine_value_total]\nunit = "1"\nhelp = "x."\n[metrics'
            )
        },
        "does not tell from mine_value",
    ),
    "a NUL in a help": (
        {"mine": user_collector("mine", ONE).replace('help = "x."', r'help = "x\u0000"')},
        "help: Value error, has a line break or a control character",
    ),
    "too many labels": (
        {"mine": user_collector("mine", ONE, labels=", ".join(f'"l{n}"' for n in range(11)))},
        "more than 10 labels",
    ),
    "too many metrics": (
        {
            "mine": user_collector(
                "mine",
                ONE,
                "".join(f'[metrics.m{n}_value]\nunit = "1"\nhelp = "x."\n' for n in range(50)),
            )
        },
        "declares more than 50 metrics",
    ),
    "rows that name metrics": (
        {
            "mine": user_collector("mine", ONE, "rows_name_metrics = true").partition("[metrics")[0]
            + "*/\nSELECT 1"
        },
        "rows_name_metrics: is for the collectors of dbopsd only",
    ),
    "slices": (
        {"mine": user_collector("mine", ONE, "slice_rows = 10")},
        "slice_rows: is for the collectors of dbopsd only",
    ),
    "a long timeout": ({"mine": user_collector("mine", ONE, "timeout_s = 11")}, "is above 10"),
    "an unknown database": (
        {"mine": user_collector("mine", ONE, 'databases = ["man"]')},
        "there is no databases.man",
    ),
    "a column that ends a quote": (
        {"mine": user_collector("mine", ONE).replace('column = "n"', """column = 'n" %s'""")},
        "no name of a column",
    ),
    "no header": ({"mine": "SELECT 1"}, "does not begin with a /* comment */"),
    "a NUL": ({"mine": user_collector("mine", "SELECT 1 AS n\0")}, "has a NUL"),
    "too long": ({"mine": user_collector("mine", ONE + " " * 300_000)}, "longer than 256 KiB"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_named_with_what_is_wrong(case: str, tmp_path: Path) -> None:
    files, said = WRONG[case]
    with pytest.raises(CollectorInvalid, match=f"\\.sql: .*{said.replace('*', '[*]')}"):
        load_files(tmp_path / "own", files)


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    files = {f"own_{number}": user_collector(f"own_{number}", ONE) for number in range(201)}
    with pytest.raises(ConfigurationError, match="has 201 files; 200 at most"):
        load_files(tmp_path / "own", files)


def test_a_pipe_in_the_directory_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sql")
    with pytest.raises(CollectorInvalid, match=r"pipe\.sql: is no file"):
        load_files(tmp_path, {})


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"metrics\.collectors_dir.*No such file"):
        check_config(config(tmp_path, tmp_path / "gone"))


def test_collectors_without_a_role_are_refused() -> None:
    with pytest.raises(ValidationError, match="needs a role"):
        MetricsConfig.model_validate({"collectors_dir": "/tmp"})


def config(tmp_path: Path, directory: Path, **alerts: object) -> Config:
    return Config.model_validate(
        {
            "server": {"state_dir": tmp_path / "state"},
            "databases": {"main": {"dsn": "host=127.0.0.1"}},
            "metrics": {"collectors_dir": directory, "role": "reader"},
            "alerts": alerts,
        }
    )


def test_the_configuration_is_checked_with_them_and_rules_may_use_their_metrics(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own"
    load_queries(own, {"queue": ONE})
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[rules.QueueLong]\nexpr = "queue_value > 5"\nseverity = "warning"\n'
        'summary = "x"\nremedy = "x"\n'
    )
    check_config(config(tmp_path, own, rules_file=rules))
    (own / "queue.sql").write_text("SELECT 1")
    with pytest.raises(CollectorInvalid):
        check_config(config(tmp_path, own))
