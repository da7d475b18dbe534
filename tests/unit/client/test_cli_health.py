"""`dbops health` and `dbops databases list`, against a played server."""

import json

import pytest
from dbops.v1 import health_pb2
from google.protobuf import json_format

from tests.unit.client.messages import Database, check, database, health


@pytest.fixture
def two_databases(played):
    """`main` is well, `shop` is not."""
    played.databases = [
        database("main"),
        database("shop", Database.UNHEALTHY, hosts=[], embedded=True, server_version=""),
    ]
    played.healths = {
        "databases/main": health(
            checks=[
                check("replication_lag", unit="s", value=0.0123, warning_threshold=30),
                check("disk", unit="By", value=5 * 1024**3),
                check(
                    "connections",
                    unit="1",
                    value=0.5,
                    warning_threshold=0.8,
                    critical_threshold=1,
                    message="10 of 20",
                ),
            ]
        ),
        "databases/shop": health(
            "shop",
            Database.UNHEALTHY,
            "refused: start [the server]\x1b[31m",
            age_s=None,
            server_role=None,
            server_version="",
        ),
    }


def row(output, first_word):
    """The cells of the line that starts with `first_word`."""
    (line,) = (line for line in output.splitlines() if line.split()[:1] == [first_word])
    return [cell for cell in line.strip().split("  ") if cell.strip()]


@pytest.mark.usefixtures("two_databases")
def test_one_database_is_shown_with_its_checks(dbops):
    result = dbops("health", "main")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == (
        "main  HEALTHY  primary, PostgreSQL 18.6, answered 400 ms ago"
    )
    cells = [cell.strip() for cell in row(result.stdout, "connections")]
    assert cells == ["connections", "HEALTHY", "50.0 %", "80.0 %", "100.0 %", "400 ms", "10 of 20"]
    cells = [cell.strip() for cell in row(result.stdout, "replication_lag")]
    assert cells == ["replication_lag", "HEALTHY", "12.3 ms", "30 s", "-", "400 ms"]
    assert "5.0 GiB" in result.stdout


def test_a_narrow_terminal_shows_messages_whole_and_the_unwell_first(played, dbops):
    played.databases = [database("main")]
    unwell = check(
        "storage",
        Database.DEGRADED,
        unit="1",
        value=0.85,
        warning_threshold=0.8,
        reason="STORAGE_NEAR_FULL",
        message="most of its disk is used",
    )
    well = check("connections", unit="1", value=0.5, warning_threshold=0.8, message="10 of 20")
    played.healths = {"databases/main": health(checks=[well, unwell])}
    output = dbops("health", env={"COLUMNS": "80"}).output
    lines = [line for line in output.splitlines() if line.startswith(("storage", "connections"))]
    assert [line.split()[0] for line in lines] == ["storage", "connections"]
    assert "STORAGE_NEAR_FULL: most" in lines[0]
    assert "WARNING" not in output
    assert max(len(line) for line in output.splitlines()) <= 80


@pytest.mark.usefixtures("two_databases")
def test_all_databases_are_shown_and_one_that_fails_counts(dbops):
    result = dbops("health")
    assert result.exit_code == 1
    assert "main  HEALTHY" in result.stdout
    assert "shop  UNHEALTHY  role unknown, version unknown, never answered" in result.stdout


@pytest.mark.usefixtures("two_databases")
def test_a_servers_text_is_neither_markup_nor_terminal_control(dbops):
    result = dbops("health", "shop")
    assert "refused: start [the server] [31m\n" in result.stdout


@pytest.mark.parametrize(
    ("state", "exit_code"),
    [
        (Database.HEALTHY, 0),
        (Database.DEGRADED, 0),
        (Database.UNHEALTHY, 1),
        (Database.UNKNOWN, 1),
        (Database.STATE_UNSPECIFIED, 1),
        (17, 1),  # of a newer server
    ],
)
@pytest.mark.parametrize("output", ["table", "json"])
def test_the_exit_code_is_the_state(played, dbops, state, exit_code, output):
    played.healths["databases/main"] = health(state=state)
    assert dbops("health", "main", "--output", output).exit_code == exit_code


@pytest.mark.usefixtures("two_databases")
def test_json_of_one_database_is_the_response_and_nothing_else(played, dbops):
    result = dbops("health", "main", "--output", "json")
    sent = played.healths["databases/main"]
    assert json_format.Parse(result.stdout, health_pb2.DatabaseHealth()) == sent
    assert '"serverVersion": "18.6"' in result.stdout


@pytest.mark.usefixtures("two_databases")
def test_json_of_all_databases_is_an_array(played, dbops):
    result = dbops("health", "--output", "json")
    assert result.exit_code == 1
    parsed = [
        json_format.ParseDict(each, health_pb2.DatabaseHealth())
        for each in json.loads(result.stdout)
    ]
    assert parsed == list(played.healths.values())


@pytest.mark.usefixtures("two_databases")
def test_databases_are_listed(dbops):
    result = dbops("databases", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    cells = [cell.strip() for cell in row(result.stdout, "main")]
    assert cells == ["main", "HEALTHY", "primary", "18.6", "app", "db1.example:5432"]
    assert "app (embedded)" in result.stdout


def test_json_of_the_list_holds_all_pages(played, dbops):
    played.databases = [database(f"db{n:03}") for n in range(250)]
    result = dbops("databases", "list", "--output", "json")
    parsed = json_format.Parse(result.stdout, health_pb2.ListDatabasesResponse())
    assert list(parsed.databases) == played.databases
    assert len(played.calls) == 3


@pytest.mark.parametrize("command", [["health"], ["databases", "list"]])
@pytest.mark.parametrize("watch", [[], ["--watch"]])
def test_no_database_is_said_to_people_and_is_valid_json(dbops, command, watch):
    assert dbops(*command, *watch).stdout == "The daemon monitors no database.\n"
    if not watch:
        json.loads(dbops(*command, "--output", "json").stdout)
