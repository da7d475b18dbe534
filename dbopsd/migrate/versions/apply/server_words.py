"""What of the server's words about a statement that failed everybody may read.

Errors about data quote them, and lists, operations and the ledger are read by more people than the
rows are.
"""

import re
from dataclasses import dataclass
from typing import Final

from dbopsd.db.errors import ScriptFailed, one_line, shortened
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.sql.excerpt import without_values

# The classes of SQLSTATE whose errors may quote data: of values, constraints, and PL/pgSQL.
# Whatever a function raises may, too, with a SQLSTATE of its choice.
_ABOUT_DATA: Final = ("22", "23", "P0")
# The server's own words for these name constraints and columns; only their details quote rows.
_NAME_OBJECTS: Final = ("23", "22012")
# Of names and syntax: without a place in the file they may be of a text that was put together from
# data, or of a value that was taken for a name.
_OF_NAMES: Final = "42"
_NO_PRIVILEGE: Final = "42501"
_QUOTED: Final = re.compile(r'"([^"]+)"')


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
        whole = _joined(message, detail, hint)
        if not _may_quote(error, whole, script):
            return cls(without_values(whole, script))
        if _names_objects(error) or _is_written(message, error, script):
            return cls(without_values(_joined(message, hint), script), detail)
        named = f"{error.condition} (SQLSTATE {error.sqlstate})".strip()
        return cls(named, whole)


def _may_quote(error: ScriptFailed, said: str, script: Script) -> bool:
    if error.raised or error.sqlstate.startswith(_ABOUT_DATA):
        return True
    if not error.sqlstate.startswith(_OF_NAMES) or error.position is not None:
        return False
    # The server's own names what is there already.
    return error.sqlstate != _NO_PRIVILEGE and not _names_the_files(said, script)


def _names_the_files(said: str, script: Script) -> bool:
    """Whether all names that the server quotes stand in the file."""
    text = without_values(script.text, script).casefold()
    names = _QUOTED.findall(said.casefold())
    return bool(names) and all(
        re.search(rf"(?<!\w){re.escape(each)}(?!\w)", text) for each in names
    )


def _names_objects(error: ScriptFailed) -> bool:
    return error.sqlstate.startswith(_NAME_OBJECTS) and not error.raised


def _is_written(message: str, error: ScriptFailed, script: Script) -> bool:
    """Whether the message of a RAISE stands in the file as it is."""
    return error.raised and bool(message) and message in without_values(script.text, script)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
