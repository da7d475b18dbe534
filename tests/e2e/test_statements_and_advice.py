"""`dbops statements` and `dbops advice`, and their API, against a running daemon."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import psycopg
import pytest
from dbops.v1 import metrics_pb2, metrics_pb2_grpc
from dbops_client import (
    DbopsClient,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)

from dbopsd.config import TokenConfig
from dbopsd.security.token_file import append_token
from dbopsd.security.tokens import hash_token, new_token
from tests.e2e.conftest import Answer, database, run
from tests.support.daemon import Daemon
from tests.support.installations import DEFAULT_VERSION
from tests.support.patience import eventually_blocking
from tests.support.servers import PostgresServer, PostgresServers

TABLE = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE public.items (id int PRIMARY KEY, name text);
INSERT INTO public.items SELECT g, 'item' FROM generate_series(1, 100) g;
CREATE INDEX items_name ON public.items (name);
CREATE INDEX items_name_too ON public.items (name);
"""


@pytest.fixture(scope="module")
def server(servers: PostgresServers) -> Iterator[PostgresServer]:
    """A server whose statements are those of this module: a list of 1,000 has all of them."""
    made = servers.disposable(DEFAULT_VERSION)
    yield made
    servers.discard(made)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("auth") / "tokens.toml"


def add(tokens: Path, role: str) -> str:
    made = new_token()
    keys = {"hash": hash_token(made), "databases": {"main": role, "plain": role}}
    append_token(tokens, role.lower(), TokenConfig.model_validate(keys))
    return made


@pytest.fixture(scope="module")
def viewer(tokens: Path) -> str:
    return add(tokens, "VIEWER")


@pytest.fixture(scope="module")
def operator(tokens: Path) -> str:
    return add(tokens, "OPERATOR")


@pytest.fixture(scope="module")
def name(server: PostgresServer) -> Iterator[str]:
    made = server.create_database(TABLE, prefix="statements_")
    with psycopg.connect(server.dsn(dbname=made), autocommit=True) as connection:
        for number in range(5):
            connection.execute(f"SELECT name FROM public.items WHERE id = {number}")
    yield made
    server.drop_database(made)


@pytest.fixture(scope="module")
def daemon(
    server: PostgresServer, name: str, tokens: Path, viewer: str, operator: str
) -> Iterator[Daemon]:
    assert viewer != operator
    config = (
        f"[auth]\ntokens_file = '{tokens}'\n"
        + database("main", server.dsn(dbname=name))
        + database("plain", server.dsn(dbname="template1"))
        + "metrics.interval_s = 1\n"
    )
    with Daemon(config) as running:
        yield running.wait_until_serving()


def dbops(daemon: Daemon, token: str, *arguments: str, **environment: str) -> Answer:
    return run(
        "dbops", *arguments, DBOPS_SERVER=daemon.grpc_address, DBOPS_TOKEN=token, **environment
    )


def test_texts_and_plans_are_for_operators(
    daemon: Daemon, name: str, viewer: str, operator: str
) -> None:
    with DbopsClient(daemon.grpc_address, token=viewer) as client:
        found = client.statements.list("main", limit=1000).statements
        assert found
        assert {each.text for each in found} == {""}
        with pytest.raises(PermissionDeniedError):
            client.statements.explain("main", found[0].query_id)
    with DbopsClient(daemon.grpc_address, token=operator) as client:
        ours = [
            each
            for each in client.statements.list("main", order="calls", limit=1000).statements
            if each.postgres_database == name and each.text.startswith("SELECT name FROM")
        ]
        assert [each.figures.calls for each in ours] == [5]
        plan = client.statements.explain("main", ours[0].query_id)
        assert json.loads(plan.plan_json)[0]["Plan"]["Node Type"]
        assert "items" in plan.plan


def test_a_list_is_a_table_that_fits_the_terminal(daemon: Daemon, operator: str) -> None:
    answer = dbops(daemon, operator, "statements", "list", "main", "--limit", "5", COLUMNS="160")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert lines[0].startswith("since the statistics were reset")
    header = next(line for line in lines if "QUERY ID" in line)
    assert header.split()[:7] == ["QUERY", "ID", "CALLS", "TOTAL", "SHARE", "MEAN", "ROWS"]
    rows = [line for line in lines if re.match(r"-?[0-9]{5,}", line)]
    assert len(rows) == 5
    assert all(len(line) <= 160 for line in lines)
    assert any("%" in row and "█" in row for row in rows)
    narrow = dbops(daemon, operator, "statements", "list", "main", "--limit", "5", COLUMNS="80")
    assert all(len(line) <= 80 for line in narrow.out.splitlines())
    assert len([line for line in narrow.out.splitlines() if re.match(r"-?[0-9]{5,}", line)]) == 5


def test_json_is_the_response(daemon: Daemon, operator: str) -> None:
    answer = dbops(
        daemon, operator, *("statements", "list", "main", "--order", "mean", "--output", "json")
    )
    assert answer.code == 0
    found = answer.json()["statements"]  # type: ignore[index]
    assert len(found) == 20
    means = [float(each["figures"]["meanDuration"].rstrip("s")) for each in found]
    assert means == sorted(means, reverse=True)
    one = next(each for each in found if each["text"].startswith(("SELECT", "CREATE", "INSERT")))
    assert {"queryId", "role", "postgresDatabase", "text", "figures"} <= set(one)


def test_a_plan_is_shown_as_a_tree(daemon: Daemon, name: str, operator: str) -> None:
    with DbopsClient(daemon.grpc_address, token=operator) as client:
        query_id = next(
            each.query_id
            for each in client.statements.list("main", limit=1000).statements
            if each.postgres_database == name and each.text.startswith("SELECT name FROM")
        )
    answer = dbops(daemon, operator, "statements", "explain", "main", "--", query_id)
    assert (answer.code, answer.err) == (0, "")
    assert "SELECT name FROM public.items WHERE id = $1" in answer.out
    assert "cost=" in answer.out
    assert "not run" in answer.out


def test_without_the_extension_the_way_out_is_said(daemon: Daemon, operator: str) -> None:
    answer = dbops(daemon, operator, "statements", "list", "plain")
    assert answer.code == 3
    assert "CREATE EXTENSION pg_stat_statements" in answer.err
    assert "--running" in answer.err
    assert dbops(daemon, operator, "statements", "list", "plain", "--running").code == 0


def test_a_window_comes_from_what_the_daemon_recorded(
    daemon: Daemon, server: PostgresServer, name: str, operator: str
) -> None:
    with (
        DbopsClient(daemon.grpc_address, token=operator) as client,
        psycopg.connect(server.dsn(dbname=name), autocommit=True) as connection,
    ):

        def seen() -> bool:
            connection.execute("SELECT count(*) FROM public.items AS counted")
            try:
                found = client.statements.list("main", window_s=3600, limit=1000)
            except FailedPreconditionError:
                return False
            ours = [each for each in found.statements if "AS counted" in each.text]
            return bool(ours) and ours[0].figures.calls > 0 and found.window.ToSeconds() > 0

        eventually_blocking(seen, 60, "the history has two ticks of the statement")
    answer = dbops(daemon, operator, "statements", "list", "main", "--since", "1h")
    assert answer.code == 0
    assert "from the history of the daemon" in answer.out
    assert "not known: the change" in answer.out


def test_advice_is_listed_shown_and_never_applied(
    daemon: Daemon, server: PostgresServer, name: str, viewer: str
) -> None:
    answer = dbops(daemon, viewer, "advice", "list", "main")
    assert (answer.code, answer.err) == (0, "")
    assert "Drop public.items_name_too: items_name is the same" in answer.out
    assert "not judged: unused_index: the daemon has watched" in answer.out
    listed = dbops(daemon, viewer, *("advice", "list", "main", "--kind", "duplicate_index"))
    (advice_id,) = re.findall(r"duplicate-index-[0-9a-f]{12}", listed.out)
    shown = dbops(daemon, viewer, "advice", "show", "main", advice_id)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.rstrip().endswith("DROP INDEX CONCURRENTLY public.items_name_too;")
    assert "Gain: frees" in shown.out
    as_json = dbops(daemon, viewer, "advice", "show", "main", advice_id, "--output", "json").json()
    assert as_json["name"] == f"databases/main/advice/{advice_id}"  # type: ignore[index]
    assert as_json["sql"] == ["DROP INDEX CONCURRENTLY public.items_name_too"]  # type: ignore[index]
    seen = server.execute("SELECT 1 FROM pg_class WHERE relname = 'items_name_too'", dbname=name)
    assert seen == [(1,)]
    server.execute(as_json["sql"][0], dbname=name)  # type: ignore[index]
    gone = dbops(daemon, viewer, "advice", "show", "main", advice_id)
    assert gone.code == 3
    assert "(any more)" in gone.err


def test_advice_is_paged_and_names_are_checked(daemon: Daemon, viewer: str) -> None:
    with DbopsClient(daemon.grpc_address, token=viewer) as client:
        with pytest.raises(InvalidArgumentError, match="nonsense"):
            client.advice.list("main", kinds=["nonsense"])
        with pytest.raises(NotFoundError):
            client.advice.get("main", "duplicate-index-000000000000")
        whole = client.advice.list("main")
        assert [each.severity for each in whole.advice] == sorted(
            (each.severity for each in whole.advice), reverse=True
        )
        assert {each.kind for each in whole.gaps} >= {"unused_index"}
    stub = metrics_pb2_grpc.MetricsServiceStub
    sent = (("authorization", f"Bearer {viewer}"),)
    listed: list[str] = []
    with grpc.insecure_channel(daemon.grpc_address) as channel:
        request = metrics_pb2.ListAdviceRequest(parent="databases/main", page_size=2)
        while True:
            page = stub(channel).ListAdvice(request, metadata=sent)
            assert page.gaps
            listed += [each.name for each in page.advice]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
    assert listed == [each.name for each in whole.advice]
    assert len(listed) > 2
