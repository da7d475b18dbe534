"""Evaluates PromQL over the samples of one database.

The expressions of the rules are Prometheus's own, so that the daemon and a Prometheus judge by the
same text. They are parsed by promql-parser; here is the part of the language that rules need.
A rule with anything else is refused when it is read, by `check`.

Unlike Prometheus, a range looks at the samples that are there and does not extrapolate to its
edges: `increase` of a counter that went up by 3 is 3.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import promql_parser as ast

from dbopsd.metrics.alerts.promql_functions import OF_VALUES, OF_WINDOWS, OTHERS, predicted
from dbopsd.metrics.alerts.promql_vectors import (
    AGGREGATIONS,
    ARITHMETIC,
    COMPARISONS,
    SETS,
    Element,
    Labels,
    NotEvaluated,
    Vector,
    applied,
    combined,
    for_each,
    joined,
    kept_labels,
)
from dbopsd.metrics.errors import ExpressionFailed, ExpressionInvalid
from dbopsd.metrics.history.chunk import Samples


class Window(NamedTuple):
    """An element of a range vector."""

    labels: Labels
    samples: Samples


class LabelMap(dict[str, str]):
    """Labels by name, with the same as pairs: made once for a series, and not at each look."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        super().__init__(labels)
        self.pairs: Labels = tuple(sorted((name, value) for name, value in labels.items() if value))


Found = dict[str, Vector]
"""What functions of ranges came to, by their text: several rules ask for the same."""
Matches = Callable[[Mapping[str, str]], bool]


class Reader(Protocol):
    """Where samples come from. Labels have no `__name__`."""

    def instant(self, metric: str) -> Iterable[tuple[Mapping[str, str], float]]:
        """The newest samples of a metric."""

    def window(
        self, metric: str, matches: Matches, span_s: float
    ) -> Iterable[tuple[Mapping[str, str], Samples]]:
        """The samples of a metric in the last `span_s` seconds."""


@dataclass(frozen=True)
class Expression:
    """A parsed expression."""

    text: str
    tree: Any

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """Parse and check it. Raises `ExpressionInvalid`."""
        try:
            tree = ast.parse(text)
        except ValueError as error:
            raise ExpressionInvalid(text, str(error)) from error
        _check(text, tree)
        return cls(text, tree)

    @property
    def metrics(self) -> frozenset[str]:
        """The names of the metrics that it reads."""
        found: set[str] = set()
        for node in _nodes(self.tree):
            selector = node.vector_selector if isinstance(node, ast.MatrixSelector) else node
            if isinstance(selector, ast.VectorSelector) and selector.name:
                found.add(selector.name)
        return frozenset(found)

    @property
    def windows(self) -> Mapping[str, float]:
        """The metrics of which it reads ranges, and the longest range in seconds."""
        found: dict[str, float] = {}
        for node in _nodes(self.tree):
            if isinstance(node, ast.MatrixSelector):
                name = node.vector_selector.name or ""
                found[name] = max(found.get(name, 0.0), node.range.total_seconds())
        return found

    def evaluate(self, reader: Reader, now: float, found: Found | None = None) -> Vector:
        """The elements for which it holds. `now`: seconds since 1970. Raises `ExpressionFailed`.

        `found` is kept between the expressions of one look at the same samples.
        """
        try:
            result = _Evaluation(reader, now, {} if found is None else found).value(self.tree)
        except NotEvaluated as failed:
            raise ExpressionFailed(self.text, str(failed)) from failed
        vector = [Element((), result)] if isinstance(result, float) else result
        return [each for each in vector if not math.isnan(each.value)]


class _Evaluation:
    """One evaluation of one expression."""

    def __init__(self, reader: Reader, now: float, found: Found) -> None:
        self._reader = reader
        self._now = now
        self._found = found

    def value(self, node: Any) -> float | Vector:
        """The value of a node: a number, or an instant vector."""
        match node:
            case ast.NumberLiteral():
                return float(node.val)
            case ast.ParenExpr():
                return self.value(node.expr)
            case ast.UnaryExpr():
                return for_each(self.value(node.expr), lambda value: -value)
            case ast.VectorSelector():
                return self._select(node)
            case ast.Call():
                return self._call(node.func.name, node.args)
            case ast.AggregateExpr():
                return self._aggregate(node)
            case ast.BinaryExpr():
                return self._binary(node)
        raise NotEvaluated(f"{type(node).__name__} has no value")

    def _select(self, node: Any) -> Vector:
        matches = _matcher(node)
        return [
            Element(_labels(labels), value)
            for labels, value in self._reader.instant(node.name)
            if matches(labels)
        ]

    def _windows(self, node: Any) -> list[Window]:
        selector = node.vector_selector
        span_s = node.range.total_seconds()
        found = self._reader.window(selector.name, _matcher(selector), span_s)
        return [Window(_labels(labels), samples) for labels, samples in found]

    def _call(self, name: str, arguments: Sequence[Any]) -> float | Vector:
        if name in OF_WINDOWS:
            text = f"{name} {arguments[0]}"
            if text not in self._found:
                least, of_window = OF_WINDOWS[name]
                self._found[text] = [
                    Element(window.labels, of_window(window.samples))
                    for window in self._windows(arguments[0])
                    if len(window.samples.times) >= least
                ]
            return self._found[text]
        if name in OF_VALUES:
            return for_each(self.value(arguments[0]), OF_VALUES[name])
        match name:
            case "time":
                return self._now
            case "predict_linear":
                ahead_s = self._number(arguments[1])
                return [
                    Element(window.labels, predicted(window.samples, self._now, ahead_s))
                    for window in self._windows(arguments[0])
                    if len(window.samples.times) >= 2
                ]
            case "absent":
                return [] if self._vector(arguments[0]) else [Element((), 1.0)]
            case "scalar":
                found = self._vector(arguments[0])
                return found[0].value if len(found) == 1 else math.nan
            case "vector":
                return [Element((), self._number(arguments[0]))]
            case "clamp_min" | "clamp_max":
                limit = self._number(arguments[1])
                bounded = max if name == "clamp_min" else min
                return for_each(self.value(arguments[0]), lambda value: bounded(value, limit))
        raise NotEvaluated(f"{name}() is not known")

    def _number(self, node: Any) -> float:
        found = self.value(node)
        if isinstance(found, float):
            return found
        raise NotEvaluated("a number is needed where there is a vector")

    def _vector(self, node: Any) -> Vector:
        found = self.value(node)
        if isinstance(found, float):
            raise NotEvaluated("a vector is needed where there is a number")
        return found

    def _aggregate(self, node: Any) -> Vector:
        groups: dict[Labels, list[float]] = {}
        for element in self._vector(node.expr):
            kept = kept_labels(element.labels, node.modifier)
            groups.setdefault(kept, []).append(element.value)
        combine = AGGREGATIONS[str(node.op)]
        return [Element(labels, float(combine(values))) for labels, values in groups.items()]

    def _binary(self, node: Any) -> float | Vector:
        operator = str(node.op)
        left, right = self.value(node.lhs), self.value(node.rhs)
        if operator in SETS:
            if isinstance(left, float) or isinstance(right, float):
                raise NotEvaluated(f"'{operator}' is between vectors")
            return combined(operator, left, right, node.modifier)
        as_number = node.modifier is not None and node.modifier.return_bool
        if isinstance(left, float) and isinstance(right, float):
            return applied(operator, left, right)
        if isinstance(right, float):
            pairs = [(each, each.value, right) for each in left]  # type: ignore[union-attr]
        elif isinstance(left, float):
            pairs = [(each, left, each.value) for each in right]
        else:
            return joined(operator, left, right, node.modifier)
        found = []
        for element, a, b in pairs:
            if operator in ARITHMETIC:
                found.append(Element(element.labels, ARITHMETIC[operator](a, b)))
            elif as_number:
                found.append(Element(element.labels, float(COMPARISONS[operator](a, b))))
            elif COMPARISONS[operator](a, b):
                found.append(element)
        return found


def _labels(labels: Mapping[str, str]) -> Labels:
    if isinstance(labels, LabelMap):
        return labels.pairs
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def _matcher(selector: Any) -> Matches:
    tests = [(matcher.name, _test(matcher)) for matcher in selector.matchers.matchers]

    def matches(labels: Mapping[str, str]) -> bool:
        return all(test(labels.get(name, "")) for name, test in tests)

    return matches


def _test(matcher: Any) -> Callable[[str], bool]:
    wanted: str = matcher.value
    match matcher.op:
        case ast.MatchOp.Equal:
            return lambda value: value == wanted
        case ast.MatchOp.NotEqual:
            return lambda value: value != wanted
    pattern = re.compile(wanted)
    if matcher.op == ast.MatchOp.Re:
        return lambda value: pattern.fullmatch(value) is not None
    return lambda value: pattern.fullmatch(value) is None


def _nodes(tree: Any) -> list[Any]:
    found: list[Any] = []
    ast.walk(tree, found.append)
    return found


def _check(text: str, tree: Any) -> None:
    """Raise `ExpressionInvalid` for what is not evaluated here."""
    for node in _nodes(tree):
        problem = _problem(node)
        if problem:
            raise ExpressionInvalid(text, problem)


def _problem(node: Any) -> str:
    match node:
        case ast.SubqueryExpr():
            return "a subquery is not supported"
        case ast.StringLiteral():
            return "a text is not supported"
        case ast.Call() if node.func.name not in (*OF_WINDOWS, *OF_VALUES, *OTHERS):
            return f"the function {node.func.name} is not supported"
        case ast.AggregateExpr() if str(node.op) not in AGGREGATIONS:
            return f"the aggregation {node.op} is not supported"
        case ast.BinaryExpr() if str(node.op) not in (*ARITHMETIC, *COMPARISONS, *SETS):
            return f"the operator {node.op} is not supported"
        case ast.VectorSelector() if node.offset is not None or node.at is not None:
            return "offset and @ are not supported"
        case ast.VectorSelector() if not node.name:
            return "a selector without a name is not supported"
    return ""
