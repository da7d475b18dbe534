"""A run, of a row of the ledger as JSON: what somebody edited by hand is an error that names it."""

import dataclasses
from datetime import UTC, datetime
from typing import Any, Final

from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result

_FIELDS: Final = dataclasses.fields(LedgerRun)
_COLUMNS: Final = frozenset(field.name for field in _FIELDS)
_REQUIRED: Final = tuple(field.name for field in _FIELDS if field.default is dataclasses.MISSING)
_PLAIN: Final = tuple(
    (field.name, field.type) for field in _FIELDS if field.type in (str, int, bool)
)
_MOMENTS: Final = ("started_at", "finished_at", "backend_start")
_WORDS: Final[dict[str, dict[str, Direction | Result]]] = {
    "direction": {each.value: each for each in Direction},
    "result": {each.value: each for each in Result},
}
_SHOWN_CHARS: Final = 60


def read_run(columns: dict[str, Any]) -> LedgerRun:
    """The run of a row. Raises ValueError, which says what no dbopsd writes there."""
    # A newer ledger was refused, but somebody may have added a column of their own.
    for unknown in columns.keys() - _COLUMNS:
        del columns[unknown]
    for name in _REQUIRED:
        if columns.get(name) is None:
            raise ValueError(f"no {name}")
    for name, kind in _PLAIN:
        # An older ledger has no such column. A bool is an int for isinstance.
        if name in columns and type(columns[name]) is not kind:
            raise _unknown(name, columns[name])
    for name, words in _WORDS.items():
        word = str(columns[name])
        if word not in words:
            raise _unknown(name, columns[name])
        columns[name] = words[word]
    for name in _MOMENTS:
        if columns.get(name) is not None:
            columns[name] = _moment(name, columns[name])
    if columns.get("indexes_before") is not None:
        columns["indexes_before"] = tuple(columns["indexes_before"])
    return LedgerRun(**columns)


def _moment(name: str, value: object) -> datetime:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        # Infinity, or a year that Python lacks.
        raise _unknown(name, value) from None


def _unknown(name: str, value: object) -> ValueError:
    return ValueError(f"the {name} {repr(value)[:_SHOWN_CHARS]}")
