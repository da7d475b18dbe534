"""Evaluates PromQL over the samples of one database.

The expressions of the rules are Prometheus's own, so that the daemon and a Prometheus judge by the
same text. They are parsed by promql-parser; here is the part of the language that rules need.
A rule with anything else is refused when it is read, by `check`.

Unlike Prometheus, a range looks at the samples that are there and does not extrapolate to its
edges: `increase` of a counter that went up by 3 is 3.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import promql_parser as ast

from dbopsd.metrics.errors import ExpressionFailed, ExpressionInvalid
from dbopsd.metrics.history.aggregate import grown
from dbopsd.metrics.history.chunk import Samples

Labels = tuple[tuple[str, str], ...]
"""Label names and values, by name, without empty values."""


class Element(NamedTuple):
    """An element of an instant vector."""

    labels: Labels
    value: float


class Window(NamedTuple):
    """An element of a range vector."""

    labels: Labels
    samples: Samples


class LabelMap(dict[str, str]):
    """Labels by name, with the same as pairs: made once for a series, and not at each look."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        super().__init__(labels)
        self.pairs: Labels = tuple(sorted((name, value) for name, value in labels.items() if value))


Vector = list[Element]
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
        except _Failed as failed:
            raise ExpressionFailed(self.text, str(failed)) from failed
        vector = [Element((), result)] if isinstance(result, float) else result
        return [each for each in vector if not math.isnan(each.value)]


class _Failed(Exception):
    """An expression that cannot be evaluated on the samples that are there."""


def _divided(a: float, b: float) -> float:
    if b:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


_ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
    "^": _power,
}
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_SETS: Final = ("and", "or", "unless")
_AGGREGATIONS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "sum": math.fsum,
    "min": min,
    "max": max,
    "avg": lambda values: math.fsum(values) / len(values),
    "count": lambda values: float(len(values)),
    "group": lambda values: 1.0,
}
_OF_VALUES: Final[Mapping[str, Callable[[float], float]]] = {
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "sqrt": lambda value: math.sqrt(value) if value >= 0 else math.nan,
    "ln": lambda value: math.log(value) if value > 0 else math.nan,
}


def _seconds(samples: Samples) -> float:
    return float(samples.times[-1] - samples.times[0]) / 1000.0


def _slope(samples: Samples) -> tuple[float, float]:
    """The least-squares line, as per second and at the last sample."""
    times = (samples.times - samples.times[-1]) / 1000.0
    middle, mean = float(times.mean()), float(samples.values.mean())
    apart = times - middle
    per_s = float(np.dot(apart, samples.values - mean) / np.dot(apart, apart))
    return per_s, mean - per_s * middle


# Each of one window with at least so many samples.
_OF_WINDOWS: Final[Mapping[str, tuple[int, Callable[[Samples], float]]]] = {
    "increase": (2, lambda s: float(grown(s).sum())),
    "rate": (2, lambda s: _divided(float(grown(s).sum()), _seconds(s))),
    "delta": (2, lambda s: float(s.values[-1] - s.values[0])),
    "deriv": (2, lambda s: _slope(s)[0]),
    "changes": (1, lambda s: float(np.count_nonzero(np.diff(s.values)))),
    "resets": (1, lambda s: float(np.count_nonzero(np.diff(s.values) < 0))),
    "avg_over_time": (1, lambda s: float(s.values.mean())),
    "min_over_time": (1, lambda s: float(s.values.min())),
    "max_over_time": (1, lambda s: float(s.values.max())),
    "sum_over_time": (1, lambda s: float(s.values.sum())),
    "count_over_time": (1, lambda s: float(len(s.values))),
    "last_over_time": (1, lambda s: float(s.values[-1])),
}
_OTHERS: Final = frozenset(
    {"time", "predict_linear", "absent", "scalar", "vector", "clamp_min", "clamp_max"}
)


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
                return _each(self.value(node.expr), lambda value: -value)
            case ast.VectorSelector():
                return self._select(node)
            case ast.Call():
                return self._call(node.func.name, node.args)
            case ast.AggregateExpr():
                return self._aggregate(node)
            case ast.BinaryExpr():
                return self._binary(node)
        raise _Failed(f"{type(node).__name__} has no value")

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
        if name in _OF_WINDOWS:
            text = f"{name} {arguments[0]}"
            if text not in self._found:
                least, of_window = _OF_WINDOWS[name]
                self._found[text] = [
                    Element(window.labels, of_window(window.samples))
                    for window in self._windows(arguments[0])
                    if len(window.samples.times) >= least
                ]
            return self._found[text]
        if name in _OF_VALUES:
            return _each(self.value(arguments[0]), _OF_VALUES[name])
        match name:
            case "time":
                return self._now
            case "predict_linear":
                ahead_s = self._number(arguments[1])
                return [
                    Element(window.labels, _predicted(window.samples, self._now, ahead_s))
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
                return _each(self.value(arguments[0]), lambda value: bounded(value, limit))
        raise _Failed(f"{name}() is not known")

    def _number(self, node: Any) -> float:
        found = self.value(node)
        if isinstance(found, float):
            return found
        raise _Failed("a number is needed where there is a vector")

    def _vector(self, node: Any) -> Vector:
        found = self.value(node)
        if isinstance(found, float):
            raise _Failed("a vector is needed where there is a number")
        return found

    def _aggregate(self, node: Any) -> Vector:
        groups: dict[Labels, list[float]] = {}
        for element in self._vector(node.expr):
            kept = _kept(element.labels, node.modifier)
            groups.setdefault(kept, []).append(element.value)
        combine = _AGGREGATIONS[str(node.op)]
        return [Element(labels, float(combine(values))) for labels, values in groups.items()]

    def _binary(self, node: Any) -> float | Vector:
        operator = str(node.op)
        left, right = self.value(node.lhs), self.value(node.rhs)
        if operator in _SETS:
            if isinstance(left, float) or isinstance(right, float):
                raise _Failed(f"'{operator}' is between vectors")
            return _combined(operator, left, right, node.modifier)
        as_number = node.modifier is not None and node.modifier.return_bool
        if isinstance(left, float) and isinstance(right, float):
            return _applied(operator, left, right)
        if isinstance(right, float):
            pairs = [(each, each.value, right) for each in left]  # type: ignore[union-attr]
        elif isinstance(left, float):
            pairs = [(each, left, each.value) for each in right]
        else:
            return _joined(operator, left, right, node.modifier)
        found = []
        for element, a, b in pairs:
            if operator in _ARITHMETIC:
                found.append(Element(element.labels, _ARITHMETIC[operator](a, b)))
            elif as_number:
                found.append(Element(element.labels, float(_COMPARISONS[operator](a, b))))
            elif _COMPARISONS[operator](a, b):
                found.append(element)
        return found


def _applied(operator: str, a: float, b: float) -> float:
    if operator in _ARITHMETIC:
        return _ARITHMETIC[operator](a, b)
    return float(_COMPARISONS[operator](a, b))


def _joined(operator: str, left: Vector, right: Vector, modifier: Any) -> Vector:
    """Two vectors, element by element with the same labels, as Prometheus matches them."""
    many_left = modifier is not None and modifier.card == ast.VectorMatchCardinality.ManyToOne
    many_right = modifier is not None and modifier.card == ast.VectorMatchCardinality.OneToMany
    one_side, other_side = (left, right) if many_right else (right, left)
    ones: dict[Labels, Element] = {}
    for element in one_side:
        key = _key(element.labels, modifier)
        if key in ones:
            raise _Failed(f"several elements match {dict(key)}: say group_left or more labels")
        ones[key] = element
    found: dict[Labels, Element] = {}
    for element in other_side:
        key = _key(element.labels, modifier)
        one = ones.get(key)
        if one is None:
            continue
        a, b = (one.value, element.value) if many_right else (element.value, one.value)
        if operator in _ARITHMETIC:
            value = _ARITHMETIC[operator](a, b)
        elif modifier is not None and modifier.return_bool:
            value = float(_COMPARISONS[operator](a, b))
        elif _COMPARISONS[operator](a, b):
            value = a
        else:
            continue
        if many_left or many_right:
            added = set(modifier.group_labels or ())
            kept = [(n, v) for n, v in element.labels if n not in added]
            labels = tuple(sorted([*kept, *((n, v) for n, v in one.labels if n in added)]))
        elif operator in _COMPARISONS and not (modifier is not None and modifier.return_bool):
            labels = key if _is_on(modifier) else element.labels
        else:
            labels = key
        if labels in found:
            raise _Failed(f"several elements match {dict(labels)}: say group_left or more labels")
        found[labels] = Element(labels, value)
    return list(found.values())


def _combined(operator: str, left: Vector, right: Vector, modifier: Any) -> Vector:
    there = {_key(each.labels, modifier) for each in right}
    if operator == "and":
        return [each for each in left if _key(each.labels, modifier) in there]
    if operator == "unless":
        return [each for each in left if _key(each.labels, modifier) not in there]
    known = {_key(each.labels, modifier) for each in left}
    return [*left, *(each for each in right if _key(each.labels, modifier) not in known)]


def _key(labels: Labels, modifier: Any) -> Labels:
    """The labels by which an element finds its match."""
    matching = None if modifier is None else modifier.matching
    if matching is None:
        return labels
    named = set(matching.labels)
    on = matching.type == ast.LabelModifierType.Include
    return tuple((name, value) for name, value in labels if (name in named) is on)


def _is_on(modifier: Any) -> bool:
    matching = None if modifier is None else modifier.matching
    return matching is not None and matching.type == ast.LabelModifierType.Include


def _kept(labels: Labels, modifier: Any) -> Labels:
    if modifier is None:
        return ()
    named = set(modifier.labels)
    by = modifier.type == ast.AggModifierType.By
    return tuple((name, value) for name, value in labels if (name in named) is by)


def _each(value: float | Vector, apply: Callable[[float], float]) -> float | Vector:
    if isinstance(value, float):
        return float(apply(value))
    return [Element(each.labels, float(apply(each.value))) for each in value]


def _predicted(samples: Samples, now: float, ahead_s: float) -> float:
    per_s, at_end = _slope(samples)
    return at_end + per_s * (now - float(samples.times[-1]) / 1000.0 + ahead_s)


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
        case ast.Call() if node.func.name not in (*_OF_WINDOWS, *_OF_VALUES, *_OTHERS):
            return f"the function {node.func.name} is not supported"
        case ast.AggregateExpr() if str(node.op) not in _AGGREGATIONS:
            return f"the aggregation {node.op} is not supported"
        case ast.BinaryExpr() if str(node.op) not in (*_ARITHMETIC, *_COMPARISONS, *_SETS):
            return f"the operator {node.op} is not supported"
        case ast.VectorSelector() if node.offset is not None or node.at is not None:
            return "offset and @ are not supported"
        case ast.VectorSelector() if not node.name:
            return "a selector without a name is not supported"
    return ""
