"""Advice about real schemas: what must be advised, what must not, and that its SQL ends it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.errors import InvalidField
from dbopsd.metrics.advice.adviser import THRESHOLDS, Adviser, Judged
from dbopsd.metrics.advice.errors import AdviceNotFound
from dbopsd.metrics.advice.finding import Confidence, Finding, Severity
from dbopsd.metrics.advice.rule import load_rules
from dbopsd.metrics.advice.usage.recorder import UsageRecorder
from dbopsd.metrics.on_demand import OnDemand
from tests.integration.conftest import OpenDatabase
from tests.support.replication import ReplicationPair
from tests.support.servers import PostgresServer, PostgresServers

TRAPS = (Path(__file__).parent / "advice_traps.sql").read_text()
RULES = load_rules()
# What depends on the server and its configuration, not on a schema.
OF_SERVERS = {"settings", "checksums_off", "extension_outdated", "invalid_database", "unused_slot"}
KINDS = {kind for each in RULES for kind in each.header.kinds}
SCHEMA_KINDS = sorted(KINDS - OF_SERVERS)
DAY_S = 86_400
# What is worth advice about tables that a test can fill.
SMALL = {"table_bloat_bytes": 2**20, "index_bloat_bytes": 2**17, "scanned_table_bytes": 0}


class Given:
    """A record of use as the daemon would have it."""

    def __init__(self, use: Mapping[str, Any]) -> None:
        self._use = use

    async def use_of(self, database: str) -> Mapping[str, Any]:
        return self._use


def adviser(database: Database, use: Mapping[str, Any] | None = None, **thresholds: Any) -> Adviser:
    return Adviser(
        OnDemand({"main": database}), RULES, Given(use or {}), (), {**THRESHOLDS, **thresholds}
    )


async def judged(database: Database, *kinds: str, **how: Any) -> Judged:
    return await adviser(database, **how).list("main", kinds)


async def about(database: Database, *kinds: str, **how: Any) -> dict[tuple[str, str], Finding]:
    """The findings by kind and object. Each kind was judged, but for what needs a record."""
    found = await judged(database, *kinds, **how)
    assert {each.reason for each in found.gaps} <= {"HISTORY_SHORT"}, found.gaps
    return {(each.kind, each.object): each for each in found.findings}


def apply(dsn: str, finding: Finding) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in finding.sql:
            connection.execute(statement.encode())


def run(dsn: str, *statements: str) -> None:
    """Each by itself, in a session that has ended, and so has sent what it counted."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def oid(dsn: str, name: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT %s::regclass::oid::text", (name,)).fetchone()
    assert row is not None
    return str(row[0])


@pytest.fixture
def dsn(make_database: Callable[..., str], postgres: PostgresServer) -> str:
    # Nothing in it needs the extension, which PostgreSQL 16's wheel has not.
    extension = "create extension if not exists btree_gist;"
    return make_database(TRAPS if postgres.has_contrib else TRAPS.replace(extension, ""))


@pytest.fixture
async def database(open_database: OpenDatabase, dsn: str) -> Database:
    return await open_database(dsn)


async def test_the_traps_have_the_right_verdicts_and_no_others(
    database: Database, dsn: str
) -> None:
    found = await about(database, *SCHEMA_KINDS)
    assert {key: each.confidence.name for key, each in found.items()} == {
        ("fk_without_index", "public.child (p_plain)"): "LOW",
        ("fk_without_index", "public.child (p_partial_bad)"): "LOW",
        ("fk_without_index", "public.child (p_second)"): "LOW",
        ("redundant_index", "public.t_a"): "HIGH",
        ("duplicate_index", "public.t_a2"): "HIGH",
        ("redundant_index", "public.t_h"): "HIGH",
        ("redundant_index", "public.t_b"): "LOW",
        ("redundant_index", "public.part_id"): "HIGH",
        ("no_primary_key", "public.nopk"): "HIGH",
        ("sequence_near_end", "public.queue_seq_id_seq"): "HIGH",
        ("sequence_near_end", "public.big_seq"): "HIGH",
    }
    assert "t_ab" in found["redundant_index", "public.t_a"].title
    assert "t_incl" in found["redundant_index", "public.t_b"].not_known[0]
    assert found["sequence_near_end", "public.big_seq"].severity is Severity.CRITICAL
    assert all(each.evidence and each.gain and each.risk for each in found.values())
    # The most serious first, then what is sure.
    ranks = [(-each.severity, -each.confidence) for each in found.values()]
    assert ranks == sorted(ranks)

    again = await about(database, *SCHEMA_KINDS)
    assert {each.id for each in again.values()} == {each.id for each in found.values()}
    assert len({each.id for each in found.values()}) == len(found)
    for each in found.values():
        assert await adviser(database).get("main", each.id) == each
        apply(dsn, each)
    left = await about(database, *SCHEMA_KINDS)
    assert set(left) == {("no_primary_key", "public.nopk")}, left
    with pytest.raises(AdviceNotFound):
        await adviser(database).get("main", found["redundant_index", "public.t_a"].id)


async def test_kinds_are_chosen_and_unknown_ones_refused(database: Database) -> None:
    found = await judged(database, "duplicate_index")
    assert {each.kind for each in found.findings} == {"duplicate_index"}
    assert found.gaps == []
    with pytest.raises(InvalidField, match="duplicate_indices"):
        await judged(database, "duplicate_indices")
    for wrong in ("", "duplicate-index", "duplicate-index-000000000000", "x-000000000000", "../x"):
        with pytest.raises(AdviceNotFound):
            await adviser(database).get("main", wrong)


async def test_nothing_is_applied_and_no_relation_is_locked(
    database: Database, dsn: str, postgres: PostgresServer
) -> None:
    with psycopg.connect(dsn) as locking:
        locking.execute("LOCK TABLE public.t, public.child, public.part IN ACCESS EXCLUSIVE MODE")
        found = await judged(database, *SCHEMA_KINDS)
        assert {each.reason for each in found.gaps} == {"HISTORY_SHORT"}, found.gaps
        assert "public.t_a" in {each.object for each in found.findings}
    name = database.dsn.postgres_database
    words = {
        each.text.strip().split()[0].upper()
        for each in postgres.statements_logged("dbopsd-on-demand", database=name)
    }
    assert words <= {"SELECT", "WITH", "BEGIN", "COMMIT", "ROLLBACK"}, words


HOSTILE_SCHEMA = """we"ird 'schema' %s"""
HOSTILE = """ta"ble\n'; DROP TABLE public.victim; -- %(x)s {y} \\ $1"""


def quoted(*parts: str) -> str:
    return psycopg.sql.Identifier(*parts).as_string()


@pytest.fixture
def hostile(make_database: Callable[..., str]) -> str:
    """A database in which each name is an attack."""
    schema, table = quoted(HOSTILE_SCHEMA), quoted(HOSTILE_SCHEMA, HOSTILE)
    column = quoted(HOSTILE[:60])
    dsn = make_database()
    run(
        dsn,
        "CREATE TABLE public.victim (id int PRIMARY KEY)",
        f"CREATE SCHEMA {schema}",
        f"CREATE TABLE {schema}.parent (id int PRIMARY KEY)",
        f"CREATE TABLE {table} ({column} int REFERENCES {schema}.parent, b int NOT NULL) "
        "WITH (autovacuum_enabled = false)",
        f"CREATE INDEX {quoted('i' + HOSTILE)} ON {table} (b)",
        f"CREATE UNIQUE INDEX {quoted('u' + HOSTILE)} ON {table} (b)",
        f"CREATE SEQUENCE {quoted(HOSTILE_SCHEMA, 's' + HOSTILE)} AS smallint START 1",
        f"SELECT setval({psycopg.sql.Literal(quoted(HOSTILE_SCHEMA, 's' + HOSTILE)).as_string()}"
        ", 32000)",
        f"INSERT INTO {schema}.parent SELECT generate_series(1, 3)",
        f"INSERT INTO {table} SELECT 1, generate_series(1, 2000)",
    )
    return dsn


async def test_hostile_names_are_quoted(open_database: OpenDatabase, hostile: str) -> None:
    database = await open_database(hostile)
    found = await about(database, *SCHEMA_KINDS)
    assert {kind for kind, _ in found} == {
        *("redundant_index", "fk_without_index", "no_primary_key", "sequence_near_end"),
        *("autovacuum_off_table", "missing_statistics"),
    }
    for each in found.values():
        assert each.sql, each
        apply(hostile, each)
    assert set(await about(database, *SCHEMA_KINDS)) == set()
    assert oid(hostile, "public.victim")


FILL = """
CREATE TABLE public.small (id int PRIMARY KEY, a int);
INSERT INTO public.small SELECT g, g FROM generate_series(1, 500) g;
UPDATE public.small SET a = a + 1;
CREATE TABLE public.toast_only (id int PRIMARY KEY, a text) WITH (toast.autovacuum_enabled = false);
CREATE TABLE public.with_on (id int PRIMARY KEY) WITH (autovacuum_enabled = true);
CREATE TABLE public.off (id int PRIMARY KEY, a int) WITH (autovacuum_enabled = false);
CREATE TABLE public.changed (id int PRIMARY KEY, a int)
  WITH (autovacuum_vacuum_threshold = 1000000000);
CREATE TABLE public.bloated (id int PRIMARY KEY, a text)
  WITH (autovacuum_vacuum_threshold = 1000000000);
CREATE TABLE public.loose (id int PRIMARY KEY, a text) WITH (fillfactor = 10);
CREATE TABLE public.keys (id int PRIMARY KEY);
CREATE TABLE public.low_keys (id int PRIMARY KEY);
CREATE SEQUENCE public.down AS smallint INCREMENT -1; SELECT setval('public.down', -30000);
CREATE SEQUENCE public.narrow MAXVALUE 1000; SELECT setval('public.narrow', 950);
CREATE SEQUENCE public.wide MAXVALUE 1000; SELECT setval('public.wide', 500);
CREATE TABLE public.part (id int, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
CREATE TABLE public.part_1 PARTITION OF public.part FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
  WITH (autovacuum_enabled = true);
CREATE UNLOGGED TABLE public.staging (a int);
CREATE TABLE public.full_identity (a int); ALTER TABLE public.full_identity REPLICA IDENTITY FULL;
CREATE TABLE public.twins (id int PRIMARY KEY, a int);
INSERT INTO public.twins VALUES (1, 1), (2, 1);
CREATE INDEX left_ccnew1 ON public.twins (a);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.left_ccnew1'::regclass;
INSERT INTO public.off SELECT g, g FROM generate_series(1, 3000) g;
UPDATE public.off SET a = a + 1;
INSERT INTO public.changed SELECT g, g FROM generate_series(1, 3000) g;
UPDATE public.changed SET a = a + 1;
INSERT INTO public.bloated SELECT g, repeat('x', 20) FROM generate_series(1, 40000) g;
INSERT INTO public.loose SELECT g, repeat('x', 20) FROM generate_series(1, 6000) g;
INSERT INTO public.keys SELECT 2147480000 + g FROM generate_series(1, 300) g;
INSERT INTO public.low_keys SELECT g FROM generate_series(1, 300) g;
INSERT INTO public.part SELECT g, '2024-03-01' FROM generate_series(1, 3000) g;
DELETE FROM public.bloated WHERE id % 20 <> 0;
"""


@pytest.fixture
def filled(make_database: Callable[..., str]) -> str:
    dsn = make_database()
    run(dsn, FILL)
    run(
        dsn,
        "VACUUM ANALYZE public.bloated, public.loose, public.keys, public.low_keys, public.twins",
        "ANALYZE public.small, public.changed, public.part_1",
    )
    with psycopg.connect(dsn, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY failed ON public.twins (a)")
        connection.execute("DELETE FROM public.twins WHERE id = 2")
    return dsn


async def test_each_situation_is_advised_and_what_looks_like_it_is_not(
    open_database: OpenDatabase, filled: str
) -> None:
    database = await open_database(filled)
    off, bloated = oid(filled, "public.off"), oid(filled, "public.bloated")
    seen = {"dead": 3000, "age_s": 2 * DAY_S, "scans": 0, "read": 0}
    use = {"tables": {off: seen, bloated: {**seen, "dead": 0}}}
    kinds = [each for each in SCHEMA_KINDS if each not in ("unused_index", "seq_scans")]
    found = await about(database, *kinds, use=use, **SMALL)
    assert set(found) == {
        ("autovacuum_off_table", "public.off"),
        ("never_vacuumed", "public.changed"),
        ("vacuum_overdue", "public.off"),
        ("missing_statistics", "public.off"),
        ("missing_statistics", "public.part"),
        ("bloat_table", "public.bloated"),
        ("bloat_index", "public.bloated_pkey"),
        ("integer_key", "public.keys (id)"),
        ("sequence_near_end", "public.down"),
        ("sequence_near_end", "public.narrow"),
        ("invalid_index", "public.failed"),
        ("invalid_index", "public.left_ccnew1"),
        ("no_primary_key", "public.full_identity"),
    }
    assert found["no_primary_key", "public.full_identity"].severity is Severity.INFO
    # Rows that died only now are autovacuum's next work, and no worry.
    fresh = {"tables": {off: {**seen, "dead": 0}}}
    assert await about(database, "vacuum_overdue", use=fresh, **SMALL) == {}
    for kind in ("bloat_table", "bloat_index", "integer_key"):
        (estimate,) = [each for (of, _), each in found.items() if of == kind]
        assert estimate.confidence is Confidence.LOW
    assert "partitioned" in found["missing_statistics", "public.part"].title
    for each in found.values():
        apply(filled, each)
    left = await about(database, *kinds, use=use, **SMALL)
    assert set(left) == {("no_primary_key", "public.full_identity")}, left


async def test_an_index_that_is_being_built_is_left_alone(
    open_database: OpenDatabase, filled: str
) -> None:
    database = await open_database(filled)
    with psycopg.connect(filled) as building:
        # As CREATE INDEX CONCURRENTLY holds it to its end.
        building.execute("LOCK TABLE public.twins IN SHARE UPDATE EXCLUSIVE MODE")
        assert await about(database, "invalid_index") == {}
    assert len(await about(database, "invalid_index")) == 2


async def test_old_transaction_ids_name_the_holder_of_the_horizon(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    dsn = make_database(
        "CREATE TABLE public.old (id int PRIMARY KEY) WITH (autovacuum_freeze_max_age = 100000);"
        "CREATE TABLE public.young (id int PRIMARY KEY);"
    )
    database = await open_database(dsn)
    with psycopg.connect(dsn) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT 1 FROM pg_catalog.pg_class")
        run(
            dsn,
            "DO $$ BEGIN FOR n IN 1..100100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; "
            "END $$",
        )
        found = await about(database, "vacuum_overdue")
        assert ("vacuum_overdue", "public.young") not in found
        old = found["vacuum_overdue", "public.old"]
        (named,) = [each.value for each in old.evidence if each.name == "horizon_holder"]
        assert f"session {holder.info.backend_pid}" in named
        assert any("holder" in each for each in old.not_known)
        # With the holder there, VACUUM cannot do it.
        apply(dsn, old)
        assert ("vacuum_overdue", "public.old") in await about(database, "vacuum_overdue")
    apply(dsn, old)
    assert ("vacuum_overdue", "public.old") not in await about(database, "vacuum_overdue")


@pytest.fixture
def used(make_database: Callable[..., str]) -> str:
    """Tables that are read from end to end, and indexes that nothing searches."""
    return make_database(
        """
        CREATE TABLE public.parent (id int PRIMARY KEY);
        CREATE TABLE public.read (id int PRIMARY KEY, a int, b int, c int, p int REFERENCES parent);
        INSERT INTO public.read SELECT g, g, g, g FROM generate_series(1, 12000) g;
        CREATE INDEX idle ON public.read (a);
        CREATE INDEX recent ON public.read (b);
        CREATE INDEX on_standby ON public.read ((a + b));
        CREATE UNIQUE INDEX enforces ON public.read (c);
        CREATE INDEX for_key ON public.read (p);
        CREATE TABLE public.part (id int, a int, d date) PARTITION BY RANGE (d);
        CREATE TABLE public.part_1 PARTITION OF part
          FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE public.part_2 PARTITION OF part
          FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        CREATE INDEX part_idle ON public.part (id);
        CREATE INDEX part_used ON public.part (a);
        ANALYZE public.read;
        """
    )


async def test_unused_indexes_are_judged_by_the_daemons_own_record(
    open_database: OpenDatabase, used: str
) -> None:
    database = await open_database(used)
    long = {"quiet_s": 31 * DAY_S, "elsewhere": False}
    names = {
        **dict.fromkeys(("idle", "enforces", "for_key", "part_1_id_idx", "part_2_id_idx"), long),
        **dict.fromkeys(("read_pkey", "part_1_a_idx"), long),
        "part_2_a_idx": {"quiet_s": 2 * DAY_S, "elsewhere": False},
        "recent": {"quiet_s": 29 * DAY_S, "elsewhere": False},
        "on_standby": {**long, "elsewhere": True},
    }
    indexes = {oid(used, f"public.{name}"): record for name, record in names.items()}
    use = {"watched_s": 40 * DAY_S, "standbys": 0, "indexes": indexes}
    found = await judged(database, "unused_index", use=use, unused_index_bytes=0)
    assert [each.object for each in found.findings] == ["public.idle", "public.part_idle"]
    assert found.gaps == []
    assert "31 days" in found.findings[0].title
    assert found.findings[0].confidence is Confidence.HIGH
    # A small index that costs no writes is not worth it.
    assert (await judged(database, "unused_index", use=use)).findings == []
    for each in found.findings:
        apply(used, each)
    assert (await judged(database, "unused_index", use=use, unused_index_bytes=0)).findings == []


async def test_without_thirty_days_of_record_it_is_said(
    open_database: OpenDatabase, used: str
) -> None:
    database = await open_database(used)
    for use in ({}, {"watched_s": 3 * DAY_S, "standbys": 0, "indexes": {}}):
        found = await judged(database, "unused_index", use=use, unused_index_bytes=0)
        assert found.findings == []
        assert [each.reason for each in found.gaps] == ["HISTORY_SHORT"]


async def test_tables_read_from_end_to_end_are_named_after_a_day(
    open_database: OpenDatabase, used: str
) -> None:
    database = await open_database(used)
    run(used, *["SELECT count(*) FROM public.read WHERE a > 0"] * 110)
    record = {"dead": 0, "age_s": 2 * DAY_S, "scans": 0, "read": 0}
    table = oid(used, "public.read")
    found = await about(database, "seq_scans", use={"tables": {table: record}}, **SMALL)
    assert set(found) == {("seq_scans", "public.read")}
    assert found["seq_scans", "public.read"].sql == ()
    young = {"tables": {table: {**record, "age_s": 3600}}}
    assert await about(database, "seq_scans", use=young, **SMALL) == {}
    few = {"tables": {table: {**record, "scans": 60}}}
    assert await about(database, "seq_scans", use=few, **SMALL) == {}
    # What reads a few rows and stops is no scan of it all.
    short = {"tables": {table: {**record, "read": 110 * 12000 - 5000}}}
    assert await about(database, "seq_scans", use=short, **SMALL) == {}


async def test_without_privileges_it_is_said_what_was_not_judged(
    open_database: OpenDatabase,
    dsn: str,
    filled: str,
    make_role: Callable[..., dict[str, str]],
) -> None:
    role = make_role()
    database = await open_database(psycopg.conninfo.make_conninfo(dsn, **role))
    found = await judged(database)
    assert "public.t_a" in {each.object for each in found.findings}
    gaps = {each.kind: each.message for each in found.gaps}
    assert "GRANT SELECT" in gaps["sequence_near_end"]
    await database.close()
    database = await open_database(psycopg.conninfo.make_conninfo(filled, **role))
    gaps = {each.kind: each.message for each in (await judged(database, **SMALL)).gaps}
    assert "pg_read_all_data" in gaps["bloat_table"]
    assert "public.bloated" in gaps["bloat_table"]
    await database.close()


async def test_a_standby_says_what_only_the_primary_knows(
    open_database: OpenDatabase, replication_pair: ReplicationPair
) -> None:
    pair = replication_pair
    pair.primary.execute("CREATE TABLE public.t (a int); CREATE INDEX x ON public.t (a)")
    pair.wait_until_caught_up()
    standby = await open_database(pair.standby.dsn(), min_size=0)
    found = await judged(standby)
    assert ("no_primary_key", "public.t") in {(each.kind, each.object) for each in found.findings}
    gaps = {each.kind: each.reason for each in found.gaps}
    assert gaps["unused_index"] == "OTHER_ROLE"
    assert gaps["vacuum_overdue"] == "OTHER_ROLE"
    assert set(gaps.values()) <= {"OTHER_ROLE", "SERVER_ELSEWHERE"}
    await standby.close()
    # On the primary it is said that the standby's searches are not known.
    primary = await open_database(pair.primary.dsn(), min_size=0)
    use = {
        "watched_s": 40 * DAY_S,
        "standbys": 0,
        "indexes": {oid(pair.primary.dsn(), "public.x"): {"quiet_s": 31 * DAY_S}},
    }
    (unused,) = (await judged(primary, "unused_index", use=use, unused_index_bytes=0)).findings
    assert unused.confidence is Confidence.LOW
    assert "standby" in unused.not_known[0]
    known = {**use, "standbys": 1}
    (unused,) = (await judged(primary, "unused_index", use=known, unused_index_bytes=0)).findings
    assert unused.confidence is Confidence.HIGH
    await primary.close()


@pytest.fixture
def own_server(servers: PostgresServers, postgres: PostgresServer) -> Iterator[PostgresServer]:
    made = servers.disposable(
        postgres.version,
        {"wal_level": "logical", "track_io_timing": False, "work_mem": "1GB", "autovacuum": False},
    )
    yield made
    servers.discard(made)


async def test_servers_and_settings(
    open_database: OpenDatabase, own_server: PostgresServer
) -> None:
    own_server.execute("CREATE DATABASE broken")
    own_server.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'broken'")
    own_server.execute("SELECT pg_create_logical_replication_slot('left', 'pgoutput')")
    own_server.execute("CREATE TABLE public.t (a text); INSERT INTO t VALUES (repeat('x', 10000))")
    database = await open_database(own_server.dsn(), min_size=0)
    kinds = OF_SERVERS - {"extension_outdated"}
    found = await about(database, *kinds, slot_bytes=100)
    settings = {name for kind, name in found if kind == "settings"}
    assert {"fsync", "full_page_writes", "track_io_timing", "work_mem", "autovacuum"} <= settings
    assert {"shared_buffers", "idle_in_transaction_session_timeout"} <= settings
    assert "checkpoint_completion_target" not in settings
    assert ("invalid_database", "broken") in found
    assert ("unused_slot", '"left"') in found or ("unused_slot", "left") in found
    assert await about(database, "unused_slot") == {}
    for each in found.values():
        apply(own_server.dsn(), each)
    left = await about(database, *kinds, slot_bytes=100)
    # What takes effect at a restart says so.
    assert {name for kind, name in left if kind == "settings"} == {"shared_buffers (pending)"}
    assert {kind for kind, _ in left} <= {"settings", "checksums_off"}
    await database.close()


async def test_expressions_and_predicates_count(
    open_database: OpenDatabase, make_database: Callable[..., str]
) -> None:
    dsn = make_database(
        """
        CREATE TABLE public.e (id int PRIMARY KEY, a text, b text, c int);
        CREATE INDEX lower_a ON public.e (lower(a));
        CREATE INDEX lower_a_too ON public.e (lower (  a ));
        CREATE INDEX lower_b ON public.e (lower(b));
        CREATE INDEX lower_a_c ON public.e (lower(a), c);
        CREATE INDEX part_c ON public.e (c) WHERE b IS NOT NULL;
        CREATE INDEX part_c_too ON public.e (c)   WHERE   b IS NOT NULL;
        CREATE INDEX part_other ON public.e (c) WHERE a IS NOT NULL;
        CREATE INDEX hash_c ON public.e USING hash (c);
        CREATE INDEX hash_c_too ON public.e USING hash (c);
        CREATE TABLE public.u (id int PRIMARY KEY, a int, b int);
        CREATE INDEX wide ON public.u (a, b);
        CREATE UNIQUE INDEX narrow ON public.u (a);
        CREATE TABLE public.parent (x int, y int, PRIMARY KEY (x, y));
        CREATE TABLE public.child (
          id int PRIMARY KEY, x int, y int, FOREIGN KEY (x, y) REFERENCES parent
        );
        CREATE INDEX both_keys ON public.child (y, x) WHERE x IS NOT NULL AND y IS NOT NULL;
        """
    )
    found = await about(await open_database(dsn), *SCHEMA_KINDS)
    assert set(found) == {
        ("duplicate_index", "public.lower_a_too"),
        ("redundant_index", "public.lower_a"),
        ("duplicate_index", "public.part_c_too"),
        ("duplicate_index", "public.hash_c_too"),
    }


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_days(self, days: float) -> None:
        self.now += days * DAY_S


async def test_a_month_of_looks_makes_the_advice(
    open_database: OpenDatabase, used: str, tmp_path: Path
) -> None:
    database = await open_database(used)
    on_demand, clock = OnDemand({"main": database}), Clock()
    usage = UsageRecorder(on_demand, ["main"], tmp_path / "use.db", unused_days=30, clock=clock)
    asked = Adviser(on_demand, RULES, usage, (), {**THRESHOLDS, "unused_index_bytes": 0})

    async def unused() -> set[str]:
        return {each.object for each in (await asked.list("main", ["unused_index"])).findings}

    await usage.look("main")
    clock.pass_days(29)
    await usage.look("main")
    assert await unused() == set()
    run(used, "SET enable_seqscan = off", "SELECT * FROM public.read WHERE b = 5")
    run(used, "SET enable_seqscan = off; SELECT * FROM public.read WHERE b = 5")
    await usage.look("main")
    clock.pass_days(2)
    await usage.look("main")
    expected = {"public.idle", "public.on_standby", "public.part_idle", "public.part_used"}
    assert await unused() == expected
    assert (await asked.list("main", ["unused_index"])).gaps == []
    # A reset of the statistics begins the month anew.
    run(used, "SELECT pg_stat_reset()")
    await usage.look("main")
    assert await unused() == set()
    assert [each.reason for each in (await asked.list("main", ["unused_index"])).gaps] == [
        "HISTORY_SHORT"
    ]


async def test_growth_of_a_day_is_judged_with_days_left(
    open_database: OpenDatabase, used: str, tmp_path: Path
) -> None:
    run(
        used,
        "CREATE SEQUENCE public.narrow MAXVALUE 1000",
        "SELECT setval('public.narrow', 800)",
        "ALTER TABLE public.read SET (autovacuum_enabled = false)",
        "UPDATE public.read SET c = -c",
    )
    database = await open_database(used)
    on_demand, clock = OnDemand({"main": database}), Clock()
    usage = UsageRecorder(on_demand, ["main"], tmp_path / "use.db", unused_days=30, clock=clock)
    asked = Adviser(on_demand, RULES, usage, (), {**THRESHOLDS, "scanned_table_bytes": 0})
    kinds = ["seq_scans", "vacuum_overdue", "sequence_near_end"]
    await usage.look("main")
    assert (await asked.list("main", kinds)).findings == []
    run(used, *["SELECT count(*) FROM public.read WHERE a > 0"] * 110)
    run(used, "SELECT setval('public.narrow', 900)")
    clock.pass_days(1)
    await usage.look("main")
    found = {each.kind: each for each in (await asked.list("main", kinds)).findings}
    assert set(found) == set(kinds)
    assert found["vacuum_overdue"].object == "public.read"
    left = {each.name: each.value for each in found["sequence_near_end"].evidence}
    # 100 a day, and 100 are left.
    assert left["days_left"] == "1"


async def test_an_old_extension_is_named(
    open_database: OpenDatabase, servers: PostgresServers, postgres_version: int
) -> None:
    # PostgreSQL 16's wheel has no extensions: 17 stands in for it.
    server = servers.shared(17 if postgres_version == 16 else postgres_version)
    name = server.create_database()
    dsn = server.dsn(dbname=name)
    run(dsn, "CREATE EXTENSION pg_stat_statements VERSION '1.9'")
    database = await open_database(dsn)
    found = await about(database, "extension_outdated")
    assert set(found) == {("extension_outdated", "pg_stat_statements")}
    apply(dsn, found["extension_outdated", "pg_stat_statements"])
    assert await about(database, "extension_outdated") == {}
    await database.close()
    server.drop_database(name)


async def test_forced_checkpoints_of_a_day_ask_for_more_wal(
    open_database: OpenDatabase, own_server: PostgresServer
) -> None:
    view = "pg_stat_checkpointer" if own_server.version >= 17 else "pg_stat_bgwriter"
    database = await open_database(own_server.dsn(), min_size=0)

    async def advised(age_s: float) -> set[str]:
        record = {"timed": 0, "requested": 0, "age_s": age_s}
        found = await about(
            database, "settings", use={"checkpoints": record}, window_hours=age_s / 3600
        )
        return {name for _, name in found} & {"max_wal_size"}

    for _ in range(12):
        own_server.execute("CHECKPOINT")
    assert own_server.execute(f"SELECT count(*) FROM {view}") == [(1,)]
    # What was counted before the configuration was loaded says nothing of it.
    assert await advised(3600) == set()
    assert await advised(0.001) == {"max_wal_size"}
    (found,) = [
        each
        for (_, name), each in (
            await about(
                database,
                "settings",
                use={"checkpoints": {"timed": 0, "requested": 0, "age_s": 0.001}},
                window_hours=0,
            )
        ).items()
        if name == "max_wal_size"
    ]
    apply(own_server.dsn(), found)
    record = {"timed": 0, "requested": 0, "age_s": 3600.0}
    left = await about(database, "settings", use={"checkpoints": record}, window_hours=1)
    assert "max_wal_size" not in {name for _, name in left}
    await database.close()
