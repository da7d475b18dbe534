"""What was said of scripts that this process has looked at: of the same text, the same is said."""

import hashlib
from functools import cache
from typing import Final

from cachetools import LRUCache

from dbopsd.migrate.versions.check.inspection import Inspected
from dbopsd.migrate.versions.check.squawk import LintAnswer
from dbopsd.migrate.versions.model.migration_file import Script

_MOST_ITEMS: Final = 50_000
"""Of all that is kept, each a few hundred bytes."""

Verdict = tuple[Inspected, LintAnswer]
Key = tuple[bytes, bool, int, str]


class KeptVerdicts:
    """Verdicts by text, mode, the server's major version and the ledger's schema, the last used."""

    def __init__(self, most_items: int = _MOST_ITEMS) -> None:
        self._most_items = most_items
        self._verdicts: LRUCache[Key, Verdict] = LRUCache(most_items, getsizeof=_items)

    def get(self, key: Key) -> Verdict | None:
        """What was said of it; None: nothing that is kept."""
        return self._verdicts.get(key)

    def keep(self, key: Key, verdict: Verdict) -> None:
        """Keep a verdict, unless it is none or too large."""
        inspected, linted = verdict
        if not (inspected.failure or linted.failure) and _items(verdict) <= self._most_items:
            self._verdicts[key] = verdict


@cache
def kept_verdicts() -> KeptVerdicts:
    """Those of this process."""
    return KeptVerdicts()


def key_of(script: Script, major: int, schema: str) -> Key:
    """What a script is known by. It takes time with the length of its text."""
    return hashlib.sha256(script.text.encode()).digest(), script.transactional, major, schema


def _items(verdict: Verdict) -> int:
    inspected, linted = verdict
    found = (inspected.places, inspected.statements, inspected.dismissed, inspected.skipped)
    return 1 + sum(map(len, found)) + len(linted.places)
