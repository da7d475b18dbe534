"""Alerts of a running daemon: `dbops alerts`, over a restart, and what is refused at the start."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Answer, database, run
from tests.support.daemon import BIN, Daemon, clean_environment
from tests.support.dbops_command import check_config
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer

RULES = """
[rules.AlwaysThere]
expr = "pg_postmaster_start_time_seconds > {threshold}"
threshold = 1
severity = "warning"
summary = "the server was started at {value}"
remedy = "nothing has to be done about DB"
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "rules.toml"
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def config(rules: Path, server: PostgresServer) -> str:
    # The hook refuses connections.
    return f"""
        [alerts]
        interval_s = 1
        rules_file = "{rules}"

        [alerts.channels.hook]
        url = "json://127.0.0.1:9/alerts"
        min_severity = "critical"

        {database("main", server.dsn(), "metrics.interval_s = 1")}
    """


@pytest.fixture(scope="module")
def daemon(config: str) -> Iterator[Daemon]:
    with Daemon(config) as running:
        running.wait_until_serving()
        eventually_blocking(lambda: "AlwaysThere" in rules_of(running), 30, "the rule fires")
        yield running


def dbops(daemon: Daemon, *command: str) -> Answer:
    return run("dbops", "--server", daemon.grpc_address, "alerts", *command)


def listed(daemon: Daemon, *options: str) -> list[dict[str, Any]]:
    answer = dbops(daemon, "list", *options, "--output", "json")
    assert (answer.code, answer.err) == (0, "")
    return list(json.loads(answer.out).get("alerts", []))


def rules_of(daemon: Daemon, *options: str) -> list[str]:
    return [each["rule"] for each in listed(daemon, *options)]


def test_an_alert_is_listed_with_its_remedy(daemon: Daemon) -> None:
    (alert,) = [each for each in listed(daemon, "main") if each["rule"] == "AlwaysThere"]
    assert alert["database"] == "databases/main"
    assert (alert["state"], alert["severity"]) == ("FIRING", "WARNING")
    assert alert["remedy"] == "nothing has to be done about main"
    table = dbops(daemon, "list")
    assert "AlwaysThere" in table.out
    assert "→ nothing has to be done about main" in table.out
    assert rules_of(daemon, "--state", "pending") == []
    assert dbops(daemon, "list", "none").code == 3


def test_an_alert_is_silenced_and_unsilenced(daemon: Daemon) -> None:
    command = ("AlwaysThere", "--for", "2h", "--reason", "a test", "--database", "main")
    checked = dbops(daemon, "silence", *command, "--validate-only")
    assert checked.code == 0
    assert dbops(daemon, "silences").out.strip() == "Nothing is silenced."
    made = dbops(daemon, "silence", *command, "--output", "json")
    assert (made.code, made.err) == (0, "")
    name = json.loads(made.out)["name"].removeprefix("silences/")
    assert rules_of(daemon, "--state", "silenced") == ["AlwaysThere"]
    assert rules_of(daemon, "--state", "firing") == []
    assert f"silenced: {name}" in dbops(daemon, "list").out
    shown = dbops(daemon, "silences").out
    assert name in shown
    assert "a test" in shown
    assert dbops(daemon, "unsilence", name).code == 0
    assert rules_of(daemon, "--state", "firing") == ["AlwaysThere"]
    assert dbops(daemon, "unsilence", name).code == 3
    refused = dbops(daemon, "silence", "Nothing", "--for", "2h", "--reason", "r")
    assert refused.code == 3
    assert "is no rule" in refused.err
    assert dbops(daemon, "silence", "AlwaysThere", "--for", "soon", "--reason", "r").code == 2


def test_changes_are_watched(daemon: Daemon) -> None:
    command = [BIN / "dbops", "--server", daemon.grpc_address, "alerts", "watch", "main"]
    with subprocess.Popen(
        [*command, "--output", "json"],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as watching:
        assert watching.stdout is not None
        try:
            first = json.loads(watching.stdout.readline())
            assert (first["rule"], first["state"]) == ("AlwaysThere", "FIRING")
            dbops(daemon, "silence", "*", "--for", "5s", "--reason", "r")
            assert json.loads(watching.stdout.readline())["state"] == "SILENCED"
            # It ends by itself.
            assert json.loads(watching.stdout.readline())["state"] == "FIRING"
        finally:
            watching.terminate()


def test_a_channel_that_takes_nothing_is_said(daemon: Daemon) -> None:
    answer = dbops(daemon, "test", "--output", "json")
    assert answer.code == 1
    (result,) = json.loads(answer.out)["results"]
    assert (result["channel"], result["delivered"]) == ("hook", False)
    assert "127.0.0.1" in result["message"]
    table = dbops(daemon, "test", "hook")
    assert table.code == 1
    assert "no" in table.out
    assert "there are hook" in dbops(daemon, "test", "other").err


def test_a_killed_daemon_forgets_no_alert_and_no_silence(config: str, tmp_path: Path) -> None:
    with Daemon(config, state_dir=tmp_path) as first:
        first.wait_until_serving()
        eventually_blocking(lambda: "AlwaysThere" in rules_of(first), 30, "the rule fires")
        (before,) = listed(first)
        eventually_blocking((tmp_path / "metrics" / "alerts.json").exists, 30, "it is written")
        dbops(first, "silence", "AlwaysThere", "--for", "2h", "--reason", "r")
        first.kill()
    with Daemon(config, state_dir=tmp_path) as second:
        second.wait_until_serving()
        eventually_blocking(lambda: "AlwaysThere" in rules_of(second), 30, "it is there again")
        (after,) = listed(second)
        assert after["fireTime"] == before["fireTime"]
        assert after["state"] == "SILENCED"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ('[alerts]\nrules_file = "/nowhere/rules.toml"\n', "/nowhere/rules.toml: cannot be read"),
        ("[alerts.rules.Nothing]\nenabled = false\n", "unknown rule"),
        ('[alerts.channels.c]\nurl = "file:///etc/passwd"\n', "the scheme 'file' is not allowed"),
        ('[alerts.channels.c]\nurl_file = "/nowhere/url"\n', "url_file '/nowhere/url'"),
        ("[alerts.channels.c]\n", "needs url or url_file"),
        ('[alerts.channels.c]\nurl = "json://h"\ndatabases = ["x"]\n', "no database here"),
    ],
)
def test_what_cannot_be_is_refused_at_the_start(tmp_path: Path, wrong: str, problem: str) -> None:
    path = tmp_path / "dbopsd.toml"
    path.write_text(f'[server]\nstate_dir = "{tmp_path}"\n{wrong}', encoding="utf-8")
    answer = check_config(path)
    assert answer.code == 2
    assert problem in answer.err
