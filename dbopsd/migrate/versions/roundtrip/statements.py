"""The statements of this package."""

from typing import Final

from dbopsd.db.statement import Statement, load_sql

_PACKAGE: Final = "dbopsd.migrate.versions.roundtrip"


def load(name: str) -> Statement:
    """The statement of a file."""
    return load_sql(_PACKAGE, f"sql/{name}.sql").statement
