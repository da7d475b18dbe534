"""Which columns of a table a plan reads it all to compare, and which indexes would serve that."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Final

_MOST: Final = 6
# A comparison stands in parentheses of its own, and so does a column whose type is cast. What comes
# after a name is an argument of a function.
_COMPARED: Final = (
    r"(?<![\w\"])\((?:\((?:{alias}\.)?{column}\)::[a-z ]+|(?:{alias}\.)?{column}) (=|<=|>=|<|>) "
)


@dataclass(frozen=True, slots=True)
class Scan:
    """A node of a plan that reads a whole table and keeps what its filter lets pass."""

    schema: str
    table: str
    alias: str
    filter: str
    rows: float
    cost: float


def scans_in(plan: Mapping[str, Any]) -> Iterator[Scan]:
    """The sequential scans with a filter in a plan of EXPLAIN (VERBOSE, FORMAT JSON)."""
    if plan["Node Type"] == "Seq Scan" and "Filter" in plan and "Schema" in plan:
        yield Scan(
            plan["Schema"],
            plan["Relation Name"],
            plan["Alias"],
            plan["Filter"],
            float(plan["Plan Rows"]),
            float(plan["Total Cost"]),
        )
    for below in plan.get("Plans", ()):
        yield from scans_in(below)


def candidates(
    scan: Scan, columns: Sequence[tuple[str, str]], indexes: Sequence[Sequence[str]]
) -> list[tuple[str, ...]]:
    """Columns of B-tree indexes that would serve the filter, and that no index leads with.

    `columns` are the table's, each with its quoted name. A column compared for equality comes
    first in an index; after one for a range, a further column is of no use.
    """
    equal, ranged = [], []
    for name, quoted in columns:
        pattern = _COMPARED.format(alias=r"[^\s().]+", column=re.escape(quoted))
        operators = {found[1] for found in re.finditer(pattern, scan.filter)}
        if "=" in operators:
            equal.append(name)
        elif operators:
            ranged.append(name)
    wanted: list[tuple[str, ...]] = [(name,) for name in (*equal, *ranged)]
    wanted += permutations(equal, 2)
    wanted += [(first, second) for first in equal for second in ranged]
    served = {tuple(each[:length]) for each in indexes for length in (1, 2)}
    return [each for each in wanted if each not in served][:_MOST]
