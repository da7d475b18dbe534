"""The ledger on a real server: what it records, who may create it, and how it goes forward."""

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from dbopsd.db.database import Database
from dbopsd.db.errors import InvalidData, ScriptFailed
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.ledger.advisory_lock import Holder, database_lock, lock_holder
from dbopsd.migrate.versions.ledger.errors import (
    LedgerDamaged,
    LedgerNewer,
    LedgerNotOurs,
    LedgerPermissionMissing,
    MigrationsBusy,
)
from dbopsd.migrate.versions.ledger.ledger import LEDGER_VERSION, Ledger
from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.ledger.read_run import read_run
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.schema_object import Fingerprint, SchemaObject
from dbopsd.migrate.versions.plan.states import read_set
from tests.support.migration_files import folder, migration
from tests.support.patience import eventually

FIRST = NewRun.of(migration("001"), Direction.UP, operation="op-1", who="ann", statements=2)


def dedicated(database: Database) -> Any:
    return database.dedicated_session(
        "write", application_name="dbopsd migrate", query_timeout_s=30.0
    )


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    async with dedicated(database) as session:
        yield session


def ask(dsn: str, query: str) -> list[Any]:
    """The rows of the last statement, if it has any."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query)
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []


async def test_nothing_is_created_by_reading(session: Session, database_dsn: str) -> None:
    ledger = Ledger("main")
    assert await ledger.read_with_live(session) == ([], frozenset())
    assert await ledger.last_digest(session) == ""
    assert await ledger.last_fingerprint(session) is None
    assert await lock_holder(session, ledger) is None
    assert ask(database_dsn, "SELECT 1 FROM pg_namespace WHERE nspname = 'dbops'") == []


async def test_a_run_is_recorded_from_its_begin_to_its_end(session: Session) -> None:
    ledger = Ledger("main")
    await ledger.prepare(session)
    id_ = await ledger.begin(session, FIRST)
    await ledger.progress(session, id_, 1, "one", in_doubt=True, indexes_before=[7])
    [begun] = await ledger.read(session)
    assert (begun.result, begun.finished_at, begun.statements_done) == (Result.RUNNING, None, 1)
    assert (begun.in_doubt, begun.done_digest, begun.indexes_before) == (True, "one", (7,))
    await session.execute(Statement(ledger.progress_text(id_, 2, "two"), "UPDATE migration_runs"))
    [begun] = await ledger.read(session)
    assert (begun.statements_done, begun.in_doubt, begun.done_digest) == (2, False, "two")
    assert (begun.operation, begun.who, begun.statements) == ("op-1", "ann", 2)
    assert begun.backend_start is not None

    await session.execute(
        Statement("ALTER TABLE dbops.migration_runs ADD COLUMN mine text", "ALTER TABLE")
    )
    await ledger.finish(session, id_, Result.FAILED, 1, problem="division by zero")
    done = await ledger.done(session, dataclasses.replace(FIRST, statements_done=2, backup="b"))
    failed, second = await ledger.read(session, FIRST.operation)
    assert (failed.id, failed.result, failed.problem) == (id_, Result.FAILED, "division by zero")
    assert failed.finished_at is not None
    assert (second.id, second.result, second.backup) == (done, Result.DONE, "b")
    assert second.finished_at is not None
    assert second.checksum == FIRST.checksum
    assert second.normalised_checksum == FIRST.normalised_checksum != ""


async def test_the_row_of_a_transaction_is_there_with_it_or_not_at_all(
    session: Session, database: Database
) -> None:
    ledger = Ledger("main")
    await ledger.prepare(session)
    with pytest.raises(ZeroDivisionError):
        async with session.transaction():
            await ledger.done(session, FIRST)
            raise ZeroDivisionError
    async with session.transaction():
        await ledger.done(session, FIRST)
        async with dedicated(database) as other:
            assert await ledger.read(other) == []
    assert [run.key for run in await ledger.read(session)] == ["001"]


async def test_runs_are_recorded_all_or_none(session: Session) -> None:
    ledger = Ledger("main")
    await ledger.prepare(session)
    runs = [
        NewRun.of(migration(f"{number:03}"), Direction.BASELINE, reason="was there")
        for number in range(1, 4)
    ]
    await ledger.record(session, runs)
    assert [run.key for run in await ledger.read(session)] == ["001", "002", "003"]
    bad = dataclasses.replace(runs[0], name="a\udc80")
    with pytest.raises(InvalidData):
        await ledger.record(session, [runs[0], bad])
    assert len(await ledger.read(session)) == 3


async def test_a_row_that_a_trigger_drops_is_not_taken_for_recorded(
    session: Session, database_dsn: str
) -> None:
    ledger = Ledger("main")
    await ledger.prepare(session)
    id_ = await ledger.begin(session, FIRST)
    ask(
        database_dsn,
        "CREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER drop_row BEFORE INSERT OR UPDATE ON dbops.migration_runs"
        " FOR EACH ROW EXECUTE FUNCTION drop_row()",
    )
    for lost in (
        ledger.begin(session, FIRST),
        ledger.done(session, FIRST),
        ledger.record(session, [FIRST, FIRST]),
        ledger.progress(session, id_, 1, ""),
        ledger.finish(session, id_, Result.DONE, 1),
    ):
        with pytest.raises(LedgerDamaged, match="does not take the row"):
            await lost
    with pytest.raises(ScriptFailed) as caught:
        await session.execute_script(ledger.done_statement(FIRST))
    with pytest.raises(LedgerDamaged):
        ledger.refuse_lost_row(caught.value)


async def test_a_backend_that_is_gone_runs_nothing(session: Session, database: Database) -> None:
    ledger = Ledger("main")
    async with dedicated(database) as worker, database_lock(worker, ledger):
        await ledger.prepare(worker)
        id_ = await ledger.begin(worker, FIRST)
        _, live = await ledger.read_with_live(session)
        assert live == {id_}
        holder = await lock_holder(session, ledger)
        assert holder is not None
        assert (holder.application, holder.operation) == ("dbopsd migrate", "op-1")

    async def runs_of_nobody() -> list[LedgerRun]:
        runs, live = await ledger.read_with_live(session)
        return [] if live else runs

    [run] = await eventually(runs_of_nobody)
    assert run.result is Result.RUNNING


async def test_a_run_that_ends_between_two_looks_is_not_taken_for_interrupted(
    session: Session, database: Database
) -> None:
    """It is RUNNING when the ledger is read, and its backend is gone when that is looked at."""

    class Slow(Ledger):
        async def read(self, session: Session, operation: str = "") -> list[LedgerRun]:
            runs = await super().read(session, operation)
            if runs and runs[0].result is Result.RUNNING:
                await super().finish(session, runs[0].id, Result.DONE, 2)
            return runs

    await Ledger("main").prepare(session)
    await Ledger("main").begin(session, FIRST)
    runs, live = await Slow("main").read_with_live(session)
    assert ([run.result for run in runs], live) == ([Result.DONE], frozenset())


async def test_two_create_the_ledger_at_once(database: Database) -> None:
    ledger = Ledger("main")

    async def create() -> None:
        async with dedicated(database) as session:
            await ledger.prepare(session)

    # Without the lock of migrations even, which they have.
    await asyncio.gather(*(create() for _ in range(6)))
    async with dedicated(database) as session:
        assert await ledger.read(session) == []


async def test_an_older_ledger_is_read_as_it_is_and_then_brought_up_to_date(
    session: Session, database_dsn: str
) -> None:
    ledger = Ledger("main", 'old "100%"')
    await session.execute(ledger.statement("create_schema"))
    await session.execute(ledger.statement("upgrade_to_1"))
    await session.execute(ledger.statement("insert_version"), (1,))
    schema = 'old ""100%""'
    ask(
        database_dsn,
        f"""INSERT INTO "{schema}".migration_runs (set, key, version, name, checksum,
        checksum_algorithm, direction, result, started_at, statements, statements_done, operation,
        who, backend_pid, fingerprint, reason, backup, problem) VALUES ('default', '1', '1', 'a',
        'c', 'sha256', 'up', 'done', now(), 1, 1, '', '', 1, 'digest', '', '', '');
        INSERT INTO "{schema}".schema_fingerprint (digest, taken_at) VALUES ('digest', now())""",
    )
    [run] = await ledger.read(session)
    assert (run.key, run.checksum, run.normalised_checksum) == ("1", "c", "")
    assert await ledger.last_digest(session) == "digest"
    columns = f"""SELECT 1 FROM pg_attribute WHERE attrelid = '"{schema}".migration_runs'::regclass
        AND attname = 'normalised_checksum'"""
    assert ask(database_dsn, columns) == []

    await ledger.prepare(session)
    assert await ledger.last_digest(session) == "digest"
    await ledger.done(session, FIRST)
    assert len(ask(database_dsn, columns)) == 1
    assert [run.key for run in await ledger.read(session)] == ["1", "001"]
    versions = ask(database_dsn, f'SELECT version FROM "{schema}".ledger_version ORDER BY 1')
    assert versions == [(version,) for version in range(1, LEDGER_VERSION + 1)]


async def test_an_upgrade_that_fails_leaves_the_ledger_as_it_was(
    session: Session, database_dsn: str
) -> None:
    ledger = Ledger("main")
    await session.execute(ledger.statement("create_schema"))
    await session.execute(ledger.statement("upgrade_to_1"))
    await session.execute(ledger.statement("insert_version"), (1,))
    ask(
        database_dsn,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE; END';"
        "CREATE TRIGGER refuse BEFORE INSERT ON dbops.ledger_version"
        " EXECUTE FUNCTION refuse()",
    )
    with pytest.raises(Exception, match="RAISE"):
        await ledger.prepare(session)
    ask(database_dsn, "DROP FUNCTION refuse() CASCADE")
    await ledger.prepare(session)
    await ledger.done(session, FIRST)


async def test_a_newer_ledger_is_refused(session: Session) -> None:
    ledger = Ledger("main")
    await ledger.prepare(session)
    await session.execute(ledger.statement("insert_version"), (LEDGER_VERSION + 1,))
    for refused in (ledger.prepare(session), ledger.read(session), ledger.last_digest(session)):
        with pytest.raises(LedgerNewer) as caught:
            await refused
        assert caught.value.metadata["version"] == str(LEDGER_VERSION + 1)


@pytest.mark.parametrize(
    "damage", ["DELETE FROM dbops.ledger_version", "DROP TABLE dbops.ledger_version"]
)
async def test_a_ledger_without_its_version_is_not_taken_for_none(
    session: Session, database_dsn: str, damage: str
) -> None:
    """Else everything would be run again."""
    ledger = Ledger("main")
    await ledger.prepare(session)
    await ledger.done(session, FIRST)
    ask(database_dsn, damage)
    for refused in (ledger.prepare(session), ledger.read(session), ledger.last_digest(session)):
        with pytest.raises(LedgerDamaged, match=r"no (version|table ledger_version)") as caught:
            await refused
    # What the error says helps.
    ask(database_dsn, caught.value.remedy.rpartition("the others: ")[2])
    assert [run.key for run in await ledger.read(session)] == ["001"]
    await ledger.prepare(session)
    assert [run.key for run in await ledger.read(session)] == ["001"]


@pytest.mark.parametrize("table", ["migration_runs", "schema_objects"])
async def test_a_ledger_that_lacks_a_table_is_not_filled_up(
    session: Session, database_dsn: str, table: str
) -> None:
    ledger = Ledger("main")
    await ledger.prepare(session)
    ask(database_dsn, f"DROP TABLE dbops.{table} CASCADE")
    for refused in (ledger.prepare(session), ledger.read(session)):
        with pytest.raises(LedgerDamaged, match=f"it has no table {table}, and has"):
            await refused


async def test_rows_that_are_hidden_from_the_role_are_an_error(
    open_database: Any, make_database: Callable[..., str], make_role: Any
) -> None:
    """Else what they say would be run again."""
    owner_dsn, role = make_database(), make_role()
    database = await open_database(psycopg.conninfo.make_conninfo(owner_dsn, **role))
    ledger = Ledger("main")
    [(name,)] = ask(owner_dsn, "SELECT quote_ident(current_database())")
    ask(owner_dsn, f"GRANT CREATE ON DATABASE {name} TO {role['user']}")
    ask(
        owner_dsn,
        """CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$
        DECLARE made record; BEGIN
            FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() AS c
                WHERE c.object_type = 'table' LOOP
                EXECUTE 'ALTER TABLE ' || made.object_identity || ' ENABLE ROW LEVEL SECURITY';
                EXECUTE 'ALTER TABLE ' || made.object_identity || ' FORCE ROW LEVEL SECURITY';
            END LOOP;
        END $$;
        CREATE EVENT TRIGGER guard ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
            EXECUTE FUNCTION guard()""",
    )
    async with dedicated(database) as session:
        with pytest.raises(LedgerPermissionMissing, match="an event trigger that enables it"):
            await ledger.prepare(session)
        ask(owner_dsn, "DROP EVENT TRIGGER guard")
        await ledger.prepare(session)
        await ledger.done(session, FIRST)
        for how in ("ENABLE", "FORCE"):
            ask(owner_dsn, f"ALTER TABLE dbops.migration_runs {how} ROW LEVEL SECURITY")
        for refused in (ledger.prepare(session), ledger.read(session), ledger.last_digest(session)):
            with pytest.raises(
                LedgerPermissionMissing, match="hides rows of migration_runs"
            ) as caught:
                await refused
        ask(owner_dsn, caught.value.grant.partition(" (")[0])
        assert [run.key for run in await ledger.read(session)] == ["001"]
    ask(owner_dsn, f"DROP SCHEMA dbops CASCADE; DROP OWNED BY {role['user']}")


async def test_what_is_left_out_of_a_long_ledger_changes_no_state(session: Session) -> None:
    """Any history, of files that were renamed from `1` to `001` too."""
    ledger, dice = Ledger("main"), random.Random(11)
    await ledger.prepare(session)
    results = [*[Result.DONE] * 4, Result.FAILED, Result.INTERRUPTED, Result.RUNNING]
    directions = [*[Direction.UP, Direction.DOWN] * 3, *Direction]
    keys = ("1", "001", "2", "R:view", "9")
    new = [
        dataclasses.replace(
            FIRST,
            set=f"s{number % 60}",
            key=key,
            version="" if key.startswith("R:") else key,
            direction=dice.choice(directions),
            result=dice.choice(results),
            checksum=dice.choice(["a", FIRST.checksum]),
            operation=dice.choice(["", "op-1", "op-2"]),
        )
        for number in range(1500)
        for key in [dice.choice(keys)]
    ]
    await ledger.record(session, new)
    rows = await session.fetch_all(
        Statement("SELECT to_json(r) FROM dbops.migration_runs AS r ORDER BY r.id", "SELECT")
    )
    every = [read_run(row) for (row,) in rows]
    runs = await ledger.read(session, "op-2")
    assert len(runs) < len(every) == 1500
    assert {run for run in every if run.operation == "op-2"} <= set(runs)
    runs = await ledger.read(session)
    for number in range(60):
        set_ = f"s{number}"
        files = [migration("001", set_=set_), migration("2", set_=set_)]
        files.append(migration("view", repeatable=True, set_=set_))
        of = folder(*files, set_=set_)
        live = frozenset(run.id for run in every if dice.random() < 0.5)
        assert read_set(of, runs, live) == read_set(of, every, live)


async def test_a_row_that_was_edited_by_hand_is_named(session: Session, database_dsn: str) -> None:
    ledger = Ledger("main")
    await ledger.prepare(session)
    id_ = await ledger.done(session, FIRST)
    for edit, shown in (
        ("backend_start = '20000-01-01'", "the backend_start '20000-01-01T"),
        ("finished_at = '0044-03-15 12:00 BC'", "the finished_at '0044-03-15T"),
        ("started_at = 'infinity'", "the started_at 'infinity'"),
        ("direction = 'sideways'", "the direction 'sideways'"),
    ):
        # What is read first is edited last.
        ask(database_dsn, f"UPDATE dbops.migration_runs SET {edit}")
        with pytest.raises(LedgerDamaged) as caught:
            await ledger.read_with_live(session)
        assert f"row {id_} of its table migration_runs has {shown}" in caught.value.message


async def test_the_error_says_which_grant_helps(
    open_database: Any, make_database: Callable[..., str], make_role: Any
) -> None:
    owner_dsn, role = make_database(), make_role()
    database = await open_database(psycopg.conninfo.make_conninfo(owner_dsn, **role))
    ledger, name = Ledger("main"), role["user"]
    async with dedicated(database) as session:
        with pytest.raises(LedgerPermissionMissing) as caught:
            await ledger.prepare(session)
        assert "GRANT CREATE ON DATABASE" in caught.value.grant
        # The schema may be there for other purposes: CREATE on the database is not needed then.
        ask(owner_dsn, "CREATE SCHEMA dbops")
        with pytest.raises(LedgerPermissionMissing) as caught:
            await ledger.prepare(session)
        assert caught.value.grant == f'GRANT USAGE, CREATE ON SCHEMA "dbops" TO "{name}"'
        ask(owner_dsn, f"{caught.value.grant}")
        await ledger.prepare(session)
        ask(owner_dsn, f"REVOKE USAGE ON SCHEMA dbops FROM {name}")
        with pytest.raises(LedgerPermissionMissing) as caught:
            await ledger.read(session)
        # Somebody else made it, for all to read.
        ask(
            owner_dsn,
            "ALTER TABLE dbops.migration_runs OWNER TO current_user;"
            f"GRANT USAGE ON SCHEMA dbops TO {name};"
            f"GRANT SELECT, INSERT ON dbops.migration_runs TO {name}",
        )
        assert await ledger.read(session) == []
        with pytest.raises(LedgerPermissionMissing, match="a member of the owner"):
            await ledger.prepare(session)
        ask(owner_dsn, "DROP SCHEMA dbops CASCADE")


@pytest.mark.parametrize(
    ("made", "given"),
    [
        ("SCHEMA dbops", ""),
        ("TABLE dbops.ledger_version (version int)", "SCHEMA dbops"),
        ("VIEW dbops.ledger_version AS SELECT 2", "SCHEMA dbops, VIEW dbops.ledger_version"),
    ],
)
async def test_a_ledger_that_somebody_else_laid_out_is_not_touched(
    session: Session, database_dsn: str, make_role: Any, made: str, given: str
) -> None:
    """A trigger or a view of theirs would run with the rights of dbopsd's role."""
    name = make_role()["user"]
    [(database,)] = ask(database_dsn, "SELECT quote_ident(current_database())")
    ask(database_dsn, f"GRANT CREATE ON DATABASE {database} TO {name}")
    schema = "" if made.startswith("SCHEMA") else "CREATE SCHEMA dbops;"
    ask(database_dsn, f"SET ROLE {name}; {schema} CREATE {made}")
    for each in filter(None, given.split(", ")):
        ask(database_dsn, f"ALTER {each} OWNER TO current_user")
    ledger = Ledger("main")
    for refused in (ledger.prepare(session), ledger.read(session), ledger.last_digest(session)):
        with pytest.raises(LedgerNotOurs):
            await refused
    ask(database_dsn, f"DROP SCHEMA dbops CASCADE; DROP OWNED BY {name}")
    await ledger.prepare(session)


async def test_what_the_owner_of_the_database_gave_to_pg_database_owner_is_still_theirs(
    session: Session, database_dsn: str, make_role: Any
) -> None:
    name = make_role()["user"]
    [(database,)] = ask(database_dsn, "SELECT quote_ident(current_database())")
    ask(database_dsn, f"ALTER DATABASE {database} OWNER TO {name}")
    ask(
        database_dsn,
        f"SET ROLE {name}; CREATE SCHEMA dbops CREATE TABLE migration_runs ();"
        "ALTER SCHEMA dbops OWNER TO pg_database_owner;"
        "ALTER TABLE dbops.migration_runs OWNER TO pg_database_owner",
    )
    with pytest.raises(LedgerNotOurs, match=f"relation migration_runs of role {name}"):
        await Ledger("main").prepare(session)
    ask(database_dsn, f"DROP SCHEMA dbops CASCADE; ALTER DATABASE {database} OWNER TO CURRENT_USER")
    await Ledger("main").prepare(session)


async def test_an_administrator_who_is_no_superuser_may_make_the_schema(
    open_database: Any, make_database: Callable[..., str], make_role: Any
) -> None:
    owner_dsn, role, administrator = make_database(), make_role(), make_role()["user"]
    database = await open_database(psycopg.conninfo.make_conninfo(owner_dsn, **role))
    ask(owner_dsn, f"CREATE SCHEMA dbops AUTHORIZATION {administrator}")
    ask(owner_dsn, f"GRANT USAGE, CREATE ON SCHEMA dbops TO {role['user']}")
    async with dedicated(database) as session:
        await Ledger("main").prepare(session)
        assert await Ledger("main").read(session) == []
        # One of its tables is another one now.
        ask(owner_dsn, f"ALTER TABLE dbops.migration_runs OWNER TO {administrator}")
        with pytest.raises(LedgerNotOurs, match="relation migration_runs of role"):
            await Ledger("main").read(session)
    ask(owner_dsn, "DROP SCHEMA dbops CASCADE")


async def test_a_fingerprint_is_stored_in_place_of_the_one_before(session: Session) -> None:
    ledger = Ledger("main")
    await ledger.prepare(session)
    objects = tuple(
        SchemaObject("table", f"public.t{number}", "definition", number, "owner")
        for number in range(3)
    )
    first = Fingerprint("one", objects)
    await ledger.store_fingerprint(session, first)
    assert await ledger.last_fingerprint(session) is None
    id_ = await ledger.done(session, FIRST)
    await ledger.set_fingerprint(session, id_, "one")
    assert await ledger.last_fingerprint(session) == first
    changed = (
        dataclasses.replace(objects[0], definition="other"),
        dataclasses.replace(objects[2], owner_and_grants="another"),
    )
    second = Fingerprint("two", changed)
    for _ in range(2):
        await ledger.store_fingerprint(session, second)
    await ledger.done(session, dataclasses.replace(FIRST, fingerprint="two"))
    await ledger.record(session, [dataclasses.replace(FIRST, result=Result.FAILED)])
    assert await ledger.last_fingerprint(session) == second
    assert await ledger.last_digest(session) == "two"
    await ledger.store_fingerprint(session, Fingerprint("none", ()))
    assert await ledger.last_digest(session) == ""
    await ledger.done(session, dataclasses.replace(FIRST, fingerprint="none"))
    assert await ledger.last_fingerprint(session) == Fingerprint("none", ())
    # Another dbopsd made it of something else: nothing can be said.
    await session.execute(
        Statement("UPDATE dbops.schema_fingerprint SET format = format + 1", "UPDATE")
    )
    assert await ledger.last_fingerprint(session) is None


async def test_the_view_has_one_row_a_version(session: Session, database_dsn: str) -> None:
    ledger = Ledger("main")
    await ledger.prepare(session)
    file = migration("001")
    down = NewRun.of(file, Direction.DOWN)
    expected = [
        (NewRun.of(file, Direction.UP), "APPLIED"),
        (dataclasses.replace(down, result=Result.FAILED), "APPLIED"),
        (down, "PENDING"),
        (dataclasses.replace(FIRST, result=Result.FAILED), "FAILED"),
        (dataclasses.replace(FIRST, result=Result.RUNNING), "RUNNING"),
        (dataclasses.replace(FIRST, result=Result.INTERRUPTED), "INTERRUPTED"),
        (NewRun.of(file, Direction.RESOLVE_NOT_APPLIED), "PENDING"),
        (NewRun.of(file, Direction.RESOLVE_APPLIED), "APPLIED"),
        (NewRun.of(file, Direction.BASELINE), "BASELINED"),
        (NewRun.of(file, Direction.ADOPT), "ADOPTED"),
    ]
    for run, state in expected:
        await ledger.record(session, [run])
        assert ask(database_dsn, "SELECT key, state FROM dbops.migrations") == [("001", state)]
    await ledger.begin(session, FIRST)
    # Its backend is gone: another one has the same process id.
    ask(database_dsn, "UPDATE dbops.migration_runs SET backend_start = '2020-01-01'")
    assert ask(database_dsn, "SELECT state FROM dbops.migrations") == [("INTERRUPTED",)]


@asynccontextmanager
async def holding(database: Database, ledger: Ledger) -> AsyncIterator[Session]:
    async with dedicated(database) as session, database_lock(session, ledger):
        yield session


async def test_one_at_a_time_and_the_waiter_is_told_for_whom(
    session: Session, database: Database
) -> None:
    ledger, told = Ledger("main"), list[Holder]()
    async with holding(database, ledger) as holder:
        with pytest.raises(MigrationsBusy, match="dbopsd migrate"):
            async with database_lock(session, ledger, wait_s=0):
                pass
        await ledger.prepare(holder)
        await ledger.done(holder, FIRST)

        async def wait() -> None:
            async with database_lock(session, ledger, waiting=told.append):
                pass

        waiting = asyncio.create_task(wait())
        await eventually(lambda: bool(told))
        assert told[0].operation == "op-1"
        assert not waiting.done()
        # Another ledger's lock is another one.
        async with (
            dedicated(database) as other,
            database_lock(other, Ledger("main", "b"), wait_s=0),
        ):
            pass
    await asyncio.wait_for(waiting, 10)
    # It is given back though its session stays.
    async with dedicated(database) as other, database_lock(other, ledger, wait_s=0):
        pass


async def test_a_waiter_is_in_nobodys_way(session: Session, database: Database) -> None:
    """`CREATE INDEX CONCURRENTLY` of the holder ends while another one waits for the lock."""
    ledger = Ledger("main")
    told = list[Holder]()
    async with holding(database, ledger) as holder:

        async def wait() -> None:
            async with database_lock(session, ledger, waiting=told.append):
                pass

        waiting = asyncio.create_task(wait())
        await eventually(lambda: bool(told))
        await holder.execute(Statement("CREATE TABLE t (a int)", "CREATE TABLE"))
        await holder.execute(Statement("CREATE INDEX CONCURRENTLY ON t (a)", "CREATE INDEX"))
    await asyncio.wait_for(waiting, 10)
