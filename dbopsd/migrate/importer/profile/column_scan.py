"""The questions about one column, and its profile from the answers.

Counting what is not as expected costs a third of counting everything. So a sample says what to
expect, and only where that turns out wrong each storage class is counted.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from dbopsd.migrate.importer.model.declared_type import Declared, Family, read_declared
from dbopsd.migrate.importer.model.source_profile import ColumnProfile, TextShapes
from dbopsd.migrate.importer.model.source_schema import Affinity, SourceColumn, quote_sqlite
from dbopsd.migrate.importer.profile.numbers import (
    MORE_DIGITS,
    UNITS,
    likely_sql,
    off_midnight_sql,
    scale_of,
    scale_sql,
    whole_digits,
)
from dbopsd.migrate.importer.profile.row_queries import Question, Rows
from dbopsd.migrate.importer.profile.text_shapes import (
    INSTANTS,
    add_shapes,
    count_shapes,
    decimal_digits,
    pattern_bytes,
    patterns_of,
)

_CLASSES: Final = ("integer", "real", "text", "blob")
_EXACT_INTEGER: Final = 2**53
_DATES: Final = frozenset({Family.DATE, Family.TIMESTAMP})
# Where the least and the greatest number decide about the type or the unit.
_RANGED: Final = _DATES | {Family.SMALLINT, Family.BOOLEAN, Family.NUMERIC, Family.BY_VALUES}
_LIKELY: Final = {
    Affinity.INTEGER: "integer",
    Affinity.REAL: "real",
    Affinity.NUMERIC: "integer",
    Affinity.TEXT: "text",
    Affinity.BLOB: "text",
}
_SAMPLE_CHARACTERS: Final = 64


@dataclass(frozen=True)
class Expected:
    """What a sample leads one to expect of a column."""

    storage_class: str = ""
    """Of all values but NULL; empty: there may be several."""
    nulls: bool = True
    """Whether there may be some."""
    patterns: tuple[tuple[str, str], ...] = ()
    """GLOB patterns of dates and timestamps, each with its shape."""

    def anything(self) -> "Expected":
        """What to expect when this turned out to be wrong."""
        return replace(self, storage_class="", nulls=True)


class ColumnScan:
    """One column of the rows that are looked at. `deep`: each text value is looked at, too.

    `utf8` says whether that is the file's encoding, and not UTF-16.
    """

    def __init__(self, column: SourceColumn, *, deep: bool, utf8: bool) -> None:
        self._declared: Declared = read_declared(column.declared_type)
        family = self._declared.family
        self._family = family
        self._name = quote_sqlite(column.name)
        self._ranged = deep or family in _RANGED
        self._scaled = family is Family.NUMERIC and (deep or bool(self._declared.arguments))
        self._shaped = deep or family in _DATES
        self._deep = deep
        self._utf8 = utf8
        self._likely = _LIKELY[column.affinity]

    @property
    def sampled(self) -> tuple[str, str]:
        """Two expressions, of which a sample is wanted."""
        text = f"substr({self._name}, 1, {_SAMPLE_CHARACTERS})" if self._shaped else "NULL"
        return f"typeof({self._name})", f"CASE typeof({self._name}) WHEN 'text' THEN {text} END"

    def expect(self, sample: list[tuple[bytes, bytes | None]]) -> Expected:
        """What a sample of those two lets one expect."""
        classes = Counter(name.decode() for name, _ in sample)
        nulls = classes.pop("null", 0) > 0 or not sample
        patterns = patterns_of(text for _, text in sample if text is not None)
        only = next(iter(classes or [self._likely])) if len(classes) < 2 else ""
        return Expected(only, nulls, tuple(patterns.items()))

    def questions(self, expected: Expected) -> dict[str, Question]:
        """What to ask of all rows, by the name under which `answer` wants to have it."""
        name = self._name
        if expected.storage_class:
            asked = {"unexpected": self._count(f"typeof({name}) <> '{expected.storage_class}'")}
            if expected.nulls:
                asked["nulls"] = self._count(f"{name} IS NULL")
        else:
            asked = {each: self._count(f"typeof({name}) = '{each}'") for each in _CLASSES}
        for storage_class in _CLASSES:
            if expected.storage_class in ("", storage_class):
                asked |= self._about(storage_class, expected)
        return asked

    def answer(
        self, rows: int, expected: Expected, answers: dict[str, Any]
    ) -> ColumnProfile | None:
        """What the answers say; None: it was not as expected, and all must be asked anew."""
        counts = {each: answers.get(each) or 0 for each in _CLASSES}
        nulls = rows - sum(counts.values())
        if expected.storage_class:
            nulls = answers.get("nulls") or 0
            if answers["unexpected"] != nulls:
                return None
            counts[expected.storage_class] = rows - nulls
        patterned = [
            (pattern, shape, answers[f"pattern {number}"] or 0)
            for number, (pattern, shape) in enumerate(expected.patterns)
            if f"pattern {number}" in answers
        ]
        text_bytes = answers.get("text bytes") or 0
        if not self._utf8:
            # Most code units become three bytes of UTF-8 at most.
            text_bytes = (text_bytes * 3 + 1) // 2
        longest = [pattern_bytes(pattern) for pattern, _, count in patterned if count]
        shapes: dict[str, int] = {}
        for _, shape, count in patterned:
            shapes[shape] = shapes.get(shape, 0) + count
        return ColumnProfile(
            rows=rows,
            nulls=nulls,
            integers=counts["integer"],
            reals=counts["real"],
            texts=counts["text"],
            blobs=counts["blob"],
            min_integer=answers.get("least integer"),
            max_integer=answers.get("greatest integer"),
            min_real=answers.get("least real"),
            max_real=answers.get("greatest real"),
            max_text_bytes=max([text_bytes, *longest]),
            max_blob_bytes=answers.get("blob bytes") or 0,
            max_scale=answers.get("scale"),
            likely_seconds=sum(answers.get(f"{each} s") or 0 for each in ("integer", "real")),
            likely_milliseconds=sum(answers.get(f"{each} ms") or 0 for each in ("integer", "real")),
            shapes=TextShapes(**shapes, examples=()) if self._shaped else None,
        )

    def look_closer(self, rows: Rows, expected: Expected, found: ColumnProfile) -> ColumnProfile:
        """Ask for what only some columns need, and look at values that SQL cannot judge."""
        found = replace(found, **self._counted_apart(rows, found))
        if self._shaped:
            found = self._all_shapes(rows, expected, found)
        if self._scaled:
            found = self._all_digits(rows, found)
        return found

    def _about(self, storage_class: str, expected: Expected) -> dict[str, Question]:
        only = f" FILTER (WHERE typeof({self._name}) = '{storage_class}')"
        guard = "" if expected.storage_class else only
        # Whatever collation the column has: numbers need none, and it may not be there.
        value = f"{self._name} COLLATE BINARY"
        asked = {}
        match storage_class:
            case "integer" | "real" if self._ranged:
                asked[f"least {storage_class}"] = Question(f"min({value}){guard}")
                asked[f"greatest {storage_class}"] = Question(f"max({value}){guard}")
            case "blob":
                asked["blob bytes"] = Question(f"max(length({self._name})){guard}")
            case "text":
                for number, (pattern, _) in enumerate(expected.patterns):
                    has = self._has(pattern)
                    if guard:
                        has = f"typeof({self._name}) = 'text' AND {has}"
                    asked[f"pattern {number}"] = Question(self._count(has).sql, (pattern,))
                if not expected.patterns:
                    size = f"length(CAST({self._name} AS BLOB))"
                    asked["text bytes"] = Question(f"max({size}){guard}")
        if storage_class in ("integer", "real") and self._family in _DATES:
            for unit in ("s", "ms"):
                likely = f"typeof({self._name}) = '{storage_class}' AND {likely_sql(value, unit)}"
                asked[f"{storage_class} {unit}"] = self._count(likely)
        if storage_class == "real" and self._scaled:
            asked["scale"] = Question(f"max({scale_sql(self._name)}){only}")
        return asked

    def _has(self, pattern: str) -> str:
        """The condition that a text has a pattern, which is its parameter."""
        # GLOB believes that a text ends where it has a NUL.
        size = pattern_bytes(pattern) * (1 if self._utf8 else 2)
        return f"({self._name} GLOB ? AND length(CAST({self._name} AS BLOB)) = {size})"

    def _count(self, condition: str) -> Question:
        return Question(f"count(*) FILTER (WHERE {condition})")

    def _counted_apart(self, rows: Rows, found: ColumnProfile) -> dict[str, Any]:
        """Counts that hardly any column needs, in one scan for those that do."""
        name = self._name
        asked: dict[str, Question] = {}
        largest = max(abs(found.min_integer or 0), abs(found.max_integer or 0))
        if largest > _EXACT_INTEGER:
            beyond = f"{name} NOT BETWEEN -{_EXACT_INTEGER} AND {_EXACT_INTEGER}"
            asked["inexact_integers"] = self._count(f"typeof({name}) = 'integer' AND {beyond}")
        if float("inf") in (found.max_real, -(found.min_real or 0.0)):
            endless = f"abs({name}) = 9e999"
            asked["infinities"] = self._count(f"typeof({name}) = 'real' AND {endless}")
        if found.blobs and (self._family is Family.UUID or self._deep):
            asked["uuid_blobs"] = self._count(f"typeof({name}) = 'blob' AND length({name}) = 16")
        units: tuple[str, ...] = ()
        if self._family is Family.DATE and (found.integers or found.reals):
            units = UNITS
            asked |= {unit: self._count(off_midnight_sql(name, unit)) for unit in units}
        counts = dict(zip(asked, rows.ask(list(asked.values())), strict=True)) if asked else {}
        off_midnight = {unit: counts.pop(unit) for unit in units}
        return {**counts, "off_midnight": off_midnight} if units else counts

    def _all_shapes(self, rows: Rows, expected: Expected, found: ColumnProfile) -> ColumnProfile:
        """The shapes of the texts that none of the patterns has, and the midnights of the rest."""
        shapes = found.shapes or TextShapes()
        matched = sum(getattr(shapes, shape) for shape in INSTANTS)
        if shapes.naive_timestamp and self._family is Family.DATE:
            naive = [pattern for pattern, shape in expected.patterns if shape == "naive_timestamp"]
            any_of_them = " OR ".join(map(self._has, naive))
            zeros = f"trim(substr({self._name}, 11), ' T0:.') = ''"
            counted = self._count(
                f"typeof({self._name}) = 'text' AND {zeros} AND ({any_of_them})"
            ).sql
            (midnights,) = rows.ask([Question(counted, tuple(naive))])
            shapes = replace(shapes, midnights=midnights)
        if matched < found.texts:
            others = Longest(rows.values(self._name, self._texts(expected.patterns)))
            shapes = add_shapes(shapes, count_shapes(others))
            found = replace(found, max_text_bytes=max(found.max_text_bytes, others.longest))
        return replace(found, shapes=shapes)

    def _all_digits(self, rows: Rows, found: ColumnProfile) -> ColumnProfile:
        """The digits before and after the point that all numbers need, be they text or not."""
        scale = found.max_scale or 0
        if scale == MORE_DIGITS:
            unsure = f"typeof({self._name}) = 'real' AND {scale_sql(self._name)} = {MORE_DIGITS}"
            sure = f"max({scale_sql(self._name)}) FILTER (WHERE typeof({self._name}) = 'real' AND"
            (below,) = rows.ask([Question(f"{sure} {scale_sql(self._name)} < {MORE_DIGITS})")])
            written_out = scale_of(rows.values(self._name, Question(unsure)))
            scale = max(below or 0, written_out)
        whole = whole_digits((found.min_integer, found.max_integer, found.min_real, found.max_real))
        if found.infinities:
            finite = f"typeof({self._name}) = 'real' AND abs({self._name}) < 9e999"
            value = f"{self._name} COLLATE BINARY"
            whole = max(
                whole,
                whole_digits(
                    rows.ask(
                        [
                            Question(f"{extreme}({value}) FILTER (WHERE {finite})")
                            for extreme in ("min", "max")
                        ]
                    )
                ),
            )
        if found.texts:
            for text in rows.values(self._name, self._texts(())):
                digits = decimal_digits(text)
                if digits is not None:
                    whole, scale = max(whole, digits[0]), max(scale, digits[1])
        return replace(found, max_scale=scale, max_precision=whole)

    def _texts(self, patterns: tuple[tuple[str, str], ...]) -> Question:
        """The condition of the texts that have none of the patterns."""
        conditions = [f"typeof({self._name}) = 'text'"]
        conditions += [f"NOT {self._has(pattern)}" for pattern, _ in patterns]
        return Question(" AND ".join(conditions), tuple(pattern for pattern, _ in patterns))


class Longest:
    """Passes values on and remembers the longest."""

    def __init__(self, values: Iterator[bytes]) -> None:
        self._values = values
        self.longest = 0

    def __iter__(self) -> Iterator[bytes]:
        for value in self._values:
            self.longest = max(self.longest, len(value))
            yield value
