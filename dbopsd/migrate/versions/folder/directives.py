"""`-- dbops: …` in the comments that a file begins with, in every layout."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from dbopsd.migrate.versions.folder.problems import Problems
from dbopsd.migrate.versions.model.migration import Phase
from dbopsd.migrate.versions.sql.lexer import comments, skip_blanks
from dbopsd.migrate.versions.sql.positions import line_and_column

_DIRECTIVE: Final = re.compile(r"--[ \t]*dbops[ \t]*:[ \t]*", re.IGNORECASE)
_ANYWHERE: Final = re.compile(r"(?:--|/\*)[ \t]*dbops\b", re.IGNORECASE)
# What is meant as one, and would be passed over.
_ALMOST: Final = re.compile(
    r"(?:--|/\*)[ \t]*dbops\b[^\n]{0,200}?"
    r"\b(?:transaction|phase|lock_timeout|statement_timeout|allow)[ \t]*=",
    re.IGNORECASE,
)
_ITEM: Final = re.compile(r"([A-Za-z_]+)[ \t]*=[ \t]*([^\s,]*)[ \t]*,?[ \t]*")
_ALLOW: Final = re.compile(r"([a-z0-9_-]+)[ \t]*:[ \t]*(\S.*)", re.IGNORECASE)
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|min|h|d)")
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
# Milliseconds of it fit PostgreSQL's integers.
_MOST_S: Final = 2_147_483.0
_MOST_LOCK_S: Final = 3600.0
ValueT = TypeVar("ValueT")
_KNOWN: Final = "transaction, phase, lock_timeout, statement_timeout and allow"


@dataclass
class Directives:
    """What a file asks for. None: as the layout or the configuration has it."""

    transactional: bool | None = None
    phase: Phase | None = None
    lock_timeout_ms: int | None = None
    statement_timeout_s: float | None = None
    allowed: dict[str, str] = field(default_factory=dict)

    def overridden_by(self, other: "Directives") -> "Directives":
        """These, with what the others say in their place."""
        return Directives(
            self.transactional if other.transactional is None else other.transactional,
            other.phase or self.phase,
            other.lock_timeout_ms or self.lock_timeout_ms,
            other.statement_timeout_s or self.statement_timeout_s,
            {**self.allowed, **other.allowed},
        )


class _Bad(Exception):
    """A directive that says nothing that can be done."""


def read_directives(text: str, path: str, problems: Problems, first_line: int = 1) -> Directives:
    """Those of the comments before the first statement; a bad one is a problem.

    One further down would have no effect, so it is a problem too.
    """
    directives = Directives()
    given: set[str] = set()
    if not _ANYWHERE.search(text):
        return directives
    header = skip_blanks(text, 0)
    misplaced = _ANYWHERE.search(text, header)
    for start, comment in comments(text if misplaced else text[:header]):
        if problems.is_full(path):
            break
        match = _DIRECTIVE.match(comment)
        if not match:
            if _ALMOST.match(comment):
                first, _, _ = comment.partition("\n")
                message = (
                    f"the comment '{first}' is no directive: write it as `-- dbops: NAME=VALUE`"
                )
                place = line_and_column(text, start, first_line)
                problems.add("BAD_DIRECTIVE", message, path, place=place)
            continue
        for offset, name, value in _items(comment, match.end()):
            try:
                if start >= header:
                    raise _Bad("stands after the first statement: move it to the top of the file")
                what = _what(name, value)
                if what in given:
                    raise _Bad("is given a second time")
                given.add(what)
                _take(directives, name, value)
            except _Bad as bad:
                message = f"the directive '{comment[offset:]}' {bad}"
                place = line_and_column(text, start + offset, first_line)
                problems.add("BAD_DIRECTIVE", message, path, place=place)
    return directives


def _items(comment: str, position: int) -> Iterator[tuple[int, str, str]]:
    """Where each `name=value` begins, its name and its value. A reason goes on to the end."""
    comment = comment.rstrip()
    if position >= len(comment):
        yield 0, "", ""
    while position < len(comment):
        match = _ITEM.match(comment, position)
        if not match or match[1].lower() == "allow":
            yield (
                position,
                match[1].lower() if match else "",
                comment[match.start(2) if match else position :],
            )
            return
        yield position, match[1].lower(), match[2]
        position = match.end()


def _what(name: str, value: str) -> str:
    """What can be given once: a directive, and of those that allow a rule each."""
    rule = _ALLOW.fullmatch(value) if name == "allow" else None
    return f"allow {rule[1].lower()}" if rule else name


def _take(directives: Directives, name: str, value: str) -> None:
    """Raises `_Bad`."""
    match name:
        case "transaction":
            directives.transactional = _one_of(value, {"on": True, "off": False})
        case "phase":
            phases = {"expand": Phase.EXPAND, "contract": Phase.CONTRACT}
            directives.phase = _one_of(value, phases)
        case "lock_timeout":
            directives.lock_timeout_ms = round(_seconds(value, _MOST_LOCK_S) * 1000)
        case "statement_timeout":
            directives.statement_timeout_s = _seconds(value, _MOST_S)
        case "allow":
            match_ = _ALLOW.fullmatch(value)
            if not match_:
                raise _Bad("is not allow=RULE: REASON")
            directives.allowed[match_[1].lower()] = match_[2].strip()
        case "":
            raise _Bad("is not NAME=VALUE")
        case _:
            raise _Bad(f"is not known: there are {_KNOWN}")


def _one_of(value: str, values: Mapping[str, ValueT]) -> ValueT:
    if value.lower() not in values:
        raise _Bad(f"is neither {' nor '.join(values)}")
    return values[value.lower()]


def _seconds(value: str, most: float) -> float:
    match = _DURATION.fullmatch(value)
    if not match:
        raise _Bad("is not a number with one of the units ms, s, min, h, d, such as 500ms")
    seconds = float(match[1]) * _UNITS_S[match[2]]
    if not 0.001 <= seconds <= most:
        raise _Bad(f"is not between 1ms and {most:.0f}s")
    return seconds
