"""Dumps of real databases: taken, read back, damaged, interrupted, and restored."""

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.commit import CommitRecord, write_commit
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.codec.errors import BackupDamaged
from dbopsd.backup.create_backup import create_backup
from dbopsd.backup.logical.errors import (
    DumpedTableNotFound,
    DumpFailed,
    LogicalRestoreFailed,
    TablesExist,
)
from dbopsd.backup.model.reports import RestoreReport
from dbopsd.backup.model.requests import (
    CreateBackupRequest,
    Depth,
    RecoveryTarget,
    RestoreBackupRequest,
    VerifyBackupsRequest,
)
from dbopsd.backup.restore_backup import clean_up, restore_backup
from dbopsd.backup.scratch_room import ScratchTooSmall
from dbopsd.backup.store.errors import StoreError
from dbopsd.backup.verify_backups import verify_backups
from dbopsd.db.database import Database
from dbopsd.db.errors import ConnectFailed
from dbopsd.errors import DbopsError, InvalidField
from dbopsd.operations.kind import Completed
from tests.support.backed_up import backed_up, repository_of
from tests.support.daemon import ROOT
from tests.support.failing_store import FOR_EVER, Fault, Faults, stores_that_fail
from tests.support.operation_run import OperationRun
from tests.support.patience import eventually
from tests.support.servers import PostgresServer, PostgresServers

SHOP = r"""
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE SCHEMA "my app";
CREATE TABLE users (id serial PRIMARY KEY, mood mood, name text UNIQUE);
INSERT INTO users (mood, name)
SELECT 'glad', E'line\n\\.\nuser ' || i FROM generate_series(1, 500) i;
CREATE TABLE "my app"."odd ""name" (id int REFERENCES users (id), note text);
CREATE INDEX odd_note ON "my app"."odd ""name" (note);
INSERT INTO "my app"."odd ""name" SELECT i, NULLIF(md5(i::text), '') FROM generate_series(1, 300) i;
CREATE TABLE nothing (id int);
CREATE TABLE days (day int, what text) PARTITION BY RANGE (day);
CREATE TABLE days_low PARTITION OF days FOR VALUES FROM (0) TO (50);
CREATE TABLE days_high PARTITION OF days FOR VALUES FROM (50) TO (100);
INSERT INTO days SELECT i, 'day ' || i FROM generate_series(0, 99) i;
CREATE VIEW glad AS SELECT name FROM users WHERE mood = 'glad';
CREATE UNLOGGED TABLE cache (id int);
INSERT INTO cache SELECT generate_series(1, 7);
SELECT lo_from_bytea(4711, '\x00ff00');
"""
ROWS = {
    ("my app", 'odd "name'): 300,
    ("public", "cache"): 7,
    ("public", "days_high"): 50,
    ("public", "days_low"): 50,
    ("public", "nothing"): 0,
    ("public", "users"): 500,
}


@dataclass
class Shop:
    """A database with a store for its dumps."""

    server: PostgresServer
    database: Database
    directory: Path
    dbname: str
    operations: int = 0

    def run(self) -> OperationRun:
        self.operations += 1
        return OperationRun(self.database, self.directory, f"op-{self.operations}")

    async def dump(self, *tables: str, **fields: Any) -> CommitRecord:
        request = CreateBackupRequest(kind=BackupKind.LOGICAL, tables=tables, **fields)
        described = await create_backup(self.run(), request)
        (backup,) = [each for each in await self.backups() if described.name.endswith(each.id)]
        assert backup.record is not None
        return backup.record

    async def restore(self, dbname: str, *tables: str, **fields: Any) -> RestoreReport:
        request = RestoreBackupRequest(dbname=dbname, tables=tables, **fields)
        return await restore_backup(self.run(), request)

    async def backups(self) -> list[Backup]:
        async with repository_of(self.database) as repository:
            return [
                backup
                for system in await repository.systems()
                for backup in (await repository.catalog(system)).backups
            ]

    def query(self, text: str, dbname: str = "") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.dsn(dbname=dbname or self.dbname), autocommit=True) as own:
            cursor = own.execute(text)
            return cursor.fetchall() if cursor.description else []

    def databases(self) -> set[str]:
        return {str(name) for (name,) in self.query("SELECT datname FROM pg_database")}

    def content(self, dbname: str = "") -> dict[tuple[str, str], list[tuple[Any, ...]]]:
        """All rows of all tables."""
        tables = self.query(
            "SELECT relnamespace::regnamespace::text, relname, oid::regclass::text FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace >= 16384 OR relname IN"
            " ('users', 'nothing', 'days_low', 'days_high', 'cache') AND relkind = 'r'",
            dbname,
        )
        return {
            (schema.strip('"'), name): self.query(f"SELECT * FROM {quoted} ORDER BY 1", dbname)
            for schema, name, quoted in tables
        }

    def scratch(self) -> list[Path]:
        return list((self.directory / "scratch").iterdir())


@pytest.fixture
def new_name(postgres: PostgresServer) -> Iterator[Callable[[], str]]:
    """Names of databases on the shared server, which are dropped after the test."""
    made = []

    def make() -> str:
        made.append(f"fault_{uuid.uuid4().hex[:12]}")
        return made[-1]

    yield make
    for name in made:
        postgres.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextlib.asynccontextmanager
async def open_shop(server: PostgresServer, dbname: str, directory: Path) -> AsyncIterator[Shop]:
    server.execute(f'CREATE DATABASE "{dbname}"')
    with psycopg.connect(server.dsn(dbname=dbname), autocommit=True) as own:
        own.execute(SHOP)
    dsn = server.dsn(dbname=dbname)
    async with backed_up(server, directory, dsn=dsn, codec="zstd:1") as database:
        yield Shop(server, database, directory, dbname)


@pytest.fixture
async def shop(
    postgres: PostgresServer, new_name: Callable[[], str], tmp_path: Path
) -> AsyncIterator[Shop]:
    async with open_shop(postgres, new_name(), tmp_path) as shop:
        yield shop


async def round_trip(shop: Shop, copy: str) -> None:
    record = await shop.dump(label="nightly")
    assert record.kind is BackupKind.LOGICAL
    assert record.dbname == shop.dbname
    assert record.label == "nightly"
    assert record.row_counts is not None
    assert {(each.schema, each.table): each.rows for each in record.row_counts.tables} == ROWS
    before = shop.content()

    report = await shop.restore(copy)
    assert shop.content(copy) == before
    assert "public.users: 500 rows" in report.tables
    assert report.chain == (f"databases/main/backups/{record.id}",)
    assert shop.query("SELECT count(*) FROM glad", copy) == [(500,)]
    assert shop.query("SELECT lo_get(4711)", copy) == [(b"\x00\xff\x00",)]
    assert shop.query("INSERT INTO users (mood) VALUES ('sad') RETURNING id", copy) == [(501,)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        shop.query("""INSERT INTO "my app"."odd ""name" VALUES (9999, 'x')""", copy)
    assert shop.scratch() == []


async def test_a_dump_comes_back_as_it_was(shop: Shop, new_name: Callable[[], str]) -> None:
    await round_trip(shop, new_name())


async def test_a_dump_of_17_comes_back_as_it_was(servers: PostgresServers, tmp_path: Path) -> None:
    server = servers.disposable(17)
    try:
        async with open_shop(server, "shop", tmp_path) as shop:
            await round_trip(shop, "copy")
    finally:
        servers.discard(server)


async def test_a_dump_of_the_schema_comes_back_empty_and_stands_for_no_rows(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    shop.query("CREATE MATERIALIZED VIEW gladdest AS SELECT name FROM glad")
    full = await shop.dump()
    record = await shop.dump(schema_only=True)
    assert (record.schema_only, record.row_counts, record.format) == (True, None, 2)
    assert [each.name for each in record.streams] == ["toc.dat"]
    assert (full.schema_only, full.format) == (False, 1)
    assert (await verify_backups(shop.run(), VerifyBackupsRequest(depth=Depth.CONTENTS))).ok

    copy, rows = new_name(), new_name()
    asked = RestoreBackupRequest(backup_id=record.id, dbname=copy)
    plan = await restore_backup(shop.run(), replace(asked, dry_run=True))
    report = await restore_backup(shop.run(), asked)
    for each in (plan, report):
        assert each.schema_only
        assert each.instructions[2].startswith("The backup holds the schema alone")
        assert set(each.tables) == {f"{s}.{t}: no rows" for s, t in (*ROWS, ("public", "days"))}
    assert shop.content(copy) == {table: [] for table in shop.content()}
    assert shop.query("INSERT INTO users (mood) VALUES ('sad') RETURNING id", copy) == [(1,)]
    assert shop.query("SELECT count(*) FROM pg_largeobject_metadata", copy) == [(0,)]
    assert shop.query("SELECT relispopulated FROM pg_class WHERE relname = 'gladdest'", copy) == [
        (False,)
    ]

    # Whoever names no backup wants rows.
    assert (await shop.restore(rows, dry_run=True)).chain == (f"databases/main/backups/{full.id}",)
    only_schema = await shop.dump("users", schema_only=True)
    with pytest.raises(TablesExist):
        await restore_backup(shop.run(), RestoreBackupRequest(backup_id=only_schema.id))
    async with repository_of(shop.database) as repository:
        layout = repository.layout(full.system_identifier)
        await repository.store.delete(layout.commit(full.id))
    with pytest.raises(InvalidField, match="there is no dump with rows"):
        await shop.restore(rows, "users")
    assert rows not in shop.databases()


async def test_what_is_committed_during_a_dump_is_in_neither_rows_nor_counts(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    written = 0

    async def write() -> None:
        nonlocal written
        async with await psycopg.AsyncConnection.connect(
            shop.server.dsn(dbname=shop.dbname), autocommit=True
        ) as own:
            while True:
                await own.execute("INSERT INTO nothing SELECT generate_series(1, 10)")
                await own.execute("DELETE FROM users WHERE id = (SELECT max(id) FROM users)")
                written += 10

    writing = asyncio.create_task(write())
    try:
        await eventually(lambda: written > 50)
        record = await shop.dump()
    finally:
        writing.cancel()
        await asyncio.wait([writing])
    assert record.row_counts is not None
    rows = {each.table: each.rows for each in record.row_counts.tables}
    assert 50 <= rows["nothing"] < written
    assert rows["users"] in (500 - rows["nothing"] // 10, 501 - rows["nothing"] // 10)
    copy = new_name()
    await shop.restore(copy)
    assert shop.query("SELECT count(*) FROM nothing", copy) == [(rows["nothing"],)]


async def test_tables_are_dumped_alone_with_their_partitions(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    record = await shop.dump("days", '"my app"."odd ""name"')
    assert record.tables == ("public.days", 'my app.odd "name')
    assert record.row_counts is not None
    assert [each.table for each in record.row_counts.tables] == [
        'odd "name',
        "days_high",
        "days_low",
    ]
    copy = new_name()
    await shop.restore(copy, "days", "days_low", "days_high")
    assert shop.query("SELECT count(*), sum(day) FROM days", copy) == [(100, 4950)]
    for missing in ("users_", "my app.users", "glad", "pg_catalog.nothing", "x; DROP TABLE users"):
        with pytest.raises(DumpedTableNotFound):
            await shop.dump(missing)
    assert [each.id for each in await shop.backups()] == [record.id]


async def test_one_table_comes_back_with_all_that_is_its_own(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    await shop.dump()
    copy = new_name()
    report = await shop.restore(copy, "users")
    assert report.tables == ("public.users: 500 rows",)
    assert shop.content(copy) == {("public", "users"): shop.content()["public", "users"]}
    indexes = "SELECT indexname FROM pg_indexes WHERE schemaname IN ('public', 'my app') ORDER BY 1"
    assert shop.query(indexes, copy) == [("users_name_key",), ("users_pkey",)]
    assert shop.query("INSERT INTO users (mood) VALUES ('sad') RETURNING id", copy) == [(501,)]
    # Into what is there already: its schema comes along, a reference to what stays does not.
    await shop.restore(copy, 'my app.odd "name')
    assert shop.query('SELECT count(*) FROM "my app"."odd ""name"', copy) == [(300,)]
    assert ("odd_note",) in shop.query(indexes, copy)
    assert shop.query("SELECT conname FROM pg_constraint WHERE contype = 'f'", copy) == []
    both = new_name()
    await shop.restore(both, "users", 'my app.odd "name')
    assert len(shop.query("SELECT conname FROM pg_constraint WHERE contype = 'f'", both)) == 1
    for missing in ("no", "other.users"):
        with pytest.raises((DumpedTableNotFound, InvalidField)):
            await shop.restore(new_name(), missing)


async def test_a_table_that_exists_is_refused_and_untouched(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    record = await shop.dump()
    shop.query("UPDATE users SET name = 'changed' WHERE id = 1")
    before = shop.content()
    for tables in ((), ("users",), ("days",)):
        for dry_run in (True, False):
            with pytest.raises(TablesExist, match="already, and nothing was restored"):
                await shop.restore(shop.dbname, *tables, dry_run=dry_run)
    # One of several is enough.
    other = new_name()
    shop.server.execute(f"CREATE DATABASE {other}")
    shop.query("CREATE TABLE nothing (mine text)", other)
    with pytest.raises(TablesExist, match=r"public\.nothing"):
        await shop.restore(other)
    assert shop.query("SELECT count(*) FROM pg_class WHERE relname = 'users'", other) == [(0,)]
    assert shop.content() == before
    # Without a name it is where the dump came from.
    with pytest.raises(TablesExist, match=shop.dbname):
        await restore_backup(shop.run(), RestoreBackupRequest(backup_id=record.id))


async def test_a_dry_run_creates_nothing(shop: Shop, new_name: Callable[[], str]) -> None:
    await shop.dump()
    copy = new_name()
    report = await shop.restore(copy, "users", dry_run=True)
    assert report.dry_run
    assert report.tables == ("public.users: 500 rows",)
    assert copy not in shop.databases()


async def test_owners_and_rights_are_not_restored_whether_or_not_their_roles_exist(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    role = f"role_{uuid.uuid4().hex[:12]}"
    shop.server.execute(f"CREATE ROLE {role}")
    shop.query(f"ALTER TABLE users OWNER TO {role}; GRANT ALL ON nothing TO {role}")
    await shop.dump()
    shop.query(f"ALTER TABLE users OWNER TO postgres; DROP OWNED BY {role}; DROP ROLE {role}")
    copy = new_name()
    report = await shop.restore(copy)
    assert any("Owners and privileges are not restored" in each for each in report.instructions)
    ask = (
        "SELECT relowner::regrole::text, relacl FROM pg_class WHERE relname IN ('users','nothing')"
    )
    assert shop.query(ask, copy) == [("postgres", None), ("postgres", None)]


async def test_a_restore_that_fails_leaves_nothing(shop: Shop, new_name: Callable[[], str]) -> None:
    record = await shop.dump()
    stream = next(each for each in record.streams if each.name.endswith(".dat"))
    path = shop.directory / "store" / stream.parts[0].path
    whole = path.read_bytes()
    other = new_name()
    shop.server.execute(f"CREATE DATABASE {other}")
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:50], None):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        copy = new_name()
        for target in (copy, other):
            with pytest.raises(BackupDamaged, match=stream.parts[0].path):
                await shop.restore(target)
        assert copy not in shop.databases()
        assert shop.content(other) == {}
        path.touch()
    for depth in (Depth.OBJECTS, Depth.CONTENTS):
        assert not (await verify_backups(shop.run(), VerifyBackupsRequest(depth=depth))).ok
    with pytest.raises(BackupDamaged):
        await restore_backup(shop.run(), RestoreBackupRequest(backup_id=record.id, dbname=other))
    path.write_bytes(whole)
    assert (await verify_backups(shop.run(), VerifyBackupsRequest(depth=Depth.CONTENTS))).ok
    # What the database itself refuses.
    shop.query(
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE 'not today'; END $$; CREATE EVENT TRIGGER no ON ddl_command_end"
        " WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION no()",
        other,
    )
    with pytest.raises(LogicalRestoreFailed, match=r"nothing was restored into .*not today"):
        await shop.restore(other)
    assert shop.content(other) == {}
    assert shop.scratch() == []


async def test_rows_that_change_during_the_restore_are_found_and_removed(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    await shop.dump()
    other = new_name()
    shop.server.execute(f"CREATE DATABASE {other}")
    shop.query(
        "CREATE FUNCTION less() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
        " DELETE FROM public.users WHERE id = 499; END $$; CREATE EVENT TRIGGER less ON"
        " ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION less()",
        other,
    )
    with pytest.raises(LogicalRestoreFailed, match="had 499 rows after the restore, and 500"):
        await shop.restore(other)
    assert shop.content(other) == {}


async def test_an_attempt_after_one_that_died_at_its_end_finds_what_that_restored(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    await shop.dump()
    copy = new_name()
    run = shop.run()
    request = RestoreBackupRequest(dbname=copy)
    first = await restore_backup(run, request)
    second = await restore_backup(run, request)
    assert replace(second, seconds=0) == replace(first, seconds=0)
    # What others have done with it since is theirs.
    shop.query("DELETE FROM users WHERE id = 499", copy)
    third = await restore_backup(run, request)
    assert replace(third, seconds=0) == replace(first, seconds=0)
    assert shop.query("SELECT count(*) FROM users", copy) == [(499,)]


# A restore in a process of its own, which is killed.
_RESTORE = """
import asyncio, sys
from pathlib import Path
from dbopsd.backup.model.requests import RestoreBackupRequest
from dbopsd.backup.restore_backup import restore_backup
from tests.support.backed_up import backed_up
from tests.support.operation_run import OperationRun

class Gone:
    bin_dir = Path(sys.argv[2])
    def dsn(self):
        return sys.argv[3]

async def main():
    place = Path(sys.argv[1])
    async with backed_up(Gone(), place, codec="zstd:1") as database:
        run = OperationRun(database, place, "op-killed")
        await restore_backup(run, RestoreBackupRequest(dbname=sys.argv[4]))

asyncio.run(main())
"""


async def test_a_killed_restore_leaves_no_database_of_the_wanted_name(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    await shop.dump()
    copy, before = new_name(), shop.databases()
    dsn = shop.server.dsn(dbname=shop.dbname)
    command = ("-c", _RESTORE, str(shop.directory), str(shop.server.bin_dir), dsn, copy)
    process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT)
    (left,) = await eventually(
        lambda: {each for each in shop.databases() - before if each.startswith("dbopsd_")},
        timeout=60,
    )
    process.kill()
    await process.wait()
    assert copy not in shop.databases()
    run = OperationRun(shop.database, shop.directory, "op-killed")
    request = RestoreBackupRequest(dbname=copy)
    await clean_up(run, request)
    await clean_up(run, request)
    assert shop.databases() == before
    # Or another attempt comes instead.
    shop.server.execute(f"CREATE DATABASE {left}")
    run.attempt = 2
    await restore_backup(run, request)
    assert shop.databases() == {*before, copy}
    assert shop.query("SELECT count(*) FROM users", copy) == [(500,)]


class _HeldRun(OperationRun):
    """An attempt whose programs begin once `go_on` is set, as of a worker that hangs."""

    def __init__(self, shop: Shop, attempt: int) -> None:
        super().__init__(shop.database, shop.directory, "op-overtaken")
        self.attempt = attempt
        self.held, self.go_on = asyncio.Event(), asyncio.Event()

    async def child(self, *command: str, **options: Any) -> Completed:
        self.held.set()
        await self.go_on.wait()
        return await super().child(*command, **options)


async def test_an_attempt_that_was_overtaken_takes_nothing_from_the_one_that_has_its_operation(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    await shop.dump()
    copy, before = new_name(), shop.databases()
    request = RestoreBackupRequest(dbname=copy)
    hung, other = _HeldRun(shop, 1), _HeldRun(shop, 2)
    overtaken = asyncio.create_task(restore_backup(hung, request))
    await hung.held.wait()
    going_on = asyncio.create_task(restore_backup(other, request))
    await other.held.wait()
    (of_other,) = shop.databases() - before
    # It wakes, and learns that it was given up.
    overtaken.cancel()
    with pytest.raises(asyncio.CancelledError):
        await overtaken
    await clean_up(hung, request)
    assert shop.databases() - before == {of_other}
    other.go_on.set()
    await going_on
    assert shop.databases() - before == {copy}
    assert shop.query("SELECT count(*) FROM users", copy) == [(500,)]


class _RunWithHook(OperationRun):
    """An attempt in which something happens as a stage begins."""

    def __init__(self, shop: Shop, operation: str, stage: str, hook: Callable[[], None]) -> None:
        super().__init__(shop.database, shop.directory, operation)
        self.hooks = {stage: hook}

    def progress(self, stage: str, done: int | None = None, total: int = 0, unit: str = "") -> None:
        self.hooks.pop(stage, lambda: None)()
        super().progress(stage, done, total, unit)


async def test_an_attempt_that_is_stopped_before_it_publishes_leaves_that_to_the_next(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    await shop.dump()
    copy, before = new_name(), shop.databases()
    request = RestoreBackupRequest(dbname=copy)

    def stop() -> None:
        raise asyncio.CancelledError

    run = _RunWithHook(shop, "op-stopped", "publish", stop)
    with pytest.raises(asyncio.CancelledError):
        await restore_backup(run, request)
    (made,) = shop.databases() - before
    run.attempt = 2
    # As where the rename took place and its answer was lost.
    run.hooks["publish"] = lambda: shop.server.execute(f"ALTER DATABASE {made} RENAME TO {copy}")
    await restore_backup(run, request)
    assert shop.databases() - before == {copy}
    assert shop.query("SELECT count(*) FROM users", copy) == [(500,)]
    # Somebody else may have done something else with it.
    shop.server.execute(f"DROP DATABASE {copy}")
    with pytest.raises(LogicalRestoreFailed, match=r"\(OID \d+\) was dropped by somebody else"):
        await restore_backup(run, request)


async def test_sessions_in_a_new_database_do_not_keep_it_from_its_name(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    await shop.dump()
    copy, before = new_name(), shop.databases()
    looking: list[psycopg.Connection[Any]] = []

    def look() -> None:
        """As an agent does that connects to every database that it finds."""
        (made,) = shop.databases() - before
        looking.append(psycopg.connect(shop.server.dsn(dbname=made)))

    run = _RunWithHook(shop, "op-watched", "counting rows", look)
    await restore_backup(run, RestoreBackupRequest(dbname=copy))
    assert shop.databases() - before == {copy}
    assert shop.query("SELECT count(*) FROM users", copy) == [(500,)]
    with looking[0], pytest.raises(psycopg.OperationalError):
        looking[0].execute("SELECT 1")


async def test_an_extension_of_one_database_only_is_restored_into_one_that_is_there(
    servers: PostgresServers, tmp_path: Path
) -> None:
    """As pg_cron, which looks at the name of the database that it is created in."""
    server = servers.disposable(18)
    extensions = server.data_dir / "extension"
    extensions.mkdir(mode=0o755)
    (extensions / "pg_cron.control").write_text("default_version = '1.0'\n")
    (extensions / "pg_cron--1.0.sql").write_text(
        "DO $$ BEGIN IF current_database() NOT IN ('shop', 'copy') THEN"
        " RAISE 'can only create extension in database copy'; END IF; END $$;"
    )
    try:
        server.execute(f"ALTER SYSTEM SET extension_control_path = '$system:{server.data_dir}'")
        server.execute("SELECT pg_reload_conf()")
        async with open_shop(server, "shop", tmp_path) as shop:
            await eventually(
                lambda: shop.query("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_cron'")
            )
            shop.query("CREATE EXTENSION pg_cron")
            await shop.dump()
            before = shop.databases()
            with pytest.raises(
                LogicalRestoreFailed,
                match=r"only create extension.*create PostgreSQL database 'copy' e",
            ):
                await shop.restore("copy")
            assert shop.databases() == before
            server.execute("CREATE DATABASE copy")
            await shop.restore("copy")
            assert shop.query("SELECT count(*) FROM users", "copy") == [(500,)]
    finally:
        servers.discard(server)


async def test_nothing_is_asked_of_the_server_where_a_restore_made_nothing(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    dsn = "host=127.0.0.1 port=1 user=nobody dbname=none connect_timeout=2"
    request = RestoreBackupRequest(dbname="copy")
    async with backed_up(postgres, tmp_path, dsn=dsn) as database:
        run = OperationRun(database, tmp_path)
        await clean_up(run, request)
        # What attempts before this one made, perhaps elsewhere, only the server knows.
        run.attempt = 2
        with pytest.raises(ConnectFailed):
            await clean_up(run, request)


async def test_the_room_that_a_restore_takes_is_said_and_asked_for_before(
    servers: PostgresServers, tmp_path: Path
) -> None:
    """Of PostgreSQL 15, whose pg_restore does not read pipes."""
    server = servers.disposable(15)
    try:
        async with open_shop(server, "shop", tmp_path) as shop:
            record = await shop.dump()
            report = await shop.restore("copy", dry_run=True)
            assert any("needs 1 MiB of the worker's disk" in each for each in report.instructions)
            async with repository_of(shop.database) as repository:
                layout = repository.layout(record.system_identifier)
                await repository.store.delete(layout.commit(record.id))
                (large, *others) = record.streams
                part = replace(large.parts[0], plain_bytes=2**50)
                huge = replace(record, streams=(replace(large, parts=(part,)), *others))
                await repository.store.create(layout.commit(record.id), write_commit(huge, None))
            for dry_run in (True, False):
                with pytest.raises(ScratchTooSmall, match="MiB are free"):
                    await shop.restore("copy", dry_run=dry_run)
            assert not {each for each in shop.databases() if each.startswith(("copy", "dbopsd_"))}
    finally:
        servers.discard(server)


async def test_what_a_killed_pg_dump_left_is_no_backup(shop: Shop) -> None:
    blocker = psycopg.connect(shop.server.dsn(dbname=shop.dbname))
    with blocker:
        blocker.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        dumping = asyncio.create_task(shop.dump())

        def waiting() -> list[psutil.Process]:
            assert not dumping.done()
            return [
                each
                for each in psutil.Process().children(recursive=True)
                if each.name() == "pg_dump" and str(shop.directory) in " ".join(each.cmdline())
            ]

        for process in await eventually(waiting):
            process.kill()
        with pytest.raises(DumpFailed):
            await dumping
        blocker.rollback()
    assert await shop.backups() == []
    assert shop.scratch() == []
    # And one that is cancelled leaves nothing running.
    with blocker.__class__.connect(shop.server.dsn(dbname=shop.dbname)) as blocker:
        blocker.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        dumping = asyncio.create_task(shop.dump())
        await eventually(waiting)
        dumping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dumping
        dumping = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
        assert waiting() == []
        dumping.cancel()
    assert await shop.backups() == []
    assert shop.scratch() == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault.LOSE_ANSWER,
        pytest.param(Fault.FAIL, marks=pytest.mark.thorough),
        pytest.param(Fault.FULL, marks=pytest.mark.thorough),
    ],
)
async def test_a_store_that_fails_commits_a_whole_dump_or_none(
    shop: Shop, new_name: Callable[[], str], fault: Fault
) -> None:
    with stores_that_fail(Faults()) as faults:
        await shop.dump("nothing", "days")
    calls = len(faults.calls)
    known = {each.id for each in await shop.backups()}
    for at in range(2, calls, max(calls // 4, 1)):
        failed = None
        with stores_that_fail(Faults(fault, at, FOR_EVER)):
            try:
                request = CreateBackupRequest(kind=BackupKind.LOGICAL, tables=("nothing", "days"))
                await create_backup(shop.run(), request)
            except StoreError as error:
                failed = error
            except DbopsError as error:
                failed = error
        made = [each for each in await shop.backups() if each.id not in known]
        known |= {each.id for each in made}
        assert failed is not None or made
        assert all(each.state is BackupState.COMPLETE for each in made)
        if made:
            ids = tuple(each.id for each in made)
            request_ = VerifyBackupsRequest(backup_ids=ids, depth=Depth.CONTENTS)
            assert (await verify_backups(shop.run(), request_)).ok
    assert shop.scratch() == []


async def test_what_is_for_a_cluster_is_refused_for_a_dump(
    shop: Shop, new_name: Callable[[], str]
) -> None:
    record = await shop.dump()
    for fields in (
        {"target": RecoveryTarget(immediate=True)},
        {"directory": "/tmp/x"},
        {"start": True},
    ):
        with pytest.raises(InvalidField, match="is for a physical backup"):
            await restore_backup(
                shop.run(),
                RestoreBackupRequest(backup_id=record.id, dbname=new_name(), **fields),  # type: ignore[arg-type]
            )
