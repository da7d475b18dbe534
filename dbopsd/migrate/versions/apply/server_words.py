"""What of the server's words about a statement that failed everybody may read.

Errors about data quote them, and lists, operations and the ledger are read by more people than the
rows are.
"""

from dataclasses import dataclass
from typing import Final

from dbopsd.db.errors import ScriptFailed, one_line, shortened
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.sql.excerpt import without_values

# The classes of SQLSTATE whose errors may quote data: of values, constraints, and PL/pgSQL.
_ABOUT_DATA: Final = ("22", "23", "P0")
# The server's own words for these name constraints and columns; only their details quote rows.
_NAME_OBJECTS: Final = ("23", "22012")
_SYNTAX_ERROR: Final = "42601"


@dataclass(frozen=True)
class ServerWords:
    """Why a statement failed. `detail`: what only those may read who may see rows."""

    public: str
    detail: str = ""

    @classmethod
    def of(cls, error: ScriptFailed, script: Script) -> "ServerWords":
        """What the server said of a statement of `script`."""
        said = (error.cause, error.detail, error.hint)
        message, detail, hint = (one_line(shortened(each)) for each in said)
        if not _may_quote(error):
            return cls(without_values(_joined(message, detail, hint), script))
        if _names_objects(error) or _is_written(message, error, script):
            return cls(without_values(_joined(message, hint), script), detail)
        named = f"{error.condition} (SQLSTATE {error.sqlstate})".strip()
        return cls(named, _joined(message, detail, hint))


def _may_quote(error: ScriptFailed) -> bool:
    # A syntax error without a place is one in a statement that was put together from data.
    put_together = error.sqlstate == _SYNTAX_ERROR and error.position is None
    return error.sqlstate.startswith(_ABOUT_DATA) or put_together


def _names_objects(error: ScriptFailed) -> bool:
    return error.sqlstate.startswith(_NAME_OBJECTS) and not error.raised


def _is_written(message: str, error: ScriptFailed, script: Script) -> bool:
    """Whether the message of a RAISE stands in the file as it is."""
    return error.raised and bool(message) and message in without_values(script.text, script)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
