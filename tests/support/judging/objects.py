"""The judge of what belongs to a table: there in PostgreSQL, or named in the report."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.judging import ddl, target
from tests.support.judging.report import Report
from tests.support.judging.source import Index, Source, Table, quoted

_ACTIONS = {
    "NO ACTION": "a",
    "RESTRICT": "r",
    "CASCADE": "c",
    "SET NULL": "n",
    "SET DEFAULT": "d",
}


@dataclass(frozen=True)
class Pair:
    """A table here and there, with what its carried columns are called there."""

    table: Table
    there: target.PgTable
    names: dict[str, str]

    def column(self, name: str) -> target.PgColumn | None:
        return next(
            (each for each in self.there.columns if each.name == self.names.get(name)), None
        )


@dataclass(frozen=True)
class Judged:
    """What the judges of objects need."""

    source: Source
    report: Report
    connection: target.Connection
    pairs: dict[str, Pair]
    """By the source table's name."""
    whole: bool
    """Whether every row arrived: only then are conditions compared by what they let through."""


def judge_objects(judged: Judged, pair: Pair) -> Iterator[str]:
    """All that belongs to one table, views and triggers apart."""
    for complaint in (
        *_columns(judged, pair),
        *_key(judged, pair),
        *_indexes(judged, pair),
        *_uniqueness(judged, pair),
        *_references(judged, pair),
        *_numbers(judged, pair),
    ):
        yield f"table {pair.table.name}: {complaint}"


def _columns(judged: Judged, pair: Pair) -> Iterator[str]:
    report, name = judged.report, pair.table.name
    for column in pair.table.columns:
        there = pair.column(column.name)
        if there is None:
            continue
        full = f"{name}.{column.name}"
        if column.not_null and not there.not_null and not column.generated:
            yield f"NOT NULL of {column.name} is lost"
        in_key = column.name in pair.table.key
        if there.not_null and not column.not_null and not in_key and not there.identity:
            yield f"{column.name} is NOT NULL, and was not"
        default = None if (column.default or "").upper() == "NULL" else column.default
        lost = default is not None and there.expression is None and not there.identity
        if lost and not _excused(report, "default", name, full):
            yield f"the default of {column.name} is lost: {column.default}"
        if column.default is None and there.expression is not None and not there.generated:
            yield f"{column.name} has a default that it had not: {there.expression}"
        lost = column.generated and not there.generated
        if lost and not _excused(report, "generated column", name, full):
            yield f"{column.name} is not generated any more"
        if there.generated and not column.generated:
            yield f"{column.name} is generated, and was not"
        if column.collation != "BINARY" and not _excused(report, "collation", name, full):
            yield f"the collation {column.collation} of {column.name} is not told of"


def _excused(report: Report, kind: str, table: str, name: str) -> bool:
    return any(each.excused for each in report.about(kind, table=table, name=name))


def _key(judged: Judged, pair: Pair) -> Iterator[str]:
    wanted = [pair.names.get(column) for column in pair.table.key]
    found = next((list(each.columns) for each in pair.there.indexes if each.primary), None)
    if not wanted and found:
        yield f"there is a primary key over {found}, and was none"
    if wanted and found != wanted:
        told = judged.report.about("primary key", table=pair.table.name)
        if not any(each.excused for each in told):
            yield f"the primary key over {wanted} is {found}"


def _indexes(judged: Judged, pair: Pair) -> Iterator[str]:
    """Each index is there, or told of by its name, or by its columns where it has none."""
    lost = 0
    for index in pair.table.indexes:
        if any(_is(judged, pair, index, each) for each in pair.there.indexes):
            continue
        told = judged.report.about("unique", "index", table=pair.table.name)
        named = [each for each in told if each.name == index.name]
        if index.constraint:
            lost += 1
        elif not any(each.excused for each in named):
            yield f"the index {index.name} is lost: {index}"
    of_constraints = [
        each
        for each in judged.report.about("unique", "index", table=pair.table.name)
        if each.excused and each.name not in {index.name for index in pair.table.indexes}
    ]
    if lost > len(of_constraints):
        yield f"{lost} UNIQUE constraints are lost, the report tells of {len(of_constraints)}"
    for each in pair.there.indexes:
        if not each.usable:
            yield f"the index {each.name} is not valid"


def _is(judged: Judged, pair: Pair, index: Index, there: target.PgIndex) -> bool:
    columns = tuple(
        None if column is None else pair.names.get(column, "") for column in index.columns
    )
    if index.unique != there.unique or columns != there.columns:
        return False
    if index.descending != there.descending or bool(index.condition) != bool(there.condition):
        return False
    for name, collation in zip(index.columns, index.collations, strict=True):
        column = pair.column(name) if name else None
        if collation != "BINARY" and column and column.type.name == "text":
            return False
    return not judged.whole or _same_condition(judged, pair, index, there)


def _same_condition(judged: Judged, pair: Pair, index: Index, there: target.PgIndex) -> bool:
    """Whether the conditions of a partial index let the same number of rows through."""
    if not index.condition:
        return True
    here = judged.source.connection.execute(
        f"SELECT count(*) FROM {quoted(pair.table.name)} WHERE {index.condition}"
    ).fetchone()
    counted = target.query(
        judged.connection,
        f"SELECT count(*) FROM {pair.there.full_name} WHERE {there.condition}",
    )
    return bool(here == counted[0])


def _uniqueness(judged: Judged, pair: Pair) -> Iterator[str]:
    """PostgreSQL must not refuse rows that SQLite takes."""
    allowed = [set(pair.table.key)] if pair.table.key else []
    allowed += [
        {each for each in index.columns if each} for index in pair.table.indexes if index.unique
    ]
    named = [{pair.names.get(column, "") for column in columns} for columns in allowed]
    for each in pair.there.indexes:
        columns = {column for column in each.columns if column}
        expressions = None in each.columns
        if each.unique and columns not in named and not (expressions and allowed):
            yield f"{each.name} is unique over {sorted(columns)}, which nothing in the file is"


def _references(judged: Judged, pair: Pair) -> Iterator[str]:
    found = pair.there.of_kind("f")
    lost = 0
    for place, reference in enumerate(pair.table.references):
        parent = judged.source.find(reference.to)
        to = judged.pairs.get(parent.name) if parent else None
        match = None
        if parent and to:
            columns = [parent.column(name) if name else None for _, name in reference.pairs]
            wanted = {
                (pair.names.get(mine), to.names.get(other.name) if other else None)
                for (mine, _), other in zip(reference.pairs, columns, strict=True)
            }
            match = next(
                (
                    each
                    for each in found
                    if set(zip(each.columns, each.to_columns, strict=True)) == wanted
                    and each.to == to.there.name
                    and each.on_update == _ACTIONS[reference.on_update]
                    and each.on_delete == _ACTIONS[reference.on_delete]
                ),
                None,
            )
        if match is None:
            lost += 1
            continue
        found.remove(match)
        # SQLite looks for a parent by its collation, PostgreSQL by the letter.
        holds = place not in pair.table.orphans and all(
            each is None or each.collation == "BINARY" for each in columns
        )
        if holds and not match.validated and judged.whole:
            yield f"the foreign key {match.name} holds for all rows, and is NOT VALID"
        if not match.validated and not any(
            each.excused for each in judged.report.about("foreign key", table=pair.table.name)
        ):
            yield f"the foreign key {match.name} is NOT VALID, and nothing tells of it"
    told = judged.report.about("foreign key", table=pair.table.name)
    if lost > sum(each.excused for each in told):
        yield f"{lost} foreign keys are lost or different, the report tells of fewer: {told}"
    if found:
        yield f"foreign keys that the file has not: {[each.name for each in found]}"
    deferred = sum(each.deferred for each in pair.there.of_kind("f"))
    if not lost and deferred != ddl.deferred_references(pair.table.sql):
        yield f"{deferred} foreign keys are deferred, of {ddl.deferred_references(pair.table.sql)}"


def _numbers(judged: Judged, pair: Pair) -> Iterator[str]:
    """A new row gets a number that no row has, or had."""
    alias = pair.table.rowid_alias
    if alias is None or alias not in pair.names:
        return
    largest = max(pair.table.largest_rowid or 0, pair.table.sequence or 0)
    if largest >= 2**63 - 1:
        if not any(each.excused for each in judged.report.about("sequence", table=pair.table.name)):
            yield "there is no next number, and nothing tells of it"
        return
    following = target.next_number(judged.connection, pair.there, pair.names[alias])
    if following is None:
        told = judged.report.about("sequence", table=pair.table.name)
        if not any(each.excused for each in told):
            yield f"{alias} does not count by itself"
    elif following <= largest:
        yield f"the next number is {following}, and {largest} was given"
