"""Translates FROM: tables, views, queries, and how they are joined."""

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.model.source_schema import folded
from dbopsd.migrate.importer.translate.compare import EQUAL, compare
from dbopsd.migrate.importer.translate.scalar import Expressions
from dbopsd.migrate.importer.translate.scope import QueryScope, Source
from dbopsd.migrate.importer.translate.types import NotTranslatable, UnknownRelation

_KNOWN: Final = frozenset({"this", "alias", "db", "joins", "indexed"})


def translate_from(node: exp.Select, scope: QueryScope, expressions: Expressions) -> str:
    """The FROM of a SELECT; its tables come into `scope`. Raises `NotTranslatable`."""
    found = node.args.get("from_")
    if found is None:
        return ""
    sql = _source(found.this, scope, expressions)
    return f" FROM {sql}{_joins(node, scope, expressions)}"


def _joins(node: exp.Expr, scope: QueryScope, expressions: Expressions) -> str:
    return "".join(_join(each, scope, expressions) for each in node.args.get("joins") or ())


def _source(node: exp.Expr, scope: QueryScope, expressions: Expressions) -> str:
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
        inner = _source(node.this, scope, expressions)
        return f"({inner})" if node.this.args.get("joins") else inner
    if isinstance(node, exp.Subquery):
        query = scope.query(node.this)
        alias = node.alias or f"query {len(scope.sources) + 1}"
        scope.sources.append(Source(alias, query.columns))
        return f"({query.sql}) AS {quoted(alias)}{_joins(node, scope, expressions)}"
    extra = [name for name, value in node.args.items() if value and name not in _KNOWN]
    if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier) or extra:
        raise NotTranslatable(node.sql("sqlite")[:60], "it is no table and no query")
    if node.db and folded(node.db) != "main":
        raise NotTranslatable(f"{node.db}.{node.name}", "it is in another database")
    name = node.name
    relation = next(
        (each for key, each in scope.relations.items() if folded(key) == folded(name)), None
    )
    if relation is None:
        raise UnknownRelation(name, "there is no such table or view in PostgreSQL")
    alias = node.alias or name
    if scope.source(alias) is not None:
        raise NotTranslatable(alias, "two tables of the query have that name")
    scope.sources.append(Source(alias, dict(relation.columns), relation.key))
    return f"{relation.name} AS {quoted(alias)}{_joins(node, scope, expressions)}"


def _join(node: exp.Join, scope: QueryScope, expressions: Expressions) -> str:
    side, kind = node.args.get("side") or "", node.args.get("kind") or ""
    if node.args.get("method"):
        raise NotTranslatable(f"{node.args['method']} JOIN", "it is not known here")
    before = len(scope.sources)
    source = _source(node.this, scope, expressions)
    condition = node.args.get("on")
    using = node.args.get("using")
    if using:
        on = _using(using, scope, before, side)
    elif condition is not None:
        on = expressions.condition(condition)
    elif side:
        on = "TRUE"
    else:
        return f" CROSS JOIN {source}"
    word = {"": "JOIN", "LEFT": "LEFT JOIN", "RIGHT": "RIGHT JOIN", "FULL": "FULL JOIN"}.get(side)
    if word is None or kind not in {"", "INNER", "OUTER", "CROSS"}:
        raise NotTranslatable(f"{side} {kind} JOIN".strip(), "it is not known here")
    return f" {word} {source} ON {on}"


def _using(names: Sequence[exp.Expr], scope: QueryScope, before: int, side: str) -> str:
    if side not in {"", "LEFT"} or len(scope.sources) != before + 1:
        raise NotTranslatable("USING", "it is known with simple joins only")
    right = scope.sources[-1]
    conditions = []
    for each in names:
        lefts = [
            typed
            for source in scope.sources[:before]
            if each.name not in source.hidden and (typed := source.typed(each.name)) is not None
        ]
        other = right.typed(each.name)
        if len(lefts) != 1 or other is None:
            raise NotTranslatable(each.name, "USING finds no such column, or several")
        conditions.append(compare(EQUAL, lefts[0], other).sql)
        right.hidden |= {name for name in right.columns if folded(name) == folded(each.name)}
    return f"({' AND '.join(conditions)})"
