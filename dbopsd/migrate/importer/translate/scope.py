"""Resolve names in a query."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlglot import exp

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.model.source_schema import folded
from dbopsd.migrate.importer.translate.aggregates import Call, call, is_aggregate, order_by
from dbopsd.migrate.importer.translate.budget import Budget
from dbopsd.migrate.importer.translate.scalar import Expressions
from dbopsd.migrate.importer.translate.types import (
    Column,
    NotTranslatable,
    Relation,
    Typed,
    find,
    of_column,
    unknown_name,
)

Named = tuple[str, Typed]
Translate = Callable[[exp.Expr, Mapping[str, Relation], Budget, "QueryScope | None"], "Query"]


@dataclass(frozen=True)
class Query:
    """A query in PostgreSQL's SQL."""

    sql: str
    columns: dict[str, Column]
    """By their names, which are those in SQLite."""
    single: bool = False
    """Whether it gives one row at most."""
    limited: bool = False


@dataclass
class Source:
    """A table, a view or a query in FROM."""

    alias: str
    columns: dict[str, Column]
    key: tuple[str, ...] = ()
    hidden: set[str] = field(default_factory=set)
    """Columns that USING has made one with those to the left: only a qualified name means them."""

    def typed(self, name: str) -> Typed | None:
        """The column of that name in the source."""
        column = find(self.columns, name)
        return None if column is None else of_column(column, quoted(self.alias))

    def shown(self) -> list[Named]:
        """What `*` stands for, with the source's names."""
        return [
            (name, of_column(column, quoted(self.alias)))
            for name, column in self.columns.items()
            if name not in self.hidden
        ]


class QueryScope:
    """The scope of one SELECT, inside that of `outer` if it is in an expression."""

    def __init__(
        self,
        relations: Mapping[str, Relation],
        budget: Budget,
        outer: "QueryScope | None",
        translate: Translate,
    ) -> None:
        self.relations = relations
        self.budget = budget
        self.sources: list[Source] = []
        self.aliases: dict[str, Typed] = {}
        """Of the columns of the outcome, for those parts of a SELECT that may use them."""
        self.later: set[str] = set()
        """Those of them that there will be: SQLite lets WHERE use them already."""
        self.aggregated = False
        self.bare: set[str] = set()
        """The columns that were used outside of aggregates."""
        self._outer = outer
        self._translate = translate
        self._inside = False
        self._allowed = False

    @contextmanager
    def aggregates(self) -> Iterator[None]:
        """Allow aggregates: in the outcome, in HAVING and in ORDER BY."""
        self._allowed = True
        try:
            yield
        finally:
            self._allowed = False

    def take_bare(self) -> set[str]:
        """The columns that were used outside of aggregates since this was asked last."""
        taken, self.bare = self.bare, set()
        return taken

    def source(self, alias: str) -> Source | None:
        """What is called that in FROM."""
        return next((each for each in self.sources if folded(each.alias) == folded(alias)), None)

    def column(self, node: exp.Column) -> Typed:
        found = self.find(node)
        if found is not None:
            return found
        if folded(node.name) in self.later:
            raise NotTranslatable(
                node.sql("sqlite"), "it is the name of an outcome, used before it"
            )
        return unknown_name(node)

    def find(self, node: exp.Column) -> Typed | None:
        """What a name means here or outside; None: there is no such column."""
        if node.table:
            source = self.source(node.table)
            found = [] if source is None else [source.typed(node.name)]
        else:
            found = [
                each.typed(node.name)
                for each in self.sources
                if not any(folded(name) == folded(node.name) for name in each.hidden)
            ]
        columns = [each for each in found if each is not None]
        if len(columns) > 1:
            raise NotTranslatable(node.sql("sqlite"), "several tables have a column of that name")
        if columns:
            if not self._inside:
                self.bare.add(columns[0].sql)
            return columns[0]
        if not node.table and folded(node.name) in self.aliases:
            return self.aliases[folded(node.name)]
        return None if self._outer is None else self._outer.find(node)

    def subquery(self, node: exp.Expr, *, single: bool) -> tuple[str, list[Typed]]:
        query = self._translate(node, self.relations, self.budget, self)
        sql = query.sql
        if single and not query.single:
            if query.limited:
                raise NotTranslatable("a query in an expression", "its LIMIT is more than one row")
            sql = f"{sql} LIMIT 1"
        return sql, [of_column(column) for column in query.columns.values()]

    def query(self, node: exp.Expr) -> Query:
        """A query in FROM: it does not see what stands beside it."""
        return self._translate(node, self.relations, self.budget, None)

    def aggregate(self, node: exp.Expr, translate: Expressions) -> Typed | None:
        if isinstance(node, exp.Anonymous) and not is_aggregate(node):
            return None
        if not self._allowed:
            raise NotTranslatable(node.sql("sqlite"), "an aggregate may not be there")
        if isinstance(node, exp.Window):
            return self._window(node, translate)
        self.aggregated = True
        return self._call(node, translate, window=False).typed()

    def _call(self, node: exp.Expr, translate: Expressions, *, window: bool) -> Call:
        if isinstance(node, exp.Filter):
            made = self._call(node.this, translate, window=window)
            with self._in_aggregate(window=window):
                condition = translate.condition(node.expression.this)
            return made.with_clause(f"FILTER (WHERE {condition})")
        if not is_aggregate(node):
            raise NotTranslatable(node.sql("sqlite"), "it is not known as an aggregate here")
        arguments = list(node.expressions)
        distinct = len(arguments) == 1 and isinstance(arguments[0], exp.Distinct)
        if distinct:
            arguments = arguments[0].expressions
        if len(arguments) == 1 and isinstance(arguments[0], exp.Star):
            arguments = []
        with self._in_aggregate(window=window):
            values = [translate.value(each) for each in arguments]
        return call(node.name.lower(), values, distinct=distinct, window=window)

    @contextmanager
    def _in_aggregate(self, *, window: bool) -> Iterator[None]:
        """Its arguments see single rows; those of a window function see what SELECT sees."""
        before = self._inside, self._allowed
        if not window:
            self._inside, self._allowed = True, False
        try:
            yield
        finally:
            self._inside, self._allowed = before

    def _window(self, node: exp.Window, translate: Expressions) -> Typed:
        if node.args.get("spec") or node.args.get("alias") or node.args.get("first"):
            raise NotTranslatable(node.sql("sqlite"), "its window is of a kind not known here")
        made = self._call(node.this, translate, window=True)
        parts = []
        partition = [translate.value(each) for each in node.args.get("partition_by") or ()]
        if partition:
            parts.append(f"PARTITION BY {', '.join(grouping(each) for each in partition)}")
        order = node.args.get("order")
        if order is not None:
            terms = ", ".join(
                order_by(
                    translate.value(each.this),
                    descending=bool(each.args.get("desc")),
                    nulls_first=bool(each.args.get("nulls_first")),
                )
                for each in order.expressions
            )
            parts.append(f"ORDER BY {terms}")
        return made.with_clause(f"OVER ({' '.join(parts)})").typed()


def grouping(value: Typed) -> str:
    """A value by which rows are put together. Raises `NotTranslatable`."""
    if value.kind.value in {"json", "jsonb", "PART OF JSON"}:
        raise NotTranslatable(value.sql, f"a {value.kind.value} is not put together as in SQLite")
    if (value.collation or "BINARY") != "BINARY":
        raise NotTranslatable(value.sql, f"rows are put together by {value.collation}")
    return value.sql
