"""Translates SQLite's expressions, one node of the tree at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Final, Protocol

from sqlglot import exp

from dbopsd.migrate.importer.translate.arithmetic import calculate, cast, invert, negate
from dbopsd.migrate.importer.translate.budget import Budget, join
from dbopsd.migrate.importer.translate.compare import (
    EQUAL,
    OTHER,
    SAME,
    compare,
    pair,
    without_column,
)
from dbopsd.migrate.importer.translate.convert import as_text, condition
from dbopsd.migrate.importer.translate.dates import translate_date
from dbopsd.migrate.importer.translate.functions import case, translate_function
from dbopsd.migrate.importer.translate.json import json_arrow
from dbopsd.migrate.importer.translate.parse import CAST
from dbopsd.migrate.importer.translate.patterns import glob, like
from dbopsd.migrate.importer.translate.types import (
    Kind,
    NotTranslatable,
    Typed,
    blob,
    boolean,
    integer,
    null,
    real,
    text,
    truth,
)

_COMPARISONS: Final[dict[type[exp.Expr], str]] = {
    exp.EQ: EQUAL,
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: SAME,
    exp.NullSafeNEQ: OTHER,
    exp.Is: SAME,
}
_OPERATORS: Final[dict[type[exp.Expr], str]] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseRightShift: ">>",
}
# Longer ones are reals in SQLite: its integers have nineteen at most, but for zeros before them.
_MOST_DIGITS: Final = 100
_DATES: Final = frozenset({"date", "time", "datetime", "strftime", "julianday", "unixepoch"})
_CURRENT: Final[dict[type[exp.Expr], str]] = {
    exp.CurrentTimestamp: "datetime",
    exp.CurrentDate: "date",
    exp.CurrentTime: "time",
}


class Scope(Protocol):
    """What names mean where an expression stands."""

    budget: Budget
    """The remaining budget of the translation."""

    def column(self, node: exp.Column) -> Typed:
        """What a name means. Raises `NotTranslatable`."""

    def aggregate(self, node: exp.Expr, translate: "Expressions") -> Typed | None:
        """An aggregate or a window function; None: it is neither. Raises `NotTranslatable`."""

    def subquery(self, node: exp.Expr, *, single: bool) -> tuple[str, list[Typed]]:
        """A query in an expression: its SQL and its columns. Raises `NotTranslatable`.

        `single`: its first row is meant.
        """


class Expressions:
    """Translates expressions in a scope.

    `immutable`: PostgreSQL will have the outcome depend on the row alone, as in an index.
    """

    def __init__(self, scope: Scope, *, immutable: bool) -> None:
        self._scope = scope
        self._immutable = immutable

    def condition(self, node: exp.Expr) -> str:
        """A boolean expression. Raises `NotTranslatable`."""
        return condition(self.value(node))

    def value(self, node: exp.Expr) -> Typed:
        """Raises `NotTranslatable`."""
        for kind in type(node).__mro__:
            translate = self._NODES.get(kind)
            if translate is not None:
                made = translate(self, node)
                self._scope.budget.spend(made.sql)
                return made
        raise NotTranslatable(node.sql("sqlite"), "it is not known here")

    def _paren(self, node: exp.Expr) -> Typed:
        return self.value(node.this)

    def _column(self, node: exp.Expr) -> Typed:
        return self._scope.column(node)  # type: ignore[arg-type]

    def _literal(self, node: exp.Expr) -> Typed:
        written = node.name
        if node.args.get("is_string"):
            return text(written)
        return _number(written)

    def _hex(self, node: exp.Expr) -> Typed:
        return blob(bytes.fromhex(node.name))

    def _null(self, _node: exp.Expr) -> Typed:
        return null()

    def _boolean(self, node: exp.Expr) -> Typed:
        return truth(bool(node.this))

    def _and(self, node: exp.Expr) -> Typed:
        return self._joined(node, "AND")

    def _or(self, node: exp.Expr) -> Typed:
        return self._joined(node, "OR")

    def _joined(self, node: exp.Expr, operator: str) -> Typed:
        parts = [self.condition(each) for each in _chain(node, type(node))]
        return boolean(f"({join(f' {operator} ', parts)})")

    def _not(self, node: exp.Expr) -> Typed:
        if isinstance(node.this, exp.Is) and isinstance(node.this.expression, exp.Null):
            return compare(OTHER, self.value(node.this.this), null())
        return boolean(f"(NOT {self.condition(node.this)})")

    def _compared(self, node: exp.Expr) -> Typed:
        left, right = node.this, node.expression
        if isinstance(left, exp.Tuple) or isinstance(right, exp.Tuple):
            raise NotTranslatable(node.sql("sqlite"), "rows of values are not known here")
        if isinstance(node, exp.Is) and isinstance(right, exp.Boolean):
            return boolean(f"({self.condition(left)} IS {str(right.this).upper()})")
        return compare(_COMPARISONS[type(node)], self.value(left), self.value(right))

    def _between(self, node: exp.Expr) -> Typed:
        value = self.value(node.this)
        low = compare(">=", value, self.value(node.args["low"]))
        high = compare("<=", value, self.value(node.args["high"]))
        if value.volatile:
            raise NotTranslatable("BETWEEN", "chance would be asked twice")
        return boolean(f"({low.sql} AND {high.sql})")

    def _in(self, node: exp.Expr) -> Typed:
        if isinstance(node.this, exp.Tuple) or node.args.get("field") is not None:
            raise NotTranslatable(node.sql("sqlite"), "IN is known with a list or a query only")
        value = self.value(node.this)
        query = node.args.get("query")
        if query is not None:
            return self._in_query(value, query)
        if not node.expressions:
            return truth(value=False)
        others = [without_column(self.value(each)) for each in node.expressions]
        given = [other for other in others if other.kind is not Kind.NULL]
        pairs = self._pairs(value, given)
        lefts = {left for left, _ in pairs} or {value.sql}
        # Of an IN with other than constants PostgreSQL makes these tests itself: so they are seen.
        if len(lefts) > 1 or (len(given) > 1 and any(each.constant is None for each in given)):
            tests = [f"{left} = {right}" for left, right in pairs]
            tests += ["NULL"] * (len(given) < len(others))
            return boolean(f"({join(' OR ', tests)})")
        rights = [right for _, right in pairs] + ["NULL"] * (len(others) - len(given))
        return boolean(f"({lefts.pop()} IN ({', '.join(rights)}))")

    def _pairs(self, value: Typed, others: Sequence[Typed]) -> list[tuple[str, str]]:
        """The two sides of `value = other` for each of the others."""
        pairs = []
        for other in others:
            pairs.append(pair(EQUAL, value, other))
            self._scope.budget.spend(pairs[-1][0])
        return pairs

    def _in_query(self, value: Typed, query: exp.Expr) -> Typed:
        sql, columns = self._scope.subquery(query, single=False)
        if len(columns) != 1:
            raise NotTranslatable("IN", "its query has several columns")
        if value.kind is Kind.NULL:
            raise NotTranslatable("NULL IN", "it is not known here")
        other = replace(columns[0], sql="x", constant=None)
        left, right = pair(EQUAL, value, other)
        if right != "x":
            raise NotTranslatable("IN", "the query's values would have to be converted")
        return boolean(f"({left} IN ({sql}))")

    def _like(self, node: exp.Expr) -> Typed:
        negated = bool(node.args.get("negate"))
        return like(self.value(node.this), self.value(node.expression), negated=negated)

    def _escape(self, node: exp.Expr) -> Typed:
        inner = node.this
        if not isinstance(inner, exp.Like):
            raise NotTranslatable(node.sql("sqlite"), "its ESCAPE belongs to no LIKE")
        return like(
            self.value(inner.this),
            self.value(inner.expression),
            self.value(node.expression),
            negated=bool(inner.args.get("negate")),
        )

    def _glob(self, node: exp.Expr) -> Typed:
        return glob(self.value(node.this), self.value(node.expression))

    def _calculated(self, node: exp.Expr) -> Typed:
        steps: list[tuple[str, exp.Expr]] = []
        while (operator := _OPERATORS.get(type(node))) is not None:
            steps.append((operator, node.expression))
            node = node.this
        made = self.value(node)
        for operator, right in reversed(steps):
            made = calculate(operator, made, self.value(right))
            self._scope.budget.spend(made.sql)
        return made

    def _bits_not(self, node: exp.Expr) -> Typed:
        return invert(self.value(node.this))

    def _negate(self, node: exp.Expr) -> Typed:
        inner = node.this
        if isinstance(inner, exp.Literal) and not inner.is_string:
            return _number(inner.name, negative=True)
        return negate(self.value(inner))

    def _concatenate(self, node: exp.Expr) -> Typed:
        parts = [as_text(self.value(each)) for each in _chain(node, exp.DPipe)]
        return Typed(
            f"({join(' || ', (part.sql for part in parts))})",
            Kind.TEXT,
            digits=all(part.digits for part in parts),
            volatile=any(part.volatile for part in parts),
        )

    def _collate(self, node: exp.Expr) -> Typed:
        value = self.value(node.this)
        return replace(value, collation=node.expression.name, explicit=True)

    def _case(self, node: exp.Expr) -> Typed:
        default = node.args.get("default")
        otherwise = null() if default is None else self.value(default)
        subject = None if node.this is None else self.value(node.this)
        if subject is not None and subject.volatile:
            raise NotTranslatable("CASE", "chance would be asked more than once")
        branches = node.args["ifs"]
        values = [self.value(each.args["true"]) for each in branches]
        if subject is None:
            tests = [self.condition(each.this) for each in branches]
            return case(list(zip(tests, values, strict=True)), otherwise)
        others = [self.value(each.this) for each in branches]
        if Kind.NULL not in {subject.kind, *(other.kind for other in others)}:
            pairs = self._pairs(subject, others)
            if len({left for left, _ in pairs}) == 1:
                rights = [right for _, right in pairs]
                return case(list(zip(rights, values, strict=True)), otherwise, pairs[0][0])
        tests = []
        for other in others:
            tests.append(compare(EQUAL, subject, other).sql)
            self._scope.budget.spend(tests[-1])
        return case(list(zip(tests, values, strict=True)), otherwise)

    def _if(self, node: exp.Expr) -> Typed:
        arguments = [node.this, node.args["true"], node.args.get("false")]
        values = [self.value(each) for each in arguments if each is not None]
        return translate_function("iif", values, immutable=self._immutable)

    def _exists(self, node: exp.Expr) -> Typed:
        sql, _ = self._scope.subquery(node.this, single=False)
        return boolean(f"EXISTS ({sql})")

    def _subquery(self, node: exp.Expr) -> Typed:
        sql, columns = self._scope.subquery(node, single=True)
        if len(columns) != 1:
            raise NotTranslatable("a query in an expression", "it has several columns")
        (column,) = columns
        return Typed(
            f"({sql})",
            column.kind,
            column.type,
            column=column.column,
            affinity=column.affinity,
            collation=column.collation,
            mixed=column.mixed,
        )

    def _current(self, node: exp.Expr) -> Typed:
        return translate_date(_CURRENT[type(node)], [], immutable=self._immutable)

    def _aggregate(self, node: exp.Expr) -> Typed:
        found = self._scope.aggregate(node, self)
        if found is None:
            raise NotTranslatable(node.sql("sqlite"), "it is not known here")
        return found

    def _function(self, node: exp.Expr) -> Typed:
        name = node.name.lower()
        found = self._scope.aggregate(node, self)
        if found is not None:
            return found
        if name == CAST:
            return cast(self.value(node.expressions[0]), node.expressions[1].name)
        arguments = [self.value(each) for each in node.expressions]
        if name == "->>":
            return json_arrow(*arguments)
        if name in {"likely", "unlikely", "likelihood"}:
            return replace(arguments[0], affinity=None)
        if name in _DATES:
            return translate_date(name, arguments, immutable=self._immutable)
        return translate_function(name, arguments, immutable=self._immutable)

    _NODES: ClassVar[dict[type, Callable[["Expressions", exp.Expr], Typed]]] = {
        exp.Paren: _paren,
        exp.Column: _column,
        exp.Literal: _literal,
        exp.HexString: _hex,
        exp.Null: _null,
        exp.Boolean: _boolean,
        exp.And: _and,
        exp.Or: _or,
        exp.Not: _not,
        **dict.fromkeys(_COMPARISONS, _compared),
        exp.Between: _between,
        exp.In: _in,
        exp.Like: _like,
        exp.Escape: _escape,
        exp.Glob: _glob,
        **dict.fromkeys(_OPERATORS, _calculated),
        exp.BitwiseNot: _bits_not,
        exp.Neg: _negate,
        exp.DPipe: _concatenate,
        exp.Collate: _collate,
        exp.Case: _case,
        exp.If: _if,
        exp.Exists: _exists,
        exp.Subquery: _subquery,
        **dict.fromkeys(_CURRENT, _current),
        exp.Window: _aggregate,
        exp.Filter: _aggregate,
        exp.Anonymous: _function,
    }


def _chain(node: exp.Expr, kind: type[exp.Expr]) -> Iterator[exp.Expr]:
    """The operands of `a + b + c`, from left to right, however many there are."""
    rights = []
    while isinstance(node, kind):
        rights.append(node.expression)
        node = node.this
    yield node
    yield from reversed(rights)


def _number(written: str, *, negative: bool = False) -> Typed:
    """A literal of a number, of any length. Raises `NotTranslatable`."""
    sign = -1 if negative else 1
    try:
        if written.isdigit() and len(written) <= _MOST_DIGITS:
            return integer(sign * int(written))
        return real(sign * float(written))
    except ValueError as error:
        raise NotTranslatable(written, "it is no number that is known here") from error
