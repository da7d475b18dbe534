"""Translates queries: those of views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp

from dbopsd.db.identifiers import quoted
from dbopsd.migrate.importer.model.source_schema import folded
from dbopsd.migrate.importer.translate.budget import Budget, FileBudget, translation
from dbopsd.migrate.importer.translate.convert import unified
from dbopsd.migrate.importer.translate.parse import parse_query, split_view
from dbopsd.migrate.importer.translate.scope import Query, QueryScope, grouping
from dbopsd.migrate.importer.translate.select_core import (
    CLASSES,
    Part,
    column_of,
    limit_of,
    names_of,
    ordered_part,
    ordered_rows,
    read_part,
    refuse_unknown,
    shown,
)
from dbopsd.migrate.importer.translate.types import Column, Kind, NotTranslatable, Relation, Typed

_SET_OPERATIONS: Final[dict[type[exp.Expr], str]] = {
    exp.Union: "UNION",
    exp.Except: "EXCEPT",
    exp.Intersect: "INTERSECT",
}


@dataclass(frozen=True)
class TranslatedView:
    """A view's query, and what its columns are."""

    sql: str
    columns: dict[str, Column]
    """By their names in SQLite, which are those in PostgreSQL."""


def translate_view(
    sql: str,
    relations: Mapping[str, Relation],
    columns: Sequence[str] = (),
    file: FileBudget | None = None,
) -> TranslatedView:
    """Translate a CREATE VIEW. Raises `NotTranslatable`.

    `relations` are the tables and the other views, by their names in SQLite. `columns` are the
    view's own, as SQLite tells them: it calls those without a name by their text. `file` is what
    all of the file's translations may give together.
    """
    with translation(sql, file) as budget:
        named, query = split_view(sql)
        made = _translate(parse_query(query), relations, budget, None, named or tuple(columns))
        return TranslatedView(budget.finish(made.sql), made.columns)


def _translate(
    node: exp.Expr,
    relations: Mapping[str, Relation],
    budget: Budget,
    outer: QueryScope | None,
    names: Sequence[str] = (),
) -> Query:
    node = _unwrapped(node)
    if not isinstance(node, exp.Select | exp.SetOperation):
        raise NotTranslatable(node.sql("sqlite")[:60], "such a query is not known here")
    ctes, relations = _with(node, relations, budget, outer)
    if isinstance(node, exp.Select):
        made = _select(node, QueryScope(relations, budget, outer, _translate), names)
    else:
        made = _compound(node, relations, budget, outer, names)
    budget.spend(made.sql)
    return replace(made, sql=f"{ctes}{made.sql}")


def _unwrapped(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Subquery) and not node.args.get("joins"):
        node = node.this
    return node


def _with(
    node: exp.Expr, relations: Mapping[str, Relation], budget: Budget, outer: QueryScope | None
) -> tuple[str, Mapping[str, Relation]]:
    found = node.args.get("with_")
    if found is None:
        return "", relations
    known = {folded(name): relation for name, relation in relations.items()}
    parts = []
    for each in found.expressions:
        alias = each.args["alias"]
        names = [column.name for column in alias.args.get("columns") or ()]
        if found.args.get("recursive") and _names_itself(each, each.alias):
            raise NotTranslatable("WITH RECURSIVE", "it is not known here")
        query = _translate(each.this, known, budget, outer, names)
        parts.append(f"{quoted(each.alias)} AS ({query.sql})")
        known[folded(each.alias)] = Relation(quoted(each.alias), query.columns)
    return f"WITH {', '.join(parts)} ", known


def _names_itself(cte: exp.Expr, name: str) -> bool:
    return any(folded(table.name) == folded(name) for table in cte.this.find_all(exp.Table))


def _select(node: exp.Select, scope: QueryScope, names: Sequence[str]) -> Query:
    part = read_part(node, scope)
    names = names_of(part, names)
    values = [shown(unified([value], "a column")[0]) for _, value in part.items]
    columns = {name: column_of(name, value) for name, value in zip(names, values, strict=True)}
    sql = part.sql(values, names)
    if part.distinct:
        for value in values:
            grouping(value)
    order = node.args.get("order")
    if order is not None and part.distinct:
        sql = ordered_rows(sql, order, columns)
    elif order is not None:
        sql = ordered_part(sql, order, scope, part)
    return _limited(sql, columns, node, single=scope.aggregated and not part.groups)


def _limited(sql: str, columns: dict[str, Column], node: exp.Expr, *, single: bool) -> Query:
    limit = limit_of(node)
    limited = node.args.get("limit")
    single = single or (limited is not None and limited.expression.name in {"0", "1"})
    return Query(f"{sql}{limit}", columns, single, limited is not None)


def _compound(
    node: exp.SetOperation,
    relations: Mapping[str, Relation],
    budget: Budget,
    outer: QueryScope | None,
    names: Sequence[str],
) -> Query:
    parts = [
        (word, read_part(each, QueryScope(relations, budget, outer, _translate)))
        for word, each in _flatten(node)
    ]
    first = parts[0][1]
    names = names_of(first, names)
    if any(len(part.items) != len(names) for _, part in parts):
        raise NotTranslatable("a compound query", "its parts have different numbers of columns")
    made = [
        _alike([part.items[index][1] for _, part in parts], parts) for index in range(len(names))
    ]
    sql = ""
    for index, (operator, part) in enumerate(parts):
        one = part.sql([values[index] for values in made], names)
        # From left to right, whatever binds tighter in PostgreSQL.
        sql = f"({sql}) {operator} ({one})" if index else one
        budget.spend(sql)
    columns = {
        name: column_of(name, _common(values)) for name, values in zip(names, made, strict=True)
    }
    order = node.args.get("order")
    if order is not None:
        sql = ordered_rows(sql, order, columns)
    return _limited(sql, columns, node, single=False)


def _alike(values: list[Typed], parts: list[tuple[str, Part]]) -> list[Typed]:
    """A column of all parts, as one type."""
    made = unified(values, "a compound query's column")
    if made[0].kind is not Kind.BOOLEAN or not any(value.column for value in made):
        made = [shown(value) for value in made]
    if any(operator not in {"", "UNION ALL"} for operator, _ in parts):
        for value in made:
            grouping(value)
    return made


def _common(values: list[Typed]) -> Typed:
    """What can be told of a column of all parts."""
    first = next((value for value in values if value.column), values[0])
    affinities = {value.affinity for value in values}
    classes = {value.storage_class or CLASSES.get(value.kind, "") for value in values}
    mixed = any(value.mixed for value in values)
    column = first.column
    if column is not None:
        told = classes.pop() if len(classes) == 1 and not mixed else ""
        column = replace(column, storage_class=told)
    types = {value.type for value in values}
    return replace(
        first,
        type=first.type if len(types) == 1 else _common_type(first.kind, types),
        affinity=affinities.pop() if len(affinities) == 1 else None,
        column=column,
        mixed=mixed,
    )


def _common_type(kind: Kind, types: set[str]) -> str:
    if kind is Kind.INTEGER:
        return "bigint" if "bigint" in types else "integer"
    return str(kind.value)


def _flatten(node: exp.Expr) -> list[tuple[str, exp.Select]]:
    """The SELECTs of a compound query, each with the word before it. Raises `NotTranslatable`."""
    found: list[tuple[str, exp.Select]] = []
    node = _unwrapped(node)
    while (operator := _SET_OPERATIONS.get(type(node))) is not None:
        refuse_unknown(node)
        word = operator if node.args.get("distinct") else f"{operator} ALL"
        found.append((word, _single(node.expression)))
        node = _unwrapped(node.this)
    found.append(("", _single(node)))
    return found[::-1]


def _single(node: exp.Expr) -> exp.Select:
    """A part of a compound query. Raises `NotTranslatable`."""
    node = _unwrapped(node)
    if isinstance(node, exp.SetOperation):
        raise NotTranslatable("a compound query", "its parts are grouped")
    if not isinstance(node, exp.Select):
        raise NotTranslatable(node.sql("sqlite"), "such a query is not known here")
    if node.args.get("order") or node.args.get("limit") or node.args.get("with_"):
        raise NotTranslatable("a compound query", "a part of it has its own order or limit")
    return node
