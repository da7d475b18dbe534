"""The judge of values: each equal under the documented mapping, or named in the report."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.judging import target
from tests.support.judging.overrides import Overrides
from tests.support.judging.report import Report
from tests.support.judging.source import Table
from tests.support.judging.values import (
    Bad,
    Oracle,
    PgType,
    Text,
    Value,
    arrived,
    expected,
)

_SHOWN: Final = 3
_LABEL_LENGTH: Final = 150


@dataclass(frozen=True)
class BadValue:
    """A value that cannot arrive."""

    column: str
    label: str
    reasons: frozenset[str]


@dataclass
class Expectation:
    """What PostgreSQL is to hold of a table."""

    rows: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    bad_rows: int = 0
    bad_values: list[BadValue] = field(default_factory=list)


def expectation(
    table: Table, types: dict[str, PgType], not_null: set[str], overrides: Overrides, oracle: Oracle
) -> Expectation:
    """Of the columns that have a type in `types`, in the table's order."""
    made = Expectation()
    places = [
        (place, column.name, types[column.name])
        for place, column in enumerate(table.columns)
        if column.name in types
    ]
    chosen = overrides.table(table.name)
    policies = [chosen.column(name).on_bad for _, name, _ in places]
    for row, label in zip(table.rows, table.labels, strict=True):
        becomes = []
        good = True
        for (place, name, to), policy in zip(places, policies, strict=True):
            value = expected(row[place], to, oracle)
            if isinstance(value, Bad):
                value = _after_policy(row[place], to, policy, value, oracle)
            if value is None and name in not_null:
                value = Bad(frozenset({"NULL_IN_KEY", "NULL_IN_NOT_NULL"}))
            if isinstance(value, Bad):
                good = False
                made.bad_values.append(BadValue(name, label, value.reasons))
            becomes.append(value)
        if good:
            made.rows[tuple(becomes)] += 1
        else:
            made.bad_rows += 1
    return made


def _after_policy(value: Value, to: PgType, policy: str, problem: Bad, oracle: Oracle) -> Any:
    if policy == "null":
        return None
    if policy == "replace" and isinstance(value, Text):
        text = value.decode(errors="surrogateescape")
        clean = "".join("\ufffd" if c == "\0" or "\udc80" <= c <= "\udcff" else c for c in text)
        return expected(Text(clean.encode()), to, oracle)
    return problem


def judge_rows(
    connection: target.Connection, table: Table, there: target.PgTable, wanted: Expectation
) -> Iterator[str]:
    """Whether the rows in PostgreSQL are those, no more and no fewer."""
    types = [column.type for column in there.columns]
    found = Counter(
        tuple(arrived(text, of) for text, of in zip(row, types, strict=True))
        for row in target.read_rows(connection, there)
    )
    missing, more = wanted.rows - found, found - wanted.rows
    if missing:
        shown = [_shown(row) for row in list(missing)[:_SHOWN]]
        yield f"table {table.name}: {missing.total()} rows are not there: {'; '.join(shown)}"
    if more:
        shown = [_shown(row) for row in list(more)[:_SHOWN]]
        yield f"table {table.name}: {more.total()} rows are not the file's: {'; '.join(shown)}"


def _shown(row: tuple[Any, ...]) -> str:
    text = repr(row)
    return text if len(text) <= 300 else f"{text[:300]}…"


def judge_rejects(
    table: Table, wanted: Expectation, report: Report, max_examples: int
) -> Iterator[str]:
    """Whether every bad value is counted for one of its reasons, and named up to the limit."""
    counted: dict[str, Counter[str]] = {}
    for (name, column, reason), count in report.reject_counts.items():
        if name == table.name:
            counted.setdefault(column, Counter())[reason] += count
    expected_counts = Counter(each.column for each in wanted.bad_values)
    for column in expected_counts.keys() | counted.keys():
        told = counted.get(column, Counter())
        reasons = frozenset().union(
            *(each.reasons for each in wanted.bad_values if each.column == column)
        )
        if told.total() != expected_counts[column]:
            yield (
                f"table {table.name}, column {column}: {expected_counts[column]} values cannot"
                f" arrive for {sorted(reasons)}, and the report counts {dict(told)}"
            )
        elif told.keys() - reasons:
            yield f"table {table.name}, column {column}: {dict(told)} instead of {sorted(reasons)}"
    yield from _judge_names(table, wanted, report, max_examples)


def _judge_names(
    table: Table, wanted: Expectation, report: Report, max_examples: int
) -> Iterator[str]:
    named = [each for each in report.rejects if each["table"] == table.name]
    there = Counter((each.column, each.label[:_LABEL_LENGTH]) for each in wanted.bad_values)
    told = Counter((each["column"], each["key"][:_LABEL_LENGTH]) for each in named)
    if told - there:
        yield f"table {table.name}: rejects that are none: {dict(told - there)} of {dict(there)}"
    least = min(there.total(), max_examples)
    if told.total() < least:
        yield f"table {table.name}: {told.total()} of {there.total()} bad values are named"
    if any(not each["value"] and "NULL" not in each["reason"] for each in named):
        yield f"table {table.name}: a reject without its value: {named}"
