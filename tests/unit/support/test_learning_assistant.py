"""The example's database: the same for the same seed, with all that the example is to show."""

import hashlib
import json
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from examples.learning_assistant.generate import generate

EXAMPLE = Path("examples/learning_assistant")
USERS = 300


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("example") / "app.db"
    generate(path, USERS, seed=1)
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def one(database: sqlite3.Connection, query: str) -> object:
    return database.execute(query).fetchone()[0]


def digest(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        dump = "\n".join(connection.iterdump())
    return hashlib.sha256(dump.encode()).hexdigest()


def test_the_same_seed_gives_the_same_content(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        generate(tmp_path / name, 40, seed)
    assert digest(tmp_path / "one") == digest(tmp_path / "again")
    assert digest(tmp_path / "one") != digest(tmp_path / "other")


def test_it_is_a_script_that_needs_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-I", str(EXAMPLE / "generate.py"), str(tmp_path / "app.db")]
    subprocess.run([*command, "--users", "1"], check=True)
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "exists" in again.stderr


def test_it_grows_with_the_users(database: sqlite3.Connection) -> None:
    counts = {
        table: one(database, f"SELECT count(*) FROM {table}")
        for table in ("users", "learning_sessions", "assessment_attempts", "analytics_events")
    }
    assert list(counts.values()) == [USERS, 5 * USERS, 2 * USERS, 10 * USERS]


def test_it_is_sound_apart_from_its_orphans(database: sqlite3.Connection) -> None:
    assert one(database, "PRAGMA integrity_check") == "ok"
    orphans = database.execute("PRAGMA foreign_key_check").fetchall()
    assert {(table, parent) for table, _, parent, _ in orphans} == {
        ("learning_sessions", "content")
    }


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM users WHERE typeof(age) = 'text' AND age IN ('n/a', 'unknown')",
        "SELECT count(*) FROM users WHERE created_at LIKE '%T%Z'",
        "SELECT count(*) FROM users WHERE created_at LIKE '____-__-__ __:__:__'",
        "SELECT count(*) FROM users WHERE typeof(last_login_at) = 'integer'",
        "SELECT count(*) FROM users WHERE deleted_at IS NOT NULL",
        "SELECT count(*) FROM users AS d JOIN users AS u USING (email) WHERE d.id <> u.id",
        "SELECT count(*) FROM assessment_attempts WHERE score = 'n/a'",
        "SELECT count(*) FROM learning_sessions WHERE started_at > 1e12",
        "SELECT count(*) FROM content WHERE json_valid(metadata) AND duration_minutes > 0",
        "SELECT count(*) FROM content_tags WHERE tag NOT IN (SELECT name COLLATE BINARY FROM tags)",
        "SELECT count(*) FROM analytics_events WHERE user_id NOT IN (SELECT id FROM users)",
        "SELECT count(*) FROM analytics_events WHERE typeof(client_ip) = 'blob'",
        "SELECT count(*) FROM settings WHERE typeof(value) = 'real'",
        "SELECT count(*) FROM content_search WHERE content_search MATCH 'learner'",
        "SELECT count(*) FROM sqlite_sequence WHERE name = 'users' AND seq > 300",
        "SELECT count(*) FROM sqlite_stat1",
        "SELECT count(*) FROM pragma_table_list WHERE wr",
        "SELECT count(*) FROM pragma_table_xinfo('content') WHERE hidden = 2",
        "SELECT count(*) FROM pragma_table_xinfo('content') WHERE hidden = 3",
        "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'",
        "SELECT count(*) FROM active_users",
        "SELECT count(*) FROM content_popularity WHERE sessions > 0",
        "SELECT count(*) FROM user_scores",
        "SELECT count(*) FROM users_backup_2019",
    ],
)
def test_it_has_what_it_is_to_show(database: sqlite3.Connection, query: str) -> None:
    assert one(database, query)


def test_its_json_is_json(database: sqlite3.Connection) -> None:
    for column in ("preferences FROM learning_profiles", "questions FROM assessments"):
        for (text,) in database.execute(f"SELECT {column}"):
            json.loads(text)


def test_the_mapping_names_what_is_there(database: sqlite3.Connection) -> None:
    mapping = tomllib.loads((EXAMPLE / "mapping.toml").read_text(encoding="utf-8"))
    for table, said in mapping["tables"].items():
        columns = {row[1] for row in database.execute(f"PRAGMA table_xinfo({table})")}
        assert columns, table
        assert columns >= set(said.get("columns", ())), table
