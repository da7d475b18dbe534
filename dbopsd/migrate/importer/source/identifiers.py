"""Names as they stand in SQL that SQLite is asked."""


def quoted(name: str) -> str:
    """A quoted name, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'
