"""Timelines: which one branched off which, and where.

A `.history` file lists the ancestors of its timeline, the oldest first: `1<TAB>0/3000060<TAB>why`
(https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dbopsd.backup.catalog.lsn import Lsn


@dataclass(frozen=True, slots=True)
class Branch:
    """The timeline `timeline` was left at `end` for the next one."""

    timeline: int
    end: Lsn


@dataclass(frozen=True, slots=True)
class History:
    """The ancestors of a timeline, the oldest first."""

    timeline: int
    branches: tuple[Branch, ...] = ()

    def way_from(self, timeline: int, lsn: Lsn) -> list[tuple[int, Lsn, Lsn | None]]:
        """The timelines to read from `lsn` on `timeline` to this one, with start and end.

        The last has no end. Empty where this one does not descend from that place.
        """
        way: list[tuple[int, Lsn, Lsn | None]] = []
        start = lsn
        found = False
        for branch in self.branches:
            found = found or branch.timeline == timeline
            if not found:
                continue
            if branch.end < start:
                return []
            way.append((branch.timeline, start, branch.end))
            start = branch.end
        if found or timeline == self.timeline:
            way.append((self.timeline, start, None))
        return way


def parse_history(timeline: int, text: str) -> History:
    """The history of a timeline from its file. Raises ValueError if it is none."""
    branches = []
    for line in text.splitlines():
        content = line.partition("#")[0].split()
        if not content:
            continue
        if len(content) < 2 or not content[0].isdigit():
            raise ValueError(f"no line of a timeline's history: {line[:80]!r}")
        branches.append(Branch(int(content[0]), Lsn.parse(content[1])))
    numbers = [branch.timeline for branch in branches]
    if numbers != sorted(set(numbers)) or (numbers and numbers[-1] >= timeline):
        raise ValueError(f"the history of timeline {timeline} is in no order")
    return History(timeline, tuple(branches))


def branches_after(
    histories: Mapping[int, History], timeline: int, lsn: Lsn
) -> Sequence[tuple[int, Lsn]]:
    """The timelines that left `timeline` at or after `lsn`, and where."""
    found = []
    for each in histories.values():
        if each.branches and each.branches[-1].timeline == timeline:
            end = each.branches[-1].end
            if end >= lsn:
                found.append((each.timeline, end))
    return sorted(found)
