"""SQLite's expressions and views in PostgreSQL's SQL, or the reason why not.

What would be an error in PostgreSQL, or mean something else there, raises `NotTranslatable`. A few
things differ all the same. Integers past 2^63 are an error where SQLite goes on with reals, and one
past 2^53 is compared with a real as a double. Timestamps without a zone are compared as what they
say: SQLite compares their texts, and has 'T' after a blank.
"""

import json
import math
import uuid
from collections.abc import Mapping

from sqlglot import exp

from dbopsd.migrate.importer.conversion.instants import DAY_US, read_time, read_timestamp
from dbopsd.migrate.importer.model.plan import PlannedTable
from dbopsd.migrate.importer.model.source_schema import SourceTable
from dbopsd.migrate.importer.translate.budget import Budget, FileBudget, translation
from dbopsd.migrate.importer.translate.convert import assign
from dbopsd.migrate.importer.translate.dates import NOW
from dbopsd.migrate.importer.translate.parse import parse_expression
from dbopsd.migrate.importer.translate.scalar import Expressions
from dbopsd.migrate.importer.translate.select import TranslatedView, translate_view
from dbopsd.migrate.importer.translate.types import (
    NUMBERS,
    Clock,
    Column,
    Kind,
    NotTranslatable,
    Relation,
    Typed,
    UnknownRelation,
    blob,
    find,
    kind_of,
    number_of,
    of_column,
    text,
    unknown_name,
    without_catalog,
)

__all__ = [
    "Column",
    "FileBudget",
    "NotTranslatable",
    "Relation",
    "TranslatedView",
    "Translator",
    "UnknownRelation",
    "columns_of",
    "translate_view",
    "without_catalog",
]

_WORDS = {
    **dict.fromkeys(("t", "true", "yes", "y", "on", "1"), "true"),
    **dict.fromkeys(("f", "false", "no", "n", "off", "0"), "false"),
}


def columns_of(table: SourceTable, planned: PlannedTable) -> dict[str, Column]:
    """What became of a table's columns, those that are not carried too."""
    targets = {each.source: each for each in planned.columns}
    columns = {}
    for source in table.columns:
        each = targets.get(source.name)
        if each is None:
            columns[source.name] = Column(source.name, "", carried=False)
            continue
        columns[source.name] = Column(
            each.target,
            each.type,
            source.affinity,
            source.collation,
            each.storage_class,
            each.unit,
        )
    return columns


class Translator:
    """Translates the expressions of one table.

    Made of `columns`, the PostgreSQL types by the source's names, and `names`, those in PostgreSQL,
    it takes each column's affinity for the one that goes with its type, and its collation for
    BINARY. `of` knows better. `file` is what all translations of the file may give together.
    """

    def __init__(
        self,
        columns: Mapping[str, str],
        names: Mapping[str, str],
        file: FileBudget | None = None,
    ) -> None:
        self._file = file
        self._columns = {source: Column(names[source], columns[source]) for source in columns}

    @classmethod
    def of(
        cls, table: SourceTable, planned: PlannedTable, file: FileBudget | None = None
    ) -> "Translator":
        """With all that is known of the table's columns."""
        translator = cls({}, {}, file)
        translator._columns = columns_of(table, planned)
        return translator

    def condition(self, sql: str) -> str:
        """A CHECK's condition, or that of a partial index. Raises `NotTranslatable`."""
        with translation(sql, self._file) as budget:
            expressions = Expressions(_Row(self._columns, budget), immutable=True)
            return budget.finish(expressions.condition(parse_expression(sql)))

    def value(self, sql: str, type_name: str) -> str:
        """A value of that type; an empty one: of its own. Raises `NotTranslatable`.

        For generated columns and for the expressions of indexes: it depends on the row alone.
        """
        with translation(sql, self._file) as budget:
            expressions = Expressions(_Row(self._columns, budget), immutable=True)
            return budget.finish(assign(expressions.value(parse_expression(sql)), type_name))

    def is_text(self, sql: str) -> bool:
        """Whether the value of an index's expression is a text. Raises `NotTranslatable`."""
        with translation(sql, None) as budget:
            expressions = Expressions(_Row(self._columns, budget), immutable=True)
            return expressions.value(parse_expression(sql)).kind is Kind.TEXT

    def default(self, sql: str, type_name: str) -> str:
        """The default of a column of that type. Raises `NotTranslatable`."""
        with translation(sql, self._file) as budget:
            expressions = Expressions(_Defaults({}, budget), immutable=False)
            value = expressions.value(parse_expression(sql))
            return budget.finish(_default(sql, value, type_name))


class _Row:
    """The columns of one row are all that there is."""

    def __init__(self, columns: Mapping[str, Column], budget: Budget) -> None:
        self.budget = budget
        self._columns = dict(columns)

    def column(self, node: exp.Column) -> Typed:
        column = find(self._columns, node.name)
        if column is not None:
            return of_column(column)
        return unknown_name(node)

    def aggregate(self, _node: exp.Expr, _translate: Expressions) -> Typed | None:
        return None

    def subquery(self, node: exp.Expr, *, single: bool) -> tuple[str, list[Typed]]:
        raise NotTranslatable(node.sql("sqlite"), "a query may not be there")


class _Defaults(_Row):
    """Every name is a text."""

    def column(self, node: exp.Column) -> Typed:
        return text(node.name)


def _default(sql: str, value: Typed, type_name: str) -> str:
    kind = kind_of(type_name)
    if value.kind is Kind.NULL:
        return "NULL"
    if value.constant is not None:
        made = _constant(value, kind)
        if made is None:
            raise NotTranslatable(sql, f"it is not certainly a {type_name}")
        return made
    return _computed(value, kind, type_name)


def _constant(value: Typed, kind: Kind) -> str | None:
    """A literal as the documented mapping has it; None: it would be a bad value."""
    constant = value.constant
    if isinstance(constant, bytes):
        return value.sql if kind is Kind.BYTES else None
    if kind is Kind.BYTES:
        return blob(_canonical(constant).encode()).sql
    if kind is Kind.TEXT:
        return text(_canonical(constant)).sql
    if kind is Kind.BOOLEAN:
        return _WORDS.get(_canonical(constant).lower())
    if kind in NUMBERS:
        return _number(constant, kind)
    if not isinstance(constant, str):
        return _canonical_json(constant) if kind in {Kind.JSON, Kind.JSONB} else None
    return _of_text(constant, kind)


def _canonical(constant: float | str | None) -> str:
    if isinstance(constant, float):
        return repr(constant).replace("inf", "Inf")
    return str(constant)


def _canonical_json(constant: float | None) -> str | None:
    finite = constant is not None and math.isfinite(constant)
    return f"'{constant}'" if finite else None


def _number(constant: float | str | None, kind: Kind) -> str | None:
    found = number_of(constant) if isinstance(constant, str) else constant
    if isinstance(found, float) and found.is_integer() and abs(found) < 2**53:
        found = int(found)
    if isinstance(found, int):
        return str(found)
    if found is None or kind is Kind.INTEGER:
        return None
    return repr(found) if math.isfinite(found) else f"'{repr(found).replace('inf', 'Infinity')}'"


def _of_text(constant: str, kind: Kind) -> str | None:
    if kind in {Kind.JSON, Kind.JSONB}:
        try:
            json.loads(constant, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return None
        return text(constant).sql
    if kind is Kind.UUID:
        try:
            return f"'{uuid.UUID(constant)}'"
        except ValueError:
            return None
    if kind is Kind.TIME:
        return text(constant).sql if read_time(constant.encode()) else None
    found = read_timestamp(constant.encode())
    zoned = found is not None and found.offset_us is not None
    if found is None or not found.exact or (zoned and kind is not Kind.TIMESTAMPTZ):
        return None
    if kind is Kind.DATE and found.micros % DAY_US:
        return None
    if kind is Kind.TIMESTAMPTZ and not zoned:
        constant = f"{constant}+00"
    return text(constant).sql


def _refuse(name: str) -> None:
    raise ValueError(name)


def _computed(value: Typed, kind: Kind, type_name: str) -> str:
    shown = value.moment
    if shown is not None:
        present = shown.sql == f"pg_catalog.date_trunc('second', {NOW})"
        if kind is Kind.TIMESTAMPTZ and shown.clock in {Clock.SECONDS, Clock.EPOCH} and present:
            return "pg_catalog.now()"
        if kind is Kind.TIMESTAMP and shown.clock in {Clock.SECONDS, Clock.EPOCH} and present:
            return NOW
        if kind is Kind.DATE and shown.clock is Clock.DATE:
            return f"{shown.sql}::pg_catalog.date"
        if kind is Kind.TIME and shown.clock is Clock.TIME:
            return f"{shown.sql}::pg_catalog.time"
    if kind is Kind.UUID and value.volatile:
        if value.kind is Kind.TEXT:
            return f"{value.sql}::pg_catalog.uuid"
        if value.kind is Kind.BYTES:
            return f"pg_catalog.encode({value.sql}, 'hex')::pg_catalog.uuid"
    return assign(value, type_name)
