"""Alerts reach a receiver once, while daemons of one cluster are killed and their server fails."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import database, run
from tests.support.controlurl import as_url
from tests.support.daemon import Daemon
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer
from tests.support.webhook import Webhook

RULES = """
[rules.Off]
expr = "pg_postmaster_start_time_seconds > 1"
severity = "warning"
summary = "it is there"
remedy = "nothing"
"""
TAKEOVER_S = 3


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as running:
        yield running


def config_of(watched: str, hook: Webhook, rules: Path | None = None) -> str:
    own = f'rules_file = "{rules}"' if rules else ""
    return f"""
        [alerts]
        interval_s = 1
        group_wait_s = 0
        {own}

        [alerts.rules.DatabaseDown]
        for_s = 1

        [alerts.channels.hook]
        url = "{hook.url}"

        [operations]
        heartbeat_s = 0.5
        takeover_after_s = {TAKEOVER_S}

        {database("main", watched, "metrics.interval_s = 1")}
    """


def alerts(daemon: Daemon) -> dict[str, str]:
    answer = run(
        *("dbops", "--server", daemon.grpc_address, "alerts", "list", "main", "--state", "all"),
        *("--output", "json"),
    )
    assert answer.code == 0, answer.err
    found: list[dict[str, Any]] = json.loads(answer.out).get("alerts", [])
    return {each["rule"]: each["state"] for each in found}


def of_rule(hook: Webhook, rule: str) -> list[str]:
    """What was told of a rule: `FIRING` or `RESOLVED`, in order."""
    return [title.split("]")[0][1:].split()[0] for title in hook.titles if rule in title]


def test_a_server_that_fails_is_told_once_by_a_cluster_whose_daemons_are_killed(
    disposable_server: Callable[..., PostgresServer], postgres: PostgresServer, hook: Webhook
) -> None:
    watched = disposable_server()
    control = {
        "control_url": as_url(postgres.dsn(dbname=postgres.create_database(prefix="fault_")))
    }
    config = config_of(watched.dsn(), hook)
    with Daemon(config, server=control) as first, Daemon(config, server=control) as second:
        for daemon in (first, second):
            daemon.wait_until_serving()
        watched.pause()
        try:
            for daemon in (first, second):
                eventually_blocking(
                    lambda daemon=daemon: alerts(daemon).get("DatabaseDown") == "FIRING",  # type: ignore[misc]
                    60,
                    "it is seen to be down",
                )
            eventually_blocking(
                lambda: of_rule(hook, "DatabaseDown") == ["FIRING"], 30, "it is told"
            )
            # Whichever told of it: the other one goes on.
            first.kill()
            with Daemon(config, server=control) as third:
                third.wait_until_serving()
                eventually_blocking(
                    lambda: alerts(third).get("DatabaseDown") == "FIRING", 60, "it sees it, too"
                )
                second.kill()
                eventually_blocking(
                    lambda: (
                        "duties/alerts is held here" in third.log_text()
                        or "duties/alerts is taken over" in third.log_text()
                    ),
                    30,
                    "the last one tells from now on",
                )
                watched.resume()
                eventually_blocking(
                    lambda: of_rule(hook, "DatabaseDown") == ["FIRING", "RESOLVED"],
                    60,
                    "it is told to be over",
                )
                assert third.terminate() == 0
        finally:
            watched.resume()
    assert of_rule(hook, "DatabaseDown") == ["FIRING", "RESOLVED"]


def test_a_message_outlives_the_daemon_that_could_not_send_it(
    postgres: PostgresServer, hook: Webhook, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES, encoding="utf-8")
    config = config_of(postgres.dsn(), hook, rules)
    state_dir = tmp_path / "state"
    hook.status = 503
    with Daemon(config, state_dir=state_dir) as first:
        first.wait_until_serving()
        eventually_blocking(lambda: hook.asked >= 1, 60, "it is tried")
        first.kill()
    assert hook.messages == []
    hook.status = 200
    with Daemon(config, state_dir=state_dir) as second:
        second.wait_until_serving()
        eventually_blocking(lambda: of_rule(hook, "Off") == ["FIRING"], 60, "it is told after all")
        assert "s3cret" not in second.log_text()
        assert second.terminate() == 0
    with Daemon(config, state_dir=state_dir) as third:
        third.wait_until_serving()
        eventually_blocking(lambda: alerts(third).get("Off") == "FIRING", 30, "it still fires")
        tested = run("dbops", "--server", third.grpc_address, "alerts", "test")
        assert tested.code == 0
    # The message of the test, and no other.
    assert hook.titles[-1] == "dbopsd: test"
    assert of_rule(hook, "Off") == ["FIRING"]
