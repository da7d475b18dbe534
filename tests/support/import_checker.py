"""The judge of imports: did every value and every object of a SQLite file arrive, or is it told of?

It is written apart from the importer, on plain `sqlite3` and plain psycopg, from what the importer
promises: each value is equal under the documented mapping or in the report's rejects; each table,
column, key, index, CHECK, foreign key, default, generated column, view and trigger is there, or in
the report's objects with a reason; and of an import that failed nothing is to be seen.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.judging import target
from tests.support.judging.checks import judge_checks, judge_defaults
from tests.support.judging.objects import Judged, Pair, judge_objects
from tests.support.judging.overrides import Overrides
from tests.support.judging.report import Report
from tests.support.judging.rows import Expectation, expectation, judge_rejects, judge_rows
from tests.support.judging.source import Source, Table, opened
from tests.support.judging.target import PgTable
from tests.support.judging.types import column_types, known_family
from tests.support.judging.values import Bad, PgType, expected, known
from tests.support.judging.views import judge_views

MAX_EXAMPLES: Final = 100
"""How many values a report names of a table, by default."""
_OWN_SCHEMA: Final = "dbops"
_KEPT_SCHEMAS: Final = "dbops_old_"


@dataclass(frozen=True)
class Before:
    """What was there before an import."""

    relations: Mapping[str, str]
    schemas: frozenset[str]


def look(dsn: str, schema: str) -> Before:
    """What is there now: to be given to `complaints` after the import."""
    with target.connect(dsn) as connection:
        return Before(target.relations(connection, schema), frozenset(target.schemas(connection)))


def complaints(
    source: Path,
    dsn: str,
    schema: str,
    report: Mapping[str, Any],
    before: Before,
    *,
    overrides: Overrides | None = None,
    impossible: str = "",
    max_examples: int = MAX_EXAMPLES,
) -> list[str]:
    """What is wrong with an import; empty: nothing.

    `impossible` is a part of the problem that an import may fail for, besides bad values.
    """
    overrides = overrides or Overrides()
    with opened(source, overrides) as found, target.connect(dsn) as connection:
        judge = _Judge(found, connection, schema, Report(report), overrides, max_examples)
        return [*judge.complaints(before, impossible)]


class _Judge:
    def __init__(
        self,
        source: Source,
        connection: target.Connection,
        schema: str,
        report: Report,
        overrides: Overrides,
        max_examples: int,
    ) -> None:
        self._source = source
        self._connection = connection
        self._schema = schema
        self._report = report
        self._overrides = overrides
        self._max_examples = max_examples
        self._types = column_types(source, overrides)
        self._oracle = target.oracle_of(connection)

    def complaints(self, before: Before, impossible: str) -> Iterator[str]:
        yield from self._leftovers(before)
        if self._report.differences:
            yield f"its own verification found differences: {self._report.differences[:3]}"
        if self._report.published:
            yield from self._published(impossible)
        elif self._report.outcome == "FAILED":
            yield from self._failed(before, impossible)
        else:
            yield f"the outcome is {self._report.outcome!r}"

    def _leftovers(self, before: Before) -> Iterator[str]:
        made = target.schemas(self._connection) - before.schemas - {self._schema}
        left = [n for n in made if n != _OWN_SCHEMA and not n.startswith(_KEPT_SCHEMAS)]
        if left:
            yield f"schemas are left behind: {sorted(left)}"

    def _failed(self, before: Before, impossible: str) -> Iterator[str]:
        report = self._report
        now = target.relations(self._connection, self._schema)
        if now != before.relations:
            yield f"it failed, and is to be seen: {sorted(now.keys() ^ before.relations.keys())}"
        if not report.problem:
            yield "it failed without a problem"
        bad_values = 0
        for table in self._source.tables.values():
            if not self._is_chosen(table):
                continue
            chosen = self._overrides.table(table.name)
            types = {
                column.name: self._types[table.name, column.name]
                for column in table.columns
                if not chosen.column(column.name).skip
            }
            not_null = {
                column.name
                for column in table.columns
                if column.not_null and not column.generated and column.name in types
            }
            wanted = self._expectation(table, types, not_null)
            bad_values += len(wanted.bad_values)
            yield from judge_rejects(table, wanted, report, self._max_examples)
        if not bad_values and not (impossible and impossible in report.problem):
            yield f"it failed for no value of the file: {report.problem}"

    def _published(self, impossible: str) -> Iterator[str]:
        report = self._report
        pairs: dict[str, Pair] = {}
        for table in self._source.tables.values():
            pair, problem = self._pair(table, impossible)
            yield from problem
            if pair is not None:
                pairs[table.name] = pair
        rejected = report.outcome == "SUCCEEDED_WITH_REJECTS"
        judged = Judged(self._source, report, self._connection, pairs, not rejected)
        total = 0
        for name, pair in pairs.items():
            unknown = [each.type.shown for each in pair.there.columns if not known(each.type)]
            if unknown:
                yield f"table {name}: the judge does not know {unknown}"
                continue
            wanted = self._wanted(pair)
            total += wanted.bad_rows
            yield from judge_rows(self._connection, pair.table, pair.there, wanted)
            yield from judge_rejects(pair.table, wanted, report, self._max_examples)
            yield from self._judge_counts(name, pair.table, wanted)
            yield from self._judge_types(pair)
            yield from judge_objects(judged, pair)
            yield from judge_checks(judged, pair, self._oracle)
            yield from judge_defaults(judged, pair, self._oracle)
        yield from judge_views(judged, self._schema, self._oracle)
        yield from self._judge_others(pairs)
        if bool(total) != rejected:
            yield f"{total} rows cannot arrive, and the outcome is {report.outcome}"
        if report.number("rejectedRows") != total:
            yield f"{total} rows cannot arrive, and the report counts another number"
        if rejected:
            yield from self._judge_rejects_table()

    def _is_chosen(self, table: Table) -> bool:
        return not self._overrides.table(table.name).skip

    def _pair(self, table: Table, impossible: str) -> tuple[Pair | None, list[str]]:
        told = self._report.tables.get(table.name)
        reasons = [
            each.reason
            for each in self._report.about("table", name=table.name)
            if each.fate == "NOT_CARRIED" and each.reason
        ]
        if reasons and (impossible == table.name or not self._is_chosen(table)):
            return None, []
        if reasons or told is None:
            return None, [f"table {table.name} is lost: {'; '.join(reasons)}"]
        there = target.read_table(self._connection, self._schema, told.target)
        if there is None:
            return None, [f"table {table.name} is not there as {told.target}"]
        wanted = self._overrides.table(table.name).rename or table.name
        problems = []
        if told.target != wanted and not self._renamed("table", table.name, told.target):
            problems.append(f"table {table.name} is called {told.target}, and nothing tells of it")
        names, more = self._names(table, there)
        return Pair(table, there, names), problems + more

    def _renamed(self, kind: str, name: str, to: str) -> bool:
        return any(
            each.fate == "CHANGED" and to in each.reason
            for each in self._report.about(kind, name=name)
        )

    def _names(self, table: Table, there: PgTable) -> tuple[dict[str, str], list[str]]:
        """What each column is called: those that are carried keep their order."""
        lost = [
            column.name
            for column in table.columns
            if any(
                each.fate == "NOT_CARRIED" and each.reason
                for each in self._report.about("column", name=f"{table.name}.{column.name}")
            )
        ]
        carried = [column.name for column in table.columns if column.name not in lost]
        found = [column.name for column in there.columns]
        if len(carried) != len(found):
            problem = f"table {table.name}: columns {carried} became {found}"
            return {name: name for name in carried if name in found}, [problem]
        problems = []
        chosen = self._overrides.table(table.name)
        for name, target_name in zip(carried, found, strict=True):
            wanted = chosen.column(name).rename or name
            full = f"{table.name}.{name}"
            if target_name != wanted and not self._renamed("column", full, target_name):
                problems.append(f"{full} is called {target_name}, and nothing tells of it")
        return dict(zip(carried, found, strict=True)), problems

    def _wanted(self, pair: Pair) -> Expectation:
        types, not_null = {}, set()
        for name in pair.names:
            there = pair.column(name)
            assert there is not None
            types[name] = PgType(there.type.shown, self._types[pair.table.name, name].unit)
            if there.not_null:
                not_null.add(name)
        return self._expectation(pair.table, types, not_null)

    def _expectation(
        self, table: Table, types: dict[str, PgType], not_null: set[str]
    ) -> Expectation:
        return expectation(table, types, not_null, self._overrides, self._oracle)

    def _judge_counts(self, name: str, table: Table, wanted: Expectation) -> Iterator[str]:
        told = self._report.tables[name]
        copied = wanted.rows.total()
        for what, number in (
            ("rows", len(table.rows)),
            ("copiedRows", copied),
            ("verifiedRows", copied),
            ("rejectedRows", wanted.bad_rows),
            ("differingRows", 0),
        ):
            if told.number(what) != number:
                yield f"table {name}: {what} is {told.number(what)} instead of {number}"

    def _judge_types(self, pair: Pair) -> Iterator[str]:
        for column in pair.table.columns:
            there = pair.column(column.name)
            wanted = self._types[pair.table.name, column.name]
            if there is None or there.type.shown == wanted.shown:
                continue
            if _either(column.declared, wanted, there.type, pair, column.name):
                continue
            yield (
                f"table {pair.table.name}: {column.name} {column.declared} is"
                f" {there.type.shown} instead of {wanted.shown}"
            )

    def _judge_others(self, pairs: Mapping[str, Pair]) -> Iterator[str]:
        report = self._report
        for trigger in self._source.triggers:
            if not any(each.excused for each in report.about("trigger", name=trigger)):
                yield f"the trigger {trigger} is lost"
        for virtual in self._source.virtual:
            if not any(
                each.excused for each in report.about("virtual table", "table", name=virtual)
            ):
                yield f"the virtual table {virtual} is lost"
        for shadow in self._source.shadows:
            if shadow not in report.text:
                yield f"the shadow table {shadow} is lost"
        there = target.relations(self._connection, self._schema)
        known = {pair.there.name for pair in pairs.values()}
        more = [name for name, kind in there.items() if kind in "rp" and name not in known]
        if more:
            yield f"tables that the file has not: {more}"
        for name, told in report.tables.items():
            if name not in self._source.tables:
                yield f"the report tells of a table {name} that the file has not: {told.target}"

    def _judge_rejects_table(self) -> Iterator[str]:
        """The rows that were kept apart are all in a table, too."""
        name = str(self._report.whole("rejectsTable"))
        counted = sum(self._report.reject_counts.values())
        if not name:
            yield "there are rejects, and no table of them"
            return
        rows = target.query(
            self._connection,
            f"SELECT count(*) FROM {name} WHERE import_id ="
            f" '{str(self._report.whole('operation')).removeprefix('operations/')}'",
        )
        if rows[0][0] != counted:
            yield f"{name} has {rows[0][0]} of {counted} rejects"
        file = Path(str(self._report.whole("rejectsFile")))
        if not file.is_file():
            yield "there are rejects, and no file of them"
            return
        lines = [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
        if len(lines) != counted or not all(each["reason"] for each in lines):
            yield f"{file} has {len(lines)} of {counted} rejects"


def _either(declared: str, wanted: PgType, there: PgType, pair: Pair, name: str) -> bool:
    """Where the documentation leaves a choice: a known name with more words after it."""
    if known_family(declared) not in ("numeric", "date"):
        return False
    if wanted.name != there.name and "date" not in (wanted.name, there.name):
        return False
    # Where a value is bad for both of two types, it does not say which.
    place = [column.name for column in pair.table.columns].index(name)
    return any(
        isinstance(expected(row[place], PgType(of.shown, wanted.unit), lambda *_: True), Bad)
        for row in pair.table.rows
        for of in (wanted, there)
        if "(" not in of.shown and of.name != "date"
    )
