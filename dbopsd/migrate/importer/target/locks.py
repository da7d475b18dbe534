"""Locks on tables that others are using: in short turns, and in an order that suits the others."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from dbopsd.db.errors import DeadlockDetected, LockTimeout
from dbopsd.db.statement import Statement

# So short that whoever waits behind us hardly notices, and shorter than `deadlock_timeout`, at
# which PostgreSQL would end them or us; the transaction is tried again then.
LOCK_TIMEOUT: Final = Statement("SET LOCAL lock_timeout = '500ms'", "SET lock_timeout")


class LockOrder:
    """The order in which tables are locked: what was not to be had comes first at the next try.

    Who reads two tables locks one after the other. To lock them in the other order is to wait for
    a reader that waits for us, again at each try while there are such readers.
    """

    def __init__(self) -> None:
        self._first: list[str] = []

    def sorted(self, names: Iterable[str]) -> list[str]:
        """The names, as they are best taken."""
        ranks = {name: rank for rank, name in enumerate(self._first)}
        return sorted(names, key=lambda name: ranks.get(name, len(ranks)))

    @contextmanager
    def taking(self, name: str) -> Iterator[None]:
        """The lock of that name is taken inside, or not to be had."""
        try:
            yield
        except (LockTimeout, DeadlockDetected):
            self._first = [name, *(other for other in self._first if other != name)]
            raise
