"""The one place where a SQLite file that came from outside is opened.

Whatever is in such a file, and whatever SQL somebody wrote for it, can read the file and compute,
within limits. A process that opens one serves nobody else (see `processes/limits.py`): SQLite has
had errors, too.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from dbopsd.migrate.importer.processes.limits import is_out_of_time, sqlite_heap_bytes
from dbopsd.migrate.importer.snapshot.allowed_sql import (
    OWN_PRAGMAS,
    PRAGMA_TABLES,
    RECOVERY_PRAGMAS,
    Authorizer,
)
from dbopsd.migrate.importer.snapshot.sqlite_library import (
    ConnectionT,
    connect_restricted,
    json_is_taken_for_unsafe,
)

if TYPE_CHECKING:
    import pyarrow as pa

# https://sqlite.org/security.html proposes lower ones where possible. Files hold wide tables and
# long statements, so those that a file can run into by right stay at SQLite's own.
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 10_000_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 2_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 1_000,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 500,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 127,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 32_766,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_LEAST_LENGTH: Final = 64 * 2**20
_MOST_LENGTH: Final = 1_000_000_000
# Some milliseconds apart: each look is a call into Python, in the middle of a scan.
_OPCODES_BETWEEN_LOOKS: Final = 100_000


# SQLite opens a table without a rowid only where it has the collation of the key.
_LACKING_COLLATIONS: Final = """
    SELECT DISTINCT x.coll FROM main.sqlite_schema AS s
    JOIN pragma_index_list(s.name, 'main') AS i JOIN pragma_index_xinfo(i.name, 'main') AS x
    WHERE s.type = 'table' AND s.sql LIKE '%WITHOUT%ROWID%' AND i.origin = 'pk'
        AND upper(x.coll) NOT IN ('BINARY', 'NOCASE', 'RTRIM')
"""


_JSON_IN_SCHEMA: Final = """
    SELECT EXISTS (
        SELECT 1 FROM main.sqlite_schema WHERE sql LIKE '%json%' OR sql LIKE '%->%'
    )
"""


class _Connection(sqlite3.Connection):
    """A connection that reads keys whose collation only their application has.

    It reads them in the order in which they are stored. Nothing can be compared by such a
    collation: a statement that does is interrupted, and `compared_by` names the collation.
    """

    compared_by = ""

    def add_stand_in(self, collation: str) -> None:
        """Let SQLite open tables whose key has the collation."""

        def refuse(_one: str, _other: str) -> int:
            self.compared_by = collation
            self.interrupt()
            return 0

        self.create_collation(collation, refuse)


def open_immutable(
    path: Path, *, cancelled: Callable[[], bool] = lambda: False, stand_ins: bool = True
) -> sqlite3.Connection:
    """A connection to a file that nothing writes to. It takes no locks and makes no files.

    Its statements are our own: what a mapping has in SQL belongs into `mapping_sql`. They are
    interrupted once this process has used up its time, and when `cancelled` says so. With
    `stand_ins` it opens tables whose key has a collation that only the application has, but
    compares nothing by it.
    """

    def connect() -> _Connection:
        connection = connect_restricted(
            lambda: sqlite3.connect(
                f"{uri_of(path)}&mode=ro", uri=True, isolation_level=None, factory=_Connection
            )
        )
        return _restricted(connection, path, OWN_PRAGMAS, cancelled)

    connection = connect()
    lacking = _lacking_collations(connection) if stand_ins else ()
    if lacking:
        # SQLite looks for them once, when it reads the schema.
        connection.close()
        connection = connect()
        for collation in lacking:
            connection.add_stand_in(collation)
    return connection


def _lacking_collations(connection: sqlite3.Connection) -> list[str]:
    try:
        return [name for (name,) in connection.execute(_LACKING_COLLATIONS)]
    except sqlite3.DatabaseError:
        # The first statement of the caller fails as well, and the caller says what is wrong.
        return []


def open_for_recovery(copy: Path) -> sqlite3.Connection:
    """A connection that plays back what lies beside a private copy."""
    connection = connect_restricted(lambda: sqlite3.connect(copy, isolation_level=None))
    return _restricted(connection, copy, RECOVERY_PRAGMAS, lambda: False)


@contextmanager
def mapping_sql(connection: sqlite3.Connection) -> Iterator[Authorizer]:
    """Have statements refused that do more than SQL of a mapping may.

    What is given says what was refused, after an error.
    """
    names = connection.execute("SELECT CAST(name AS BLOB) FROM main.sqlite_schema").fetchall()
    folded = (bytes(name).decode("utf-8", "replace").lower() for (name,) in names if name)
    authorizer = Authorizer(
        own_names=frozenset(name for name in folded if name.startswith(PRAGMA_TABLES))
    )
    connection.set_authorizer(authorizer)
    try:
        yield authorizer
    finally:
        connection.set_authorizer(Authorizer(OWN_PRAGMAS))
        if isinstance(connection, _Connection) and connection.compared_by:
            lacking, connection.compared_by = connection.compared_by, ""
            raise sqlite3.OperationalError(f"no such collation sequence: {lacking}")


def check_mapping_sql(path: Path, sql: str) -> None:
    """Compile a statement with SQL of a mapping in it. Raises `sqlite3.Error`."""
    with (
        contextlib.closing(open_immutable(path)) as connection,
        mapping_sql(connection) as authorizer,
    ):
        try:
            connection.execute(f"EXPLAIN {sql}").close()
        except sqlite3.DatabaseError as error:
            if authorizer.refused:
                raise sqlite3.DatabaseError(f"it {authorizer.refused}") from error
            raise


def read_arrow(path: Path, sql: str, batch_rows: int) -> "Generator[pa.RecordBatch, None, None]":
    """The rows of a statement as Arrow batches, by a driver that has a SQLite of its own.

    That one cannot be restricted as ours is: what has SQL of a mapping in it must have passed
    `check_mapping_sql`. Raises `adbc_driver_manager.Error`.
    """
    import adbc_driver_manager as adbc  # noqa: PLC0415 # most processes go without it
    import adbc_driver_sqlite  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    # Not by the driver's DB-API, which loads four times as much as all else here.
    with (
        adbc_driver_sqlite.connect(uri_of(path)) as database,
        adbc.AdbcConnection(database) as connection,
    ):
        for setting in ("trusted_schema = OFF", f"hard_heap_limit = {sqlite_heap_bytes()}"):
            with adbc.AdbcStatement(connection) as statement:
                statement.set_sql_query(f"PRAGMA {setting}")
                stream, _ = statement.execute_query()
                pa.RecordBatchReader.from_stream(stream).read_all()
        with adbc.AdbcStatement(connection) as statement:
            statement.set_options(**{"adbc.sqlite.query.batch_rows": str(batch_rows)})
            statement.set_sql_query(sql)
            stream, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(stream) as batches:
                yield from batches


def uri_of(path: Path) -> str:
    """The file as SQLite's URIs name it, for reading what nothing writes to."""
    return f"file:{quote(str(path.absolute()))}?immutable=1"


def _restricted(
    connection: ConnectionT,
    path: Path,
    pragmas: frozenset[str],
    cancelled: Callable[[], bool],
) -> ConnectionT:
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    # No value in a file is larger than the file, and little that is computed is much larger.
    size = path.stat().st_size if path.exists() else 0
    connection.setlimit(
        sqlite3.SQLITE_LIMIT_LENGTH, min(max(2 * size, _LEAST_LENGTH), _MOST_LENGTH)
    )
    connection.execute(f"PRAGMA hard_heap_limit = {sqlite_heap_bytes()}").close()
    connection.set_progress_handler(
        lambda: int(is_out_of_time() or cancelled()), _OPCODES_BETWEEN_LOOKS
    )
    if _calls_json(connection) and json_is_taken_for_unsafe():
        connection.execute("PRAGMA trusted_schema = ON").close()
    connection.set_authorizer(Authorizer(pragmas))
    return connection


def _calls_json(connection: sqlite3.Connection) -> bool:
    """Whether the schema may call a function of JSON's."""
    try:
        return bool(connection.execute(_JSON_IN_SCHEMA).fetchone()[0])
    except sqlite3.DatabaseError:
        # Perhaps for that very reason. If not, the first statement of the caller fails as well.
        return True
