"""How much a finding counts in the live database, and in the plan that it is part of."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from dbopsd.migrate.versions.check.live_tables import LiveTables
from dbopsd.migrate.versions.check.rule import Weight
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Name, same_name

LARGE_PAGES: Final = 6_400
"""50 MiB in pages of 8 KiB: about what a server scans or writes anew within half a second, which is
how long writers may stall by default (`lock_budget_ms`)."""


@dataclass
class PlanTables:
    """The relations that the plan creates or renames, up to the statement that is looked at."""

    live: LiveTables | None
    """None: not known."""
    _created: dict[str, set[str]] = field(default_factory=dict)
    """Schemas by name."""
    _renamed: dict[Name, Name] = field(default_factory=dict)

    def create(self, names: Iterable[Name]) -> None:
        """The plan creates them."""
        for schema, name in names:
            self._created.setdefault(name, set()).add(schema)

    def rename(self, old: Name, new: Name) -> None:
        """The plan gives one another name."""
        self._renamed[new] = self._origin(old)

    def pages(self, names: Iterable[Name]) -> int | None:
        """The size of the largest that are in use; None: all are new, or not there."""
        sizes = [self._pages(self._origin(name)) for name in names]
        return max((size for size in sizes if size is not None), default=None)

    def is_partitioned(self, names: Iterable[Name]) -> bool:
        """Whether the database has these, and they have partitions."""
        live = self.live
        return live is not None and any(live.is_partitioned(self._origin(name)) for name in names)

    def _origin(self, name: Name) -> Name:
        found = self._renamed.get(name)
        if found is None:
            found = next((old for new, old in self._renamed.items() if same_name(new, name)), name)
        return found

    def _pages(self, name: Name) -> int | None:
        schemas = self._created.get(name[1], set())
        if any(same_name(name, (schema, name[1])) for schema in schemas):
            return None
        return 0 if self.live is None else self.live.pages(name)


def weighed(
    severity: Severity, weight: Weight, names: tuple[Name, ...], tables: PlanTables, *, new: bool
) -> Severity | None:
    """The severity of a finding about these relations; None: it is none.

    `new`: the same file creates all of them.
    """
    if weight is Weight.ALWAYS or not names:
        return severity
    if weight is Weight.DATA:
        return None if new else severity
    if weight is Weight.PARTITIONED:
        return severity if tables.is_partitioned(names) else None
    pages = tables.pages(names)
    if new or pages is None:
        return None
    large = weight is Weight.SIZE and pages > LARGE_PAGES
    return Severity.ERROR if large else severity


def in_rollback(severity: Severity) -> Severity:
    """The severity in a rollback: to take away is what it is for, and nobody could override it."""
    return Severity.WARNING if severity is Severity.ERROR else severity
