"""Translates one SELECT, up to what its columns have to be in a compound query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.model.source_schema import Affinity, folded
from dbopsd.migrate.importer.translate.aggregates import order_by
from dbopsd.migrate.importer.translate.joins import translate_from
from dbopsd.migrate.importer.translate.scalar import Expressions
from dbopsd.migrate.importer.translate.scope import Named, QueryScope, grouping
from dbopsd.migrate.importer.translate.types import Column, Kind, NotTranslatable, Typed, of_column

_KNOWN: Final = frozenset(
    {
        *("expressions", "from_", "joins", "where", "group", "having", "order", "limit"),
        *("offset", "distinct", "with_", "this", "expression"),
    }
)


CLASSES: Final = {
    Kind.TEXT: "text",
    Kind.INTEGER: "integer",
    Kind.BOOLEAN: "integer",
    Kind.DOUBLE: "real",
    Kind.BYTES: "blob",
}


@dataclass(frozen=True)
class Part:
    """One SELECT, before it is known what types its columns have to have."""

    items: list[Named]
    tail: str
    """Everything from FROM on."""
    groups: list[str]
    distinct: bool

    def sql(self, values: Sequence[Typed], names: Sequence[str]) -> str:
        """The whole, with these values in the place of its items."""
        word = "DISTINCT " if self.distinct else ""
        columns = ", ".join(
            f"{value.sql} AS {quoted(name)}" for value, name in zip(values, names, strict=True)
        )
        return f"SELECT {word}{columns}{self.tail}"


def names_of(part: Part, wanted: Sequence[str]) -> Sequence[str]:
    """The names of its columns: those wanted, or those that they have. Raises."""
    names = wanted or [name for name, _ in part.items]
    if len(names) != len(part.items):
        raise NotTranslatable("a view's columns", "there are more or fewer than it has names")
    if len({folded(name) for name in names}) != len(names):
        raise NotTranslatable("a query", "two of its columns have one name")
    return names


def shown(value: Typed) -> Typed:
    """A value as an outcome: a condition is 1 or 0 there, unless a boolean column is behind it."""
    if value.kind is Kind.BOOLEAN and value.column is None:
        return Typed(f"{value.sql}::pg_catalog.int4", Kind.INTEGER, "integer", nonnegative=True)
    return value


def column_of(name: str, value: Typed) -> Column:
    """An outcome's column, for those who select from it."""
    source = value.column
    told = value.storage_class
    if source is None and not value.mixed:
        told = CLASSES.get(value.kind, "")
    return Column(
        name,
        value.type or value.kind.value,
        value.affinity or Affinity.BLOB,
        value.collation or "BINARY",
        told,
        value.unit,
    )


def refuse_unknown(node: exp.Expr) -> None:
    """Refuse a query with anything that is not translated here."""
    for name, value in node.args.items():
        if value and name not in _KNOWN and name != "by_name":
            raise NotTranslatable(name.strip("_").upper(), "it is not known in a query here")


def read_part(node: exp.Select, scope: QueryScope) -> Part:
    """Translate a SELECT without its ORDER BY and LIMIT. Raises `NotTranslatable`."""
    refuse_unknown(node)
    if not node.expressions:
        raise NotTranslatable("SELECT", "there are no columns")
    expressions = Expressions(scope, immutable=False)
    aliases = [each.alias for each in node.expressions if isinstance(each, exp.Alias)]
    scope.later = {folded(alias) for alias in aliases}
    tail = translate_from(node, scope, expressions)
    where = node.args.get("where")
    if where is not None:
        tail += f" WHERE {expressions.condition(where.this)}"
    scope.take_bare()
    items: list[Named] = []
    used: list[tuple[str, set[str]]] = []
    for each in node.expressions:
        for name, value in _items(each, scope, expressions):
            items.append((name, value))
            used.append((value.sql, scope.take_bare()))
    _name(node, items, scope)
    groups = _groups(node, items, expressions)
    if groups:
        tail += f" GROUP BY {', '.join(groups)}"
    having = node.args.get("having")
    if having is not None:
        scope.take_bare()
        with scope.aggregates():
            condition = expressions.condition(having.this)
        tail += f" HAVING {condition}"
        used.append((condition, scope.take_bare()))
    if scope.aggregated or groups or having is not None:
        for sql, columns in used:
            if sql not in groups:
                _refuse_bare(columns, groups, scope)
    return Part(items, tail, groups, bool(node.args.get("distinct")))


def _name(node: exp.Select, items: list[Named], scope: QueryScope) -> None:
    """From here on the names of the outcome mean its columns, where no table has such a column."""
    scope.later = set()
    if len(items) == len(node.expressions):
        for each, (name, value) in zip(node.expressions, items, strict=True):
            if isinstance(each, exp.Alias):
                scope.aliases[folded(name)] = value


def _refuse_bare(columns: set[str], groups: list[str], scope: QueryScope) -> None:
    """Refuse columns that have several values in a group: SQLite takes any of them."""
    fixed = set(groups)
    for source in scope.sources:
        key = {typed.sql for name in source.key if (typed := source.typed(name)) is not None}
        if key and key <= fixed:
            fixed |= {value.sql for _, value in source.shown()}
    loose = sorted(columns - fixed)
    if loose:
        raise NotTranslatable(loose[0], "it is neither in GROUP BY nor in an aggregate")


def _items(node: exp.Expr, scope: QueryScope, expressions: Expressions) -> list[Named]:
    if isinstance(node, exp.Star):
        found = [named for source in scope.sources for named in source.shown()]
        scope.bare |= {value.sql for _, value in found}
        return found
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        source = scope.source(node.table)
        if source is None:
            raise NotTranslatable(node.sql("sqlite"), "there is no such table in the query")
        found = [
            (name, of_column(column, quoted(source.alias)))
            for name, column in source.columns.items()
        ]
        scope.bare |= {value.sql for _, value in found}
        return found
    inner = node.this if isinstance(node, exp.Alias) else node
    with scope.aggregates():
        value = expressions.value(inner)
    if isinstance(node, exp.Alias):
        return [(node.alias, value)]
    if isinstance(inner, exp.Column) and value.column is not None:
        return [(_source_name(inner, scope), value)]
    return [(node.sql("sqlite"), value)]


def _source_name(node: exp.Column, scope: QueryScope) -> str:
    for source in scope.sources:
        for name in source.columns:
            if folded(name) == folded(node.name):
                return name
    return node.name


def _groups(node: exp.Select, items: list[Named], expressions: Expressions) -> list[str]:
    group = node.args.get("group")
    if group is None:
        return []
    if any(value for name, value in group.args.items() if name != "expressions"):
        raise NotTranslatable("GROUP BY", "it is of a kind not known here")
    return [
        grouping(_ordinal(each, items) or expressions.value(each)) for each in group.expressions
    ]


def _ordinal(node: exp.Expr, items: list[Named]) -> Typed | None:
    if not isinstance(node, exp.Literal) or node.is_string or not node.name.isdigit():
        return None
    number = int(node.name)
    if not 1 <= number <= len(items):
        raise NotTranslatable(node.name, "there is no such column")
    return items[number - 1][1]


def ordered_part(sql: str, order: exp.Order, scope: QueryScope, part: Part) -> str:
    """The part's SQL with ORDER BY. Raises `NotTranslatable`."""
    expressions = Expressions(scope, immutable=False)
    aggregated = scope.aggregated
    terms = []
    for each in order.expressions:
        value = _ordinal(each.this, part.items)
        if value is None and isinstance(each.this, exp.Column) and not each.this.table:
            value = scope.aliases.get(folded(each.this.name))
        if value is None:
            scope.take_bare()
            with scope.aggregates():
                value = expressions.value(each.this)
            if (aggregated or part.groups) and value.sql not in part.groups:
                _refuse_bare(scope.take_bare(), part.groups, scope)
        terms.append(_term(each, value))
    if scope.aggregated and not (aggregated or part.groups):
        raise NotTranslatable("ORDER BY", "it has the query's only aggregate")
    return f"{sql} ORDER BY {', '.join(terms)}"


def ordered_rows(sql: str, order: exp.Order, columns: Mapping[str, Column]) -> str:
    """A query around one that PostgreSQL would order by its columns as they are only. Raises."""
    items = [(name, of_column(column)) for name, column in columns.items()]
    named = {folded(name): value for name, value in items}
    terms = []
    for each in order.expressions:
        node, collation = each.this, None
        if isinstance(node, exp.Collate):
            node, collation = node.this, node.expression.name
        value = _ordinal(node, items)
        if value is None and isinstance(node, exp.Column):
            value = named.get(folded(node.name))
        if value is None:
            raise NotTranslatable("ORDER BY", "it is by something else than the query's columns")
        if collation is not None:
            value = replace(value, collation=collation, explicit=True)
        terms.append(_term(each, value))
    return f"SELECT * FROM ({sql}) AS {quoted('rows')} ORDER BY {', '.join(terms)}"  # noqa: S608


def _term(node: exp.Expr, value: Typed) -> str:
    descending, nulls_first = bool(node.args.get("desc")), bool(node.args.get("nulls_first"))
    return order_by(value, descending=descending, nulls_first=nulls_first)


def limit_of(node: exp.Expr) -> str:
    """LIMIT and OFFSET. Raises `NotTranslatable`."""
    sql = ""
    for name in ("limit", "offset"):
        found = node.args.get(name)
        if found is None:
            continue
        if not isinstance(found.expression, exp.Literal) or not found.expression.name.isdigit():
            raise NotTranslatable(name.upper(), "it is no literal number")
        sql += f" {name.upper()} {found.expression.name}"
    return sql
