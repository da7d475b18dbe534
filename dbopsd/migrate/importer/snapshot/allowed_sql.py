"""The SQL that may run on an untrusted file. Everything not listed here is rejected."""

import sqlite3
from typing import Final

OWN_PRAGMAS: Final = frozenset(
    {
        "encoding",
        "user_version",
        "application_id",
        "table_list",
        "table_xinfo",
        "index_list",
        "index_xinfo",
        "foreign_key_list",
        "cell_size_check",
        "ignore_check_constraints",
        "quick_check",
        "integrity_check",
    }
)
"""Those that our own statements need."""

RECOVERY_PRAGMAS: Final = frozenset({"synchronous", "journal_mode"})
"""Those that play back a journal or a `-wal` file, in a copy."""

# Operators are functions, too. None of these reaches files, memory or other connections.
_NAMES: Final = """
    -> ->> abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling char coalesce concat
    concat_ws cos cosh count cume_dist current_date current_time current_timestamp date
    datetime degrees dense_rank exp first_value floor format glob group_concat hex if ifnull
    iif instr json json_array json_array_insert json_array_length json_error_position
    json_extract json_group_array json_group_object json_insert json_object json_patch
    json_pretty json_quote json_remove json_replace json_set json_type json_valid jsonb
    jsonb_array jsonb_array_insert jsonb_extract jsonb_group_array jsonb_group_object
    jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set julianday lag
    last_value lead length like likelihood likely ln log log10 log2 lower ltrim max median min
    mod nth_value ntile nullif octet_length percent_rank percentile percentile_cont
    percentile_disc pi pow power printf quote radians random randomblob rank replace round
    row_number rtrim sign sin sinh soundex sqlite_version sqrt strftime string_agg substr
    substring subtype sum tan tanh time timediff total trim trunc typeof unhex unicode unistr
    unistr_quote unixepoch unlikely upper zeroblob
"""

FUNCTIONS: Final = frozenset(_NAMES.split())
"""What SQL of a mapping may call, and what our own statements do."""

PRAGMA_TABLES: Final = "pragma_"
"""How the names of the tables begin that PRAGMAs can be read as."""

_SCHEMA: Final = frozenset({"sqlite_master", "sqlite_schema"})


class Authorizer:
    """Asked by SQLite about each thing that a statement does, when it is compiled."""

    def __init__(
        self,
        pragmas: frozenset[str] = frozenset(),
        own_names: frozenset[str] | None = None,
    ) -> None:
        """`own_names`: what the file has that is named as SQLite's own tables are; None: any."""
        self._pragmas = pragmas
        self._own_names = own_names
        self.refused = ""
        """What was refused last, in words."""

    def __call__(
        self,
        action: int,
        first: str | None,
        second: str | None,
        _database: str | None,
        _cause: str | None,
    ) -> int:
        refused = self._refusal(action, first or "", second or "")
        if not refused:
            return sqlite3.SQLITE_OK
        self.refused = refused
        return sqlite3.SQLITE_DENY

    def _refusal(self, action: int, first: str, second: str) -> str:
        """Why not; empty: it may be done."""
        match action:
            case sqlite3.SQLITE_SELECT | sqlite3.SQLITE_RECURSIVE:
                return ""
            case sqlite3.SQLITE_READ if self._own_names is not None:
                folded = first.lower()
                virtual = folded.startswith(PRAGMA_TABLES) and folded not in self._own_names
                return f"reads {first}" if virtual else ""
            case sqlite3.SQLITE_READ:
                return ""
            case sqlite3.SQLITE_FUNCTION:
                return "" if second.lower() in FUNCTIONS else f"calls {second}()"
            case sqlite3.SQLITE_PRAGMA:
                return "" if first.lower() in self._pragmas else f"has PRAGMA {first}"
            case sqlite3.SQLITE_UPDATE if first in _SCHEMA:
                # A table-valued function makes its table known so. DEFENSIVE has real ones fail.
                return ""
            case _:
                return "does more than to read"
