"""Names in PostgreSQL: those of the file, if PostgreSQL allows them."""

import hashlib
from typing import Final

from dbopsd.db.identifiers import MAX_BYTES
from dbopsd.migrate.importer.model.requests import IdentifierCase

_HASH_LENGTH: Final = 8
_SYSTEM_COLUMNS: Final = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
_NAMELESS: Final = "unnamed"


class Namespace:
    """The names of one schema, or of one table's columns or constraints. None is given twice.

    SQLite's names differ by more than case; PostgreSQL's may differ by case alone.
    """

    def __init__(self, style: IdentifierCase, *, columns: bool = False) -> None:
        self._style = style
        self._columns = columns
        self._taken: set[str] = set()

    def take(self, name: str) -> tuple[str, str]:
        """The name to use for `name`, and why it differs; empty: it does not."""
        wanted = name.lower() if self._style is IdentifierCase.LOWER else name
        reason = "names are to be lower case" if wanted != name else ""
        if not wanted:
            wanted, reason = _NAMELESS, "PostgreSQL has no empty names"
        if self._columns and wanted in _SYSTEM_COLUMNS:
            wanted, reason = f"{wanted}_", f"'{wanted}' is a system column in PostgreSQL"
        if len(wanted.encode()) > MAX_BYTES:
            wanted, reason = shortened(wanted, name), f"PostgreSQL's names have {MAX_BYTES} bytes"
        if wanted in self._taken:
            reason = f"'{wanted}' stands for another already"
            number = 2
            while (candidate := with_suffix(wanted, f"_{number}")) in self._taken:
                number += 1
            wanted = candidate
        self._taken.add(wanted)
        return wanted, reason


def shortened(wanted: str, name: str) -> str:
    """The beginning of `wanted`, with a hash of the whole `name`, so that none collide."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return with_suffix(wanted, f"_{digest}")


def with_suffix(name: str, suffix: str) -> str:
    """`name` with `suffix`; `name` is cut if both are too long together."""
    room = MAX_BYTES - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix
