"""SQLite files from outside: one door, and little that can be done behind it."""

import ast
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable
from dbopsd.migrate.importer.snapshot import reader
from dbopsd.migrate.importer.snapshot.open_sqlite import (
    check_mapping_sql,
    mapping_sql,
    open_for_recovery,
    open_immutable,
)
from dbopsd.migrate.importer.snapshot.reader import TableUnreadable
from tests.support.loaded_modules import loaded_modules

ROOT = Path(__file__).parents[4]
DOORS = {"open_sqlite.py", "sqlite_library.py"}
# Files of the daemon's own, which nobody else writes.
OWN_FILES = {
    "metrics/history/reader.py",
    "metrics/history/store.py",
    "metrics/advice/usage/store.py",
}

FILE = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, g TEXT AS (upper(a)));
INSERT INTO t VALUES (1, 'x'), (2, 'y');
CREATE VIRTUAL TABLE f USING fts5(x);
CREATE VIRTUAL TABLE f4 USING fts4(x);
CREATE VIRTUAL TABLE r USING rtree(i, x0, x1);
CREATE TABLE pragma_notes (a);
INSERT INTO pragma_notes VALUES (7);
CREATE VIEW endless AS
  WITH RECURSIVE q(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM q) SELECT n FROM q;
"""

REFUSED = {
    "fts3_tokenizer('simple', x'4141414141414141') IS NOT NULL": "calls fts3_tokenizer()",
    "load_extension('/tmp/x.so') IS NULL": "calls load_extension()",
    "sqlite_compileoption_get(1) = ''": "calls sqlite_compileoption_get()",
    "matchinfo(a) = ''": "calls matchinfo()",
    "id IN (SELECT cid FROM pragma_table_info('t'))": "reads pragma_table_info",
    "id IN (SELECT 1 FROM pragma_database_list)": "reads pragma_database_list",
    "id IN (SELECT 1 FROM pragma_integrity_check)": "reads pragma_integrity_check",
    "id IN (SELECT 1 FROM f)": "no such module: fts5",
    "id IN (SELECT 1 FROM f4)": "no such module: fts4",
    "id IN (SELECT 1 FROM r)": "no such module: rtree",
    "id IN (SELECT 1 FROM dbstat)": "no such table: dbstat",
    "id IN (SELECT 1 FROM sqlite_dbpage)": "no such table: sqlite_dbpage",
    "id IN (SELECT 1 FROM sqlite_stmt)": "no such table: sqlite_stmt",
    "id IN (SELECT 1 FROM fts3tokenize('simple', 'a'))": "no such table: fts3tokenize",
    "readfile('/etc/passwd') IS NULL": "no such function: readfile",
    "writefile('/tmp/x', 'a')": "no such function: writefile",
    "edit('a') = ''": "no such function: edit",
    "1); ATTACH '/tmp/x' AS x; SELECT (1": "one statement at a time",
    "id IN (" + " UNION ALL ".join(["SELECT 1"] * 600) + ")": "too many terms",
    "1" + " + 1" * 1200: "Expression tree is too large",
    "a LIKE x": "no such column: x",
}
ALLOWED = (
    "a LIKE 'x%' AND id BETWEEN 1 AND 5",
    "id IN (SELECT id FROM t AS o WHERE o.a = 'y')",
    "EXISTS (SELECT 1 FROM json_each('[1, 2]') WHERE value = id)",
    "json_extract('{\"a\": 1}', '$.a') = 1 AND '{\"a\":1}' -> 'a' = '1'",
    "date('2024-01-31', '+1 month') > strftime('%Y', 'now')",
    "id IN (WITH q(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM q LIMIT 9) SELECT n FROM q)",
    "id < (SELECT a FROM pragma_notes)",
    "a = \"y\" OR substr(a, 1, 1) IN ('x')",
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FILE)
    return path


@pytest.mark.parametrize("condition", REFUSED)
def test_what_sql_of_a_mapping_may_not(path, condition):
    with pytest.raises(sqlite3.Error) as error:
        check_mapping_sql(path, f"SELECT a FROM main.t WHERE (\n{condition}\n)")
    assert REFUSED[condition].lower() in str(error.value).lower()
    planned = PlannedTable(
        "t", "t", (PlannedColumn("a", "a", "text", "text", "", "text"),), where=condition
    )
    # Neither way of reading comes to run it.
    for more in ({}, {"batch_bytes": 1}):
        with pytest.raises(TableUnreadable):
            list(reader.read_table(path, planned, **more))


@pytest.mark.parametrize("condition", ALLOWED)
def test_what_sql_of_a_mapping_may(path, condition):
    check_mapping_sql(path, f"SELECT a FROM main.t WHERE (\n{condition}\n)")
    planned = PlannedTable(
        "t", "t", (PlannedColumn("a", "a", "text", "text", "", "text"),), where=condition
    )
    found = [
        sum(batch.rows for batch in reader.read_table(path, planned, **more))
        for more in ({}, {"batch_bytes": 1})
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '/tmp/other.db' AS other",
        "INSERT INTO t (a) VALUES ('z')",
        "DELETE FROM t",
        "UPDATE sqlite_master SET sql = ''",
        "CREATE TABLE u (a)",
        "CREATE TEMP TABLE u (a)",
        "DROP VIEW endless",
        "PRAGMA writable_schema = ON",
        "PRAGMA trusted_schema = ON",
        "PRAGMA hard_heap_limit = 0",
        "PRAGMA temp_store_directory = '/tmp'",
        "VACUUM INTO '/tmp/copy.db'",
        "SAVEPOINT a",
        "REINDEX",
        "ANALYZE",
    ],
)
def test_nothing_but_reading(path, statement):
    before = path.read_bytes()
    for connection in (open_immutable(path), open_for_recovery(path)):
        with closing(connection), pytest.raises(sqlite3.DatabaseError):
            connection.execute(statement)
    assert path.read_bytes() == before


def test_a_connection_trusts_nothing(path):
    unrestricted = sqlite3.connect(path)
    with closing(unrestricted), closing(open_immutable(path)) as connection:
        connection.set_authorizer(None)
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match="no such module"):
            connection.execute("SELECT * FROM f")
        # What a hole in the list of functions would lead to.
        for call in ("fts3_tokenizer('simple')", "fts5(1)", "snippet(1)", "load_extension('x')"):
            with pytest.raises(sqlite3.OperationalError):
                connection.execute(f"SELECT {call}").fetchall()
        assert connection.getlimit(sqlite3.SQLITE_LIMIT_ATTACHED) == 0
        assert connection.getlimit(sqlite3.SQLITE_LIMIT_WORKER_THREADS) == 0
        # Nobody else's connection is another for that.
        assert unrestricted.execute("SELECT * FROM f").fetchall() == []
        assert unrestricted.execute("PRAGMA trusted_schema").fetchone() == (1,)


@pytest.mark.parametrize("call", ["zeroblob(1e9)", "printf('%.*c', 1e9, 'x')", "randomblob(1e9)"])
def test_values_much_larger_than_the_file_are_not_made(path, call):
    with closing(open_immutable(path)) as connection, mapping_sql(connection):
        try:
            found = connection.execute(f"SELECT length({call}) FROM t").fetchall()
        except sqlite3.DatabaseError as error:
            assert "too big" in str(error)  # noqa: PT017 # some are cut instead
        else:
            assert all((length or 0) < 2**26 for (length,) in found)


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE e (a, b AS (fts3_tokenizer('simple', a)))",
        "CREATE TABLE e (a, b AS (load_extension(a)))",
        "CREATE TABLE e (a, b AS (snippet(a)))",
    ],
)
def test_the_schema_calls_harmless_functions_only(tmp_path, ddl):
    path = tmp_path / "schema.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE e (a, b AS (upper(a)))")
        connection.execute("INSERT INTO e VALUES ('x')")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = ?", (ddl,))
        connection.commit()
    with closing(open_immutable(path)) as connection, pytest.raises(sqlite3.DatabaseError):
        connection.execute("SELECT b FROM e").fetchall()
    planned = PlannedTable("e", "e", (PlannedColumn("b", "b", "text", "text", "", "text"),))
    with pytest.raises(TableUnreadable):
        list(reader.read_table(path, planned))


def test_an_endless_view_ends_with_the_time_of_its_process(path):
    program = f"""
import resource, sqlite3
from pathlib import Path
from dbopsd.migrate.importer.snapshot.open_sqlite import is_out_of_time, mapping_sql, open_immutable
from dbopsd.migrate.importer.processes.limits import Budget, Limits
Budget(Limits(memory_bytes=2**30, cpu_s=0.5)).begin("", writes=False)
connection = open_immutable(Path({str(path)!r}))
with mapping_sql(connection):
    try:
        connection.execute("SELECT count(*) FROM endless").fetchone()
    except sqlite3.OperationalError as error:
        print(error, is_out_of_time())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "interrupted True\n", done.stderr


def test_sqlite_has_half_of_the_memory_of_its_process(path):
    program = f"""
import resource, sqlite3
from pathlib import Path
from dbopsd.migrate.importer.snapshot import open_sqlite
resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))
connection = open_sqlite.open_immutable(Path({str(path)!r}))
connection.set_authorizer(None)
print(*connection.execute("PRAGMA hard_heap_limit").fetchone())
sql = "SELECT 0 AS a UNION ALL SELECT length(group_concat(hex(zeroblob(4e8)))) FROM t"
try:
    list(open_sqlite.read_arrow(Path({str(path)!r}), sql, 10))
except Exception as error:
    print(str(error).split(":")[-1].strip())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    # ADBC's own SQLite has the same limit.
    assert done.stdout == f"{2**29}\nout of memory\n", done.stderr


def test_there_is_one_door():
    opened = {}
    for source in (ROOT / "dbopsd").rglob("*.py"):
        if source.relative_to(ROOT / "dbopsd").as_posix() in OWN_FILES:
            continue
        tree = ast.parse(source.read_text())
        aliases = {"sqlite3", "adbc_driver_sqlite", "_sqlite3"}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                aliases |= {
                    each.asname
                    for each in node.names
                    if each.asname and each.name.split(".")[0] in aliases
                }
            names = (
                {each.name for each in node.names}
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in aliases
                else set()
            )
            called = (
                isinstance(node, ast.Attribute)
                and node.attr in ("connect", "Connection", "dbapi")
                and isinstance(node.value, ast.Name)
                and node.value.id in aliases
                and node.attr == "connect"
            )
            if called or names & {"connect", "dbapi"}:
                opened.setdefault(source.name, []).append(node.lineno)
    assert set(opened) == DOORS, opened


def test_a_worker_loads_no_parser_and_opens_nothing():
    loaded = loaded_modules(
        "from dbopsd.migrate.importer import plan_import, revert_import, run_import, verify_import"
    )
    unwanted = (
        "sqlglot",
        "adbc",
        "dbopsd.migrate.importer.translate",
        "dbopsd.migrate.importer.snapshot.open_sqlite",
        "dbopsd.migrate.importer.snapshot.sqlite_library",
    )
    assert "dbopsd.migrate.importer.run_import" in loaded
    assert [name for name in loaded if name.startswith(unwanted)] == []


@pytest.fixture
def tagged(tmp_path):
    """A table without a rowid whose key is compared as only its application does."""
    path = tmp_path / "tagged.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("unicase", lambda a, b: (a > b) - (a < b))
        connection.executescript(
            "CREATE TABLE tags (tag TEXT PRIMARY KEY COLLATE unicase, n INT) WITHOUT ROWID;"
            "INSERT INTO tags VALUES ('b', 1), ('a', 2), ('c', 3);"
        )
    return path


def test_a_key_of_an_unknown_collation_is_read_in_its_order(tagged):
    with closing(open_immutable(tagged)) as connection:
        rows = connection.execute("SELECT tag, n FROM tags NOT INDEXED WHERE n > 1").fetchall()
    assert rows == [("a", 2), ("c", 3)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM tags WHERE tag = 'a'",
        "SELECT tag FROM tags WHERE tag = 'c'",
        "SELECT n FROM tags ORDER BY tag DESC, n",
        "SELECT DISTINCT tag || '' COLLATE unicase FROM tags",
    ],
)
def test_nothing_is_compared_by_an_unknown_collation(tagged, query):
    with (
        closing(open_immutable(tagged)) as connection,
        pytest.raises(sqlite3.OperationalError, match="no such collation sequence: unicase"),
        mapping_sql(connection),
    ):
        connection.execute(query).fetchall()


def test_damage_is_not_looked_for_by_an_unknown_collation(tagged):
    with (
        closing(open_immutable(tagged, stand_ins=False)) as connection,
        pytest.raises(sqlite3.OperationalError, match="no such collation sequence"),
    ):
        connection.execute("PRAGMA integrity_check").fetchall()


def test_the_schema_calls_the_functions_of_json(tmp_path):
    path = tmp_path / "json.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE t (b JSON, x AS (json_extract(b, '$.x')), y AS (b ->> '$.y'));"
            """INSERT INTO t VALUES ('{"x": 1, "y": "z"}');"""
        )
    with closing(open_immutable(path)) as connection:
        assert connection.execute("SELECT x, y FROM t").fetchall() == [(1, "z")]


def test_a_schema_that_calls_json_is_trusted_with_nothing_else(tmp_path):
    path = tmp_path / "attack.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE t (b JSON);"
            "CREATE VIEW v AS SELECT json_extract(b, '$'), fts3_tokenizer('simple') FROM t;"
            "CREATE VIEW w AS SELECT json_valid(b), load_extension('x') FROM t;"
            "INSERT INTO t VALUES ('{}');"
        )
    with closing(open_immutable(path)) as connection:
        for view in ("v", "w"):
            with pytest.raises(sqlite3.DatabaseError):
                connection.execute(f"SELECT * FROM {view}").fetchall()
