"""How SQLite understands a declared type, and names, which it compares by ASCII's letters only."""

import string
from typing import Final

from dbopsd.migrate.importer.source.schema import Affinity

_AFFINITIES: Final = (
    (Affinity.INTEGER, ("INT",)),
    (Affinity.TEXT, ("CHAR", "CLOB", "TEXT")),
    (Affinity.BLOB, ("BLOB",)),
    (Affinity.REAL, ("REAL", "FLOA", "DOUB")),
)
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def affinity_of(declared: str, *, strict: bool = False) -> Affinity:
    """https://sqlite.org/datatype3.html#determination_of_column_affinity, its five rules.

    `strict`: the table is STRICT, where ANY keeps every value as it is.
    """
    upper = declared.upper()
    if not upper or (strict and upper == "ANY"):
        return Affinity.BLOB
    for affinity, parts in _AFFINITIES:
        if any(part in upper for part in parts):
            return affinity
    return Affinity.NUMERIC


def folded(name: str) -> str:
    """The same text for all names that SQLite takes for one: `É` and `é` are two."""
    return name.translate(_LOWER)
