"""Operators of PromQL on instant vectors: which elements belong together, and what they make."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import promql_parser as ast

Labels = tuple[tuple[str, str], ...]
"""Label names and values, by name, without empty values."""


class Element(NamedTuple):
    """An element of an instant vector."""

    labels: Labels
    value: float


Vector = list[Element]


class NotEvaluated(Exception):
    """An expression that cannot be evaluated on the samples that are there."""


def divided(a: float, b: float) -> float:
    """A quotient as PromQL has it: dividing by nothing is infinite, or NaN."""
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


ARITHMETIC: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divided,
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
    "^": _power,
}
COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
SETS: Final = ("and", "or", "unless")
AGGREGATIONS: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "sum": math.fsum,
    "min": min,
    "max": max,
    "avg": lambda values: math.fsum(values) / len(values),
    "count": lambda values: float(len(values)),
    "group": lambda values: 1.0,
}


def applied(operator: str, a: float, b: float) -> float:
    """An operator between two numbers; a comparison is 1 or 0."""
    if operator in ARITHMETIC:
        return ARITHMETIC[operator](a, b)
    return float(COMPARISONS[operator](a, b))


def joined(operator: str, left: Vector, right: Vector, modifier: Any) -> Vector:
    """Two vectors, element by element with the same labels, as Prometheus matches them."""
    many_left = modifier is not None and modifier.card == ast.VectorMatchCardinality.ManyToOne
    many_right = modifier is not None and modifier.card == ast.VectorMatchCardinality.OneToMany
    one_side, other_side = (left, right) if many_right else (right, left)
    ones: dict[Labels, Element] = {}
    for element in one_side:
        key = _key(element.labels, modifier)
        if key in ones:
            raise NotEvaluated(f"several elements match {dict(key)}: say group_left or more labels")
        ones[key] = element
    found: dict[Labels, Element] = {}
    for element in other_side:
        key = _key(element.labels, modifier)
        one = ones.get(key)
        if one is None:
            continue
        a, b = (one.value, element.value) if many_right else (element.value, one.value)
        if operator in ARITHMETIC:
            value = ARITHMETIC[operator](a, b)
        elif modifier is not None and modifier.return_bool:
            value = float(COMPARISONS[operator](a, b))
        elif COMPARISONS[operator](a, b):
            value = a
        else:
            continue
        if many_left or many_right:
            added = set(modifier.group_labels or ())
            kept = [(n, v) for n, v in element.labels if n not in added]
            labels = tuple(sorted([*kept, *((n, v) for n, v in one.labels if n in added)]))
        elif operator in COMPARISONS and not (modifier is not None and modifier.return_bool):
            labels = key if _is_on(modifier) else element.labels
        else:
            labels = key
        if labels in found:
            raise NotEvaluated(
                f"several elements match {dict(labels)}: say group_left or more labels"
            )
        found[labels] = Element(labels, value)
    return list(found.values())


def combined(operator: str, left: Vector, right: Vector, modifier: Any) -> Vector:
    """Two vectors by `and`, `or` or `unless`."""
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


def kept_labels(labels: Labels, modifier: Any) -> Labels:
    """The labels that an aggregation by or without others keeps."""
    if modifier is None:
        return ()
    named = set(modifier.labels)
    by = modifier.type == ast.AggModifierType.By
    return tuple((name, value) for name, value in labels if (name in named) is by)


def for_each(value: float | Vector, apply: Callable[[float], float]) -> float | Vector:
    """A function of a number, or of each element of a vector."""
    if isinstance(value, float):
        return float(apply(value))
    return [Element(each.labels, float(apply(each.value))) for each in value]
