"""`dbopsd` with the demo, which counts the statements on a control store in SQLite.

It appends a byte for each, transaction control and PRAGMA included, to the file that
DEMO_STATEMENTS names. A PostgreSQL server counts for itself.
"""

import os
import sqlite3

import sqlalchemy as sa
from sqlalchemy import event

from dbopsd.__main__ import build_cli
from dbopsd.app.features import FEATURES
from tests.support.demo.feature import FEATURE

COUNT_FILE = "DEMO_STATEMENTS"
MODULE = "tests.support.demo.counted"


def _count_statements(path: str) -> None:
    counted = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def trace(connection: object, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(lambda _statement: os.write(counted, b"."))

    event.listen(sa.pool.Pool, "connect", trace)


if __name__ == "__main__":
    _count_statements(os.environ[COUNT_FILE])
    build_cli([*FEATURES, FEATURE], module=MODULE)(prog_name="dbopsd")
