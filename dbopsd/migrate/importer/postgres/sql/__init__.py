"""The statements in the `.sql` files of this folder."""

from dbopsd.db.statement import Statement, load_sql


def statement(name: str) -> Statement:
    """Load a statement by the name of its file, without the suffix."""
    return load_sql(__name__, f"{name}.sql").statement
