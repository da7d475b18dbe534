"""The statements in the `.sql` files of this folder."""

from dbopsd.db.statement import Statement, load_sql


def statement(name: str) -> Statement:
    """One of them, by its file's name without the suffix."""
    return load_sql(__name__, f"{name}.sql").statement
