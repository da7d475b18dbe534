"""`dbops backup create` as people and scripts call it: on a terminal, without waiting, twice."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.backup_site import BackupSite, backup_site
from tests.unit.client.terminal import TerminalSession

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def site() -> Iterator[BackupSite]:
    # Slow enough to be seen on its way.
    with backup_site(rate_limit="8MB", wal="off") as found:
        found.sql("CREATE TABLE numbers (number int PRIMARY KEY)")
        yield found


def test_a_terminal_shows_bytes_rate_and_the_time_left(site: BackupSite) -> None:
    terminal = TerminalSession("--server", site.daemon.grpc_address, "backup", "create")
    try:
        terminal.wait_for("create-backup main: copy")
        terminal.wait_for(" left")
        code, out, _ = terminal.end()
    finally:
        terminal.close()
    assert code == 0
    assert "COMPLETE" in out
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.shown)
    amount, rate = r"\d+(\.\d+)? MiB", r"\d+(\.\d+)? MiB/s"
    assert re.search(rf"copy .*{amount} of {amount}, {rate}, \d+(\.\d+)? m?s left", drawn), drawn


def test_an_operation_that_is_not_awaited_is_watched_later(site: BackupSite) -> None:
    answer = site.dbops("create", "--no-wait", "--label", "later")
    assert answer.code == 0
    name = answer.out.strip()
    assert re.fullmatch(r"operations/\S+", name)
    watched = site.run("operations", "watch", name, "--output", "json")
    assert watched.code == 0, watched.err
    states = [json.loads(line) for line in watched.out.splitlines()]
    assert states[-1]["response"]["label"] == "later"
    assert {each["name"] for each in states} == {name}
    begun = json.loads(site.dbops("create", "--no-wait", "--output", "json").out)
    assert begun["name"].startswith("operations/")
    assert site.run("operations", "watch", begun["name"]).code == 0


def test_the_same_request_twice_is_one_backup(site: BackupSite) -> None:
    asked = ("create", "--request-id", "nightly-2026-11-30", "--label", "once")
    first, second = site.json(*asked), site.json(*asked)
    assert first == second
    listed = site.json("list")["backups"]
    assert [each["name"] for each in listed if each["label"] == "once"] == [first["name"]]
