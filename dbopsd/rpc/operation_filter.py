"""The filter of `ListOperations`: AIP-160's comparisons, joined by `AND`, and nothing else of it.

What the language has beyond that (`OR`, `NOT`, parentheses, `:`, wildcards) is refused, not
ignored: a filter that was half understood would list what was not asked for.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn

from dbopsd.errors import InvalidField
from dbopsd.operations.record import Comparison, Condition, State
from dbopsd.rpc.validation import SEGMENT

# More would be a machine's; each is a part of one statement on the control store.
MAX_CONDITIONS: Final = 32
_MAX_CHARACTERS: Final = 4096
_QUOTED_CHARACTERS: Final = 40

_PREFIX: Final = "metadata."
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_OPERATOR: Final = re.compile(r"!=|<=|>=|=|<|>")
_BARE: Final = re.compile(r"[^\s\"'()=<>!,]+")
_STRING: Final = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
# A * that no backslash, itself not escaped, stands before.
_WILDCARD: Final = re.compile(r"(?<!\\)(?:\\\\)*\*")
_AND: Final = re.compile(r"AND(?![^\s\"'()])")

_DATABASE: Final = re.compile(rf"databases/({SEGMENT})")
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)

_EQUALITY: Final = (Comparison.EQUAL, Comparison.NOT_EQUAL)
_ORDER: Final = (
    Comparison.EQUAL,
    Comparison.LESS,
    Comparison.LESS_EQUAL,
    Comparison.GREATER,
    Comparison.GREATER_EQUAL,
)


@dataclass(frozen=True, slots=True)
class _Field:
    """A field that can be compared. `read` raises ValueError with what a value must be."""

    read: Callable[[str], str | float | bool]
    comparisons: tuple[Comparison, ...] = _EQUALITY
    of_metadata: bool = True


def parse_filter(text: str) -> tuple[Condition, ...]:
    """The conditions of a filter, all of which must be met; none for a blank one.

    Raises `InvalidField`, which says where and what is allowed there.
    """
    if len(text) > _MAX_CHARACTERS:
        raise InvalidField("filter", f"has more than {_MAX_CHARACTERS} characters")
    return _Parser(text).conditions()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def conditions(self) -> tuple[Condition, ...]:
        self._skip_space()
        found: list[Condition] = []
        while not self._ended:
            if found:
                if self._take(_AND) is None:
                    self._fail("only AND joins conditions")
                self._skip_space()
            if len(found) == MAX_CONDITIONS:
                self._fail(f"there are more than {MAX_CONDITIONS} conditions")
            found.append(self._condition())
            self._skip_space()
        return tuple(found)

    def _condition(self) -> Condition:
        start = self._at
        match = self._take(_FIELD)
        written = match.group() if match else ""
        name = written.removeprefix(_PREFIX)
        field = _FIELDS.get(name)
        if field is None or (written != name and not field.of_metadata):
            self._fail(f"a condition begins with one of {_NAMES}", start)
        self._skip_space()
        start = self._at
        match = self._take(_OPERATOR)
        comparison = Comparison(match.group()) if match else None
        if comparison not in field.comparisons:
            self._fail(f"{name} is compared with one of {' '.join(field.comparisons)}", start)
        self._skip_space()
        start = self._at
        try:
            return Condition(name, comparison, field.read(self._value()))
        except ValueError as exc:
            self._fail(f"{name} {exc}", start)

    def _value(self) -> str:
        if (match := self._take(_BARE)) is not None:
            value = match.group()
            wildcard = "*" in value
        elif (match := self._take(_STRING)) is not None:
            text = match.group(1) if match.group(2) is None else match.group(2)
            value = _ESCAPE.sub(r"\1", text)
            wildcard = _WILDCARD.search(text) is not None
        else:
            raise ValueError("is compared with a value, in quotation marks where it has spaces")
        if wildcard:
            raise ValueError("is compared whole: a * that is meant is written \\* and quoted")
        if not value.isprintable():
            raise ValueError("is compared with printable characters")
        return value

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        return match

    def _skip_space(self) -> None:
        self._take(_SPACE)

    @property
    def _ended(self) -> bool:
        return self._at == len(self._text)

    def _fail(self, problem: str, at: int | None = None) -> NoReturn:
        start = self._at if at is None else at
        rest = self._text[start : start + _QUOTED_CHARACTERS]
        where = f"at character {start + 1}, before {rest!r}" if rest else "at its end"
        raise InvalidField("filter", f"is not understood {where}: {problem}")


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("is true or false")
    return text == "true"


def _database(text: str) -> str:
    match = _DATABASE.fullmatch(text)
    if match is None:
        raise ValueError("is of the form databases/{database}")
    return match.group(1)


def _state(text: str) -> str:
    if text not in State.__members__:
        raise ValueError(f"is one of {', '.join(State)}")
    return text


def _time(text: str) -> float:
    problem = 'is of the form "2026-01-31T12:00:00Z", or with an offset in place of Z'
    if not _TIME.fullmatch(text):
        raise ValueError(problem)
    try:
        return datetime.fromisoformat(text.upper()).timestamp()
    except ValueError:
        raise ValueError(problem) from None


_FIELDS: Final = {
    "done": _Field(_boolean, of_metadata=False),
    "database": _Field(_database),
    "kind": _Field(str),
    "state": _Field(_state),
    "requester": _Field(str),
    "create_time": _Field(_time, _ORDER),
}
_NAMES: Final = ", ".join(
    f"{_PREFIX}{name}" if field.of_metadata else name for name, field in _FIELDS.items()
)
