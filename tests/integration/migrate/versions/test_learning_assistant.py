"""The example's migrations on a server: who sees and changes which rows, and who did."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection, errors

from dbopsd.migrate.versions.check_migrations import check_migrations
from dbopsd.migrate.versions.model.reports import RoundtripResult, Severity
from dbopsd.migrate.versions.model.requests import CheckMigrationsRequest
from tests.integration.migrate.versions.conftest import OpenMigrated
from tests.support.operation_run import OperationRun

MIGRATIONS = Path("examples/learning_assistant/migrations").absolute()
UP = [each for each in sorted(MIGRATIONS.glob("*.sql")) if not each.stem.endswith("_rollback")]
GRANTS = """
CREATE ROLE {role} LOGIN;
GRANT USAGE ON SCHEMA app TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA app TO {role};
"""
ROWS = """
INSERT INTO app.users (username, email, is_admin) VALUES
    ('ada', 'ada@example.org', true), ('grace', 'grace@example.org', false),
    ('edsger', 'edsger@example.org', false);
INSERT INTO app.learning_profiles (user_id, goals) VALUES (2, '["Algebra"]'), (3, NULL);
INSERT INTO app.content (kind, title, is_published) VALUES
    ('course', 'Algebra 1', true), ('course', 'Draft', false);
INSERT INTO app.learning_sessions (user_id, content_id) VALUES (2, 1), (3, 1), (3, 2);
INSERT INTO app.assessments (content_id, title, questions) VALUES (1, 'Test', '[]');
INSERT INTO app.assessment_attempts (assessment_id, user_id, attempt, score, passed)
    VALUES (1, 2, 1, 70, true), (1, 3, 1, 30, false);
INSERT INTO app.events (user_id, name) VALUES (2, 'search'), (99, 'search');
"""
TABLES = ("users", "learning_profiles", "content", "learning_sessions", "assessment_attempts")


@pytest.fixture
def dsn(make_database: Callable[..., str]) -> str:
    """Of a database with all migrations, and rows of three users."""
    return make_database("\n".join([*(each.read_text() for each in UP), ROWS]))


@pytest.fixture
def owner(dsn: str) -> Iterator[Connection[Any]]:
    """As the role that applied the migrations."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def application(owner: Connection[Any], dsn: str) -> Iterator[Connection[Any]]:
    """As the application's role, which owns nothing."""
    role = f"learning_app_{owner.info.backend_pid}"
    owner.execute(GRANTS.format(role=role).encode())
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"SET SESSION AUTHORIZATION {role}".encode())
        yield connection
    owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


@contextmanager
def asking(connection: Connection[Any], user: int, role: str) -> Iterator[Connection[Any]]:
    """For the time of a transaction, for that user in that role."""
    with connection.transaction(force_rollback=True):
        connection.execute(
            "SELECT set_config('app.user_id', %s, true), set_config('app.role', %s, true)",
            (str(user), role),
        )
        yield connection


def seen(connection: Connection[Any]) -> list[int]:
    query = "SELECT " + ", ".join(f"(SELECT count(*) FROM app.{name})" for name in TABLES)
    return list(connection.execute(query.encode()).fetchone() or ())


def one(connection: Connection[Any], query: str) -> Any:
    (value,) = connection.execute(query.encode()).fetchone() or (None,)
    return value


def test_rows_are_seen_by_role(application: Connection[Any]) -> None:
    assert seen(application) == [0, 0, 0, 0, 0]
    with asking(application, 2, "learner"):
        assert seen(application) == [1, 1, 1, 1, 1]
        assert one(application, "SELECT count(*) FROM app.active_users") == 1
        assert one(application, "SELECT count(*) FROM app.events") == 0
    with asking(application, 2, "instructor"):
        assert seen(application) == [3, 2, 2, 3, 2]
        assert one(application, "SELECT sum(sessions) FROM app.content_popularity") == 3
        assert one(application, "SELECT count(*) FROM app.events") == 2


def test_rows_are_changed_by_role(application: Connection[Any]) -> None:
    with asking(application, 2, "learner"):
        changed = application.execute("UPDATE app.users SET display_name = 'x'")
        assert changed.rowcount == 1
        assert application.execute("UPDATE app.assessment_attempts SET score = 100").rowcount == 0
        assert application.execute("DELETE FROM app.users").rowcount == 0
    for user, role, statement in (
        (2, "learner", "UPDATE app.users SET is_admin = true"),
        (2, "learner", "INSERT INTO app.learning_sessions (user_id) VALUES (3)"),
        (2, "learner", "INSERT INTO app.content (kind, title) VALUES ('quiz', 'x')"),
        (2, "instructor", "INSERT INTO app.settings VALUES ('theme', 'dark')"),
        (2, "learner", "INSERT INTO app.events (user_id, name) VALUES (3, 'search')"),
    ):
        with (
            asking(application, user, role),
            pytest.raises(errors.InsufficientPrivilege, match="row-level security"),
        ):
            application.execute(statement.encode())
    with asking(application, 1, "admin"):
        assert application.execute("DELETE FROM app.users WHERE id = 3").rowcount == 1


def test_the_audit_columns_say_who(application: Connection[Any]) -> None:
    with asking(application, 1, "admin"):
        application.execute("UPDATE app.users SET created_by = 'me', age = 40 WHERE id = 2")
        who = "SELECT created_by || ', ' || updated_by FROM app.users WHERE id = 2"
        assert one(application, who) == "postgres, user 1"
        application.execute(
            "INSERT INTO app.users (username, email, created_by) VALUES ('a', 'a@b', 'nobody')"
        )
        assert one(application, "SELECT created_by FROM app.users WHERE id = 4") == "user 1"


def test_what_belongs_to_a_row_goes_with_it(owner: Connection[Any]) -> None:
    owner.execute("DELETE FROM app.users WHERE id = 3")
    owner.execute("DELETE FROM app.content WHERE id = 1")
    assert seen(owner) == [2, 1, 1, 1, 0]
    assert one(owner, "SELECT content_id FROM app.learning_sessions") is None
    assert one(owner, "SELECT count(*) FROM app.events") == 2


def test_what_makes_no_sense_is_refused(owner: Connection[Any]) -> None:
    for statement, constraint in (
        ("UPDATE app.users SET email = 'no address'", "users_email_form"),
        ("INSERT INTO app.users (username, email) VALUES ('ADA', 'b@c')", "users_username"),
        ("UPDATE app.content SET parent_id = id", "content_is_not_its_own_parent"),
        (
            "UPDATE app.learning_sessions SET ended_at = started_at - interval '1 s'",
            "learning_sessions_ends_after_it_starts",
        ),
        ("UPDATE app.assessment_attempts SET score = NULL", "assessment_attempts_marked"),
        ("UPDATE app.learning_profiles SET goals = '{}'", "learning_profiles_goals_list"),
    ):
        with pytest.raises(errors.IntegrityError) as refused:
            owner.execute(statement.encode())
        assert refused.value.diag.constraint_name == constraint


def test_the_last_rollback_loses_no_row_of_the_old_application(owner: Connection[Any]) -> None:
    rollback = UP[-1].with_stem(f"{UP[-1].stem}_rollback").read_bytes()
    owner.execute("INSERT INTO app.settings VALUES ('theme', NULL)")
    with pytest.raises(errors.RaiseException, match="rows of the old application") as refused:
        owner.execute(rollback)
    assert refused.value.diag.message_hint == "Revert its import first: dbops import revert."
    owner.execute("DELETE FROM app.settings")
    owner.execute(rollback)
    with pytest.raises(errors.NotNullViolation):
        owner.execute("UPDATE app.assessment_attempts SET score = NULL")


async def test_they_pass_every_check_and_each_rollback_restores(
    open_migrated: OpenMigrated, database_dsn: str, tmp_path: Path
) -> None:
    database = await open_migrated(database_dsn, MIGRATIONS)
    request = CheckMigrationsRequest(drift=True, roundtrip=True, strict=True)
    report = await check_migrations(OperationRun(database, tmp_path), request)
    assert report.ok, report
    assert [(each.version, each.result) for each in report.roundtrip] == [
        (f"{number:03}", RoundtripResult.RESTORED) for number in range(1, 8)
    ]
    assert {each.severity for each in report.findings} <= {Severity.INFO}
