"""Users' collectors: what they can do, and what hostile SQL in one cannot."""

import asyncio
import os
import re
import signal
import time
import tomllib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from dbopsd.config import MetricsConfig
from dbopsd.db.database import Database
from dbopsd.metrics.model import CollectorState
from dbopsd.metrics.sampling.user_collectors.load import UserCollector
from tests.integration.conftest import OpenDatabase
from tests.support.patience import eventually
from tests.support.sampling import COLLECTORS, Sampled, sampling
from tests.support.servers import PostgresServer
from tests.support.user_collector_files import load_files, load_queries, user_collector

SLOW = "stat_user_indexes"
BESIDE = [each for each in COLLECTORS if each.name in ("postmaster", SLOW)]
SCHEMA = """
CREATE TABLE public.orders (id int PRIMARY KEY, state text, placed timestamptz DEFAULT now());
INSERT INTO public.orders SELECT i, CASE WHEN i % 4 = 0 THEN 'open' ELSE 'done' END
FROM generate_series(1, 100) AS i;
CREATE TABLE public.secret (a int);
CREATE TABLE public.victim (a int);
INSERT INTO public.victim VALUES (1);
GRANT SELECT ON public.orders TO {role};
GRANT ALL ON public.victim TO {role};
-- As careless as they come: it runs as the superuser, and everybody may call it.
CREATE FUNCTION public.write() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS
$$ BEGIN DELETE FROM public.victim; RETURN 1; END $$;
CREATE FUNCTION public.write_as_caller() RETURNS int LANGUAGE plpgsql AS
$$ BEGIN DELETE FROM public.victim; RETURN 1; END $$;
CREATE FUNCTION public.escape(who text) RETURNS int LANGUAGE plpgsql AS
$$ BEGIN EXECUTE 'SET SESSION AUTHORIZATION ' || who; RETURN 1; END $$;
CREATE FUNCTION public.reset_and_read() RETURNS bigint LANGUAGE plpgsql AS
$$ BEGIN
  RESET ROLE; RESET SESSION AUTHORIZATION; RETURN (SELECT count(*) FROM public.secret);
END $$;
CREATE FUNCTION public.commit_it() RETURNS int LANGUAGE plpgsql AS
$$ BEGIN COMMIT; RETURN 1; END $$;
"""


@dataclass(frozen=True)
class Place:
    """A database with a role for collectors; the DSN's own role is a superuser."""

    database: Database
    dsn: str
    role: str
    password_file: Path

    def sampling(
        self, users: tuple[UserCollector, ...], **config: object
    ) -> AbstractAsyncContextManager[Sampled]:
        login = {"role": self.role, "role_password_file": self.password_file}
        return sampling(self.database, BESIDE, user_collectors=users, **{**login, **config})


@pytest.fixture
async def place(
    make_role: Callable[..., dict[str, str]],
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    tmp_path: Path,
) -> Place:
    # The role is asked for first, so that it is dropped after what depends on it.
    role = make_role()
    dsn = make_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA.replace("{role}", role["user"]).encode())
    password_file = tmp_path / "password"
    password_file.write_text(role["password"] + "\n")
    return Place(await open_database(dsn), dsn, role["user"], password_file)


DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


async def test_what_the_documentation_says_works(place: Place, tmp_path: Path) -> None:
    section = DOCS.read_text().partition("## Your own collectors")[2].partition("\n## ")[0]
    collector, create_role = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    ((toml,),) = [re.findall(r"```toml\n(.*?)```", section, re.DOTALL)]
    config = MetricsConfig.model_validate(tomllib.loads(toml)["metrics"])
    assert config.role == "dbops_collector"
    password = tmp_path / "collector.password"
    password.write_text("change me")
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute(create_role.encode())
        try:
            users = load_files(tmp_path / "own", {"shop": collector})
            login = {"role": config.role, "role_password_file": password}
            async with place.sampling(users, **login) as sampled:
                await eventually(sampled.all_ran)
                assert sampled.failures() == {}
                assert sampled.series("shop_orders") == {("open",): 25, ("done",): 75}
                assert len(sampled.series("shop_orders_oldest_age_seconds")) == 2
        finally:
            connection.execute("DROP OWNED BY dbops_collector; DROP ROLE dbops_collector")


@pytest.fixture
def superuser(postgres: PostgresServer) -> str:
    return str(postgres.execute("SELECT current_user")[0][0])


GOOD = """/*
about = "Orders by state."
every_s = 10
prefix = "shop_"
labels = ["state"]

[metrics.shop_orders]
unit = "{order}"
help = "Orders."

[metrics.shop_orders_oldest_age_seconds]
unit = "s"
help = "Age of the oldest order."

[metrics.shop_orders_any]
unit = "1"
help = "Whether there is one."
labels = []
*/
SELECT
  o.state || ' {%s} 100%%' AS state, -- a comment
  count(*) AS orders,
  extract(EPOCH FROM now() - min(o.placed)) AS orders_oldest_age_seconds,
  true AS orders_any
FROM public.orders AS o
GROUP BY o.state -- the end;
;"""


async def test_a_collector_of_ones_own_gives_metrics_as_its_header_says(
    place: Place, tmp_path: Path
) -> None:
    files = {
        "shop": GOOD,
        "connections": user_collector(
            "connections",
            "SELECT count(*) AS n FROM pg_stat_activity AS a"
            " WHERE a.application_name LIKE 'dbopsd-sampler-%'"
            " AND a.datname = current_database()",
        ),
        "elsewhere": user_collector("elsewhere", "SELECT 1 AS n", 'role = "standby"'),
    }
    async with place.sampling(load_files(tmp_path / "own", files)) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.failures() == {}
        orders = sampled.series("shop_orders")
        assert orders == {("open {%s} 100%%",): 25, ("done {%s} 100%%",): 75}
        assert all(
            0 <= age < 60 for age in sampled.series("shop_orders_oldest_age_seconds").values()
        )
        assert sampled.status("elsewhere").reason == "OTHER_ROLE"
        # Itself and the quick ones': the slow ones' has gone meanwhile.
        assert sampled.value("connections_value") == 2
        # They come back, and so do the users'.
        slow_at, own_at = (sampled.status(each).sampled_at or 0 for each in (SLOW, "shop"))
        await eventually(lambda: (sampled.status(SLOW).sampled_at or 0) > slow_at)
        await eventually(lambda: (sampled.status("connections").sampled_at or 0) > own_at + 4)
        assert sampled.value("connections_value") == 2


NO_ROLE_AND_READS = """
SELECT length(set_config('role', 'none', false)
  || query_to_xml('SELECT a FROM public.secret', true, true, '')::text) AS n
"""
HOSTILE = {
    # name: SQL and what the server or the collector says of it
    "commits": ("COMMIT", "syntax"),
    "drops": ("DROP TABLE public.victim", "syntax"),
    "two_statements": ("SELECT 1 AS n; DELETE FROM public.victim", "multiple commands"),
    "deletes": ("DELETE FROM public.victim RETURNING 1 AS n", "syntax"),
    "deletes_within": (
        "WITH d AS (DELETE FROM public.victim RETURNING 1 AS n) SELECT n FROM d",
        "top level",
    ),
    "selects_into": ("SELECT 1 AS n INTO public.made", "INTO"),
    "closes_the_bracket": (
        "SELECT 1 AS n) AS q LIMIT 1) AS b) AS n UNION ALL SELECT repeat('x', 1000000), 1 --",
        "syntax",
    ),
    "opens_a_comment": ("SELECT 1 AS n /*", "comment"),
    "locks_rows": ("SELECT a AS n FROM public.victim FOR UPDATE", "read-only"),
    "writes": ("SELECT public.write_as_caller() AS n", "read-only"),
    "writes_as_superuser": ("SELECT public.write() AS n", "read-only"),
    "writable": (
        "SELECT length(set_config('transaction_read_only', 'off', true)) AS n",
        "before any query",
    ),
    "commits_within": ("SELECT public.commit_it() AS n", "transaction termination"),
    "resets_and_reads": ("SELECT public.reset_and_read() AS n", "permission denied"),
    "no_role_and_reads": (NO_ROLE_AND_READS, "permission denied"),
    "becomes_superuser": (
        "SELECT length(set_config('role', '{superuser}', false)) AS n",
        "permission denied",
    ),
    "authorises_superuser": ("SELECT public.escape('{superuser}') AS n", "permission denied"),
    "reads": ("SELECT a AS n FROM public.secret", "permission denied"),
    "reads_a_file": ("SELECT length(pg_read_file('/etc/passwd')) AS n", "permission denied"),
    "sleeps": ("SELECT 1 AS n FROM pg_sleep(60)", "timeout"),
    "sleeps_on": (
        "SELECT length(set_config('statement_timeout', '0', false)) AS n FROM pg_sleep(60)",
        "timeout",
    ),
    "many_rows": ("SELECT i AS n FROM generate_series(1, 5000) AS i", "more than 1000 rows"),
    "no_number": ("SELECT now() AS n", "no number"),
    "long_number": ("SELECT repeat('9', 1000000) AS n", "longer than 64"),
    "no_column": ("SELECT 1 AS m", "does not exist"),
    "ends_its_session": ("SELECT pg_terminate_backend(pg_backend_pid())::int AS n", "terminating"),
}


async def test_hostile_sql_does_no_harm_and_holds_up_no_other(
    place: Place, superuser: str, tmp_path: Path, postgres: PostgresServer
) -> None:
    queries = {name: sql.replace("{superuser}", superuser) for name, (sql, _) in HOSTILE.items()}
    # Before and behind them all.
    queries |= {"a_good_one": "SELECT 1 AS n", "z_good_one": "SELECT 2 AS n"}
    large = {
        "long_label": "SELECT repeat('x', 1000000) AS k, 1 AS n",
        "many_bytes": "SELECT repeat('x', 200) || i AS k, 1 AS n FROM generate_series(1, 900) AS i",
    }
    labelled = {name: user_collector(name, sql, labels='"k"') for name, sql in large.items()}
    users = load_files(tmp_path / "own", labelled) + load_queries(tmp_path / "hostile", queries)
    async with place.sampling(users, collectors_max_size=64 * 1024) as sampled:
        await eventually(sampled.all_ran, 60)
        failures = {name: message for name, (_, message) in sampled.failures().items()}
        assert failures.keys() == HOSTILE.keys() | large.keys()
        for name, (_, said) in HOSTILE.items():
            assert said in failures[name], (name, failures[name])
        assert "longer than 256 characters" in failures["long_label"]
        assert "more than 65536 bytes" in failures["many_bytes"]
        assert sampled.value("a_good_one_value") == 1
        assert sampled.value("z_good_one_value") == 2
        assert sampled.status("postmaster").state is CollectorState.OK
    with psycopg.connect(place.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM public.victim").fetchone() == (1,)
        assert connection.execute("SELECT to_regclass('public.made')").fetchone() == (None,)


async def test_a_backend_that_hangs_has_no_other_beside_it(
    open_database: OpenDatabase,
    disposable_server: Callable[..., PostgresServer],
    tmp_path: Path,
) -> None:
    server = disposable_server()
    server.execute("CREATE ROLE reader LOGIN PASSWORD 'secret'")
    (tmp_path / "password").write_text("secret")
    ours = "FROM pg_stat_activity WHERE application_name LIKE 'dbopsd-sampler-%'"
    users = load_queries(tmp_path / "own", {"own": "SELECT 1 AS n FROM pg_sleep(0.8)"})
    login = {"role": "reader", "role_password_file": tmp_path / "password"}
    database = await open_database(server.dsn())
    async with sampling(database, BESIDE, user_collectors=users, **login) as sampled:

        def running() -> int | None:
            found = server.execute(f"SELECT pid {ours} AND usename = 'reader' AND state = 'active'")
            return found[0][0] if found else None  # type: ignore[return-value]

        hanging = await eventually(running, 30)
        os.kill(hanging, signal.SIGSTOP)
        try:
            await eventually(lambda: sampled.status("own").state is CollectorState.FAILED)
            assert "no answer" in sampled.status("own").message
            until = time.monotonic() + 4
            while time.monotonic() < until:
                # It and the quick ones', and none for the slow ones, whose place it has.
                assert server.execute(f"SELECT count(*) {ours}") in ([(1,)], [(2,)])
                await asyncio.sleep(0.1)
        finally:
            os.kill(hanging, signal.SIGCONT)
        slow_at = sampled.status(SLOW).sampled_at or 0
        await eventually(lambda: (sampled.status(SLOW).sampled_at or 0) > slow_at)


async def test_a_server_that_is_away_has_no_fresh_samples_and_they_come_back_with_it(
    open_database: OpenDatabase,
    disposable_server: Callable[..., PostgresServer],
    tmp_path: Path,
) -> None:
    server = disposable_server()
    server.execute("CREATE ROLE reader LOGIN PASSWORD 'secret'")
    (tmp_path / "password").write_text("secret")
    users = load_queries(tmp_path / "own", {"own": "SELECT 1 AS n"})
    login = {"role": "reader", "role_password_file": tmp_path / "password"}
    database = await open_database(server.dsn())
    async with sampling(database, BESIDE, user_collectors=users, **login) as sampled:
        await eventually(lambda: sampled.value("own_value") == 1)
        await asyncio.to_thread(server.stop)
        await eventually(lambda: sampled.status("own").state is CollectorState.FAILED)
        await eventually(lambda: sampled.value("own_value") is None, 40)
        assert sampled.status("own").message
        await asyncio.to_thread(server.start)
        await eventually(lambda: sampled.value("own_value") == 1)


async def test_the_role_may_be_that_of_the_dsn_if_it_is_harmless(
    make_role: Callable[..., dict[str, str]],
    open_database: OpenDatabase,
    make_database: Callable[..., str],
    tmp_path: Path,
) -> None:
    role = make_role()
    database = await open_database(make_database(**role))
    users = load_queries(tmp_path / "own", {"own": "SELECT 1 AS n"})
    async with sampling(database, BESIDE, user_collectors=users, role=role["user"]) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.value("own_value") == 1


@pytest.mark.parametrize("memberships", [["pg_execute_server_program"], ["pg_read_server_files"]])
async def test_a_role_that_can_do_harm_is_refused(
    place: Place,
    make_role: Callable[..., dict[str, str]],
    memberships: list[str],
    tmp_path: Path,
) -> None:
    role = make_role(*memberships)
    place.password_file.write_text(role["password"])
    users = load_queries(tmp_path / "own", {"own": "SELECT 1 AS n"})
    async with place.sampling(users, role=role["user"]) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.status("own").reason == "ROLE_REFUSED"
        assert f"member of {memberships[0]}" in sampled.status("own").message


async def test_the_superuser_of_the_dsn_and_who_can_become_one_are_refused(
    place: Place, superuser: str, make_role: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    users = load_queries(tmp_path / "own", {"own": "SELECT 1 AS n"})
    async with place.sampling(users, role=superuser) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.status("own").reason == "ROLE_REFUSED"
        assert "is a superuser" in sampled.status("own").message
    role = make_role(superuser)
    place.password_file.write_text(role["password"])
    async with place.sampling(users, role=role["user"]) as sampled:
        await eventually(sampled.all_ran)
        assert f"member of {superuser}" in sampled.status("own").message


async def test_a_role_that_cannot_log_in_leaves_the_other_collectors_alone(
    place: Place, tmp_path: Path
) -> None:
    users = load_queries(tmp_path / "own", {"own": "SELECT 1 AS n"})
    place.password_file.write_text("wrong")
    async with place.sampling(users) as sampled:
        await eventually(sampled.all_ran)
        assert sampled.status("own").state is CollectorState.FAILED
        assert place.role in sampled.status("own").message
        assert sampled.status(SLOW).state is CollectorState.OK
