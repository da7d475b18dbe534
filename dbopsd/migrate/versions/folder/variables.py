"""Placeholders of templates, and the values of `variables` in their place.

The placeholders are those of psql (`:NAME`, `:"NAME"`, `:'NAME'`), of Go's templates and Jinja
(`{{ index .Options "NAME" }}`, `{{ .NAME }}`, `{{ NAME }}`), of River (`/* TEMPLATE: NAME */`) and,
in the layouts that have them, `${NAME}`. A value takes the place of each, also inside strings and
bodies of functions, as the tools do it. One without a value is a problem where it cannot be SQL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dbopsd.migrate.versions.folder.problems import Problems
from dbopsd.migrate.versions.model.migration_file import Replaced
from dbopsd.migrate.versions.sql.lexer import blanked
from dbopsd.migrate.versions.sql.positions import line_and_column

# None of them goes over what another may begin with, so that any text is passed once.
_ALWAYS: Final = r"""
    \{\{-?\s*index\s+\.\w+\s+"(?P<index>[^"{}\n]+)"\s*-?\}\}
  | \{\{-?\s*\.?(?P<braces>\w[\w.]*)\s*-?\}\}
  | /\*\s*TEMPLATE:\s*(?P<comment>\w+)\s*\*/
  | (?:(?<![:\w\])"'])|(?<=[^:]::)):(?:
        (?P<bare>[A-Za-z_]\w*)(?![\w:=]) | "(?P<name>[^":\n]+)" | '(?P<literal>[^':\n]+)'
    )
"""
_PLACEHOLDER: Final = re.compile(_ALWAYS, re.VERBOSE)
_WITH_DOLLARS: Final = re.compile(rf"{_ALWAYS} | \$\{{(?P<dollar>[^{{}}$\n]*)\}}", re.VERBOSE)
_MAY_BE: Final = re.compile(r"""\{[{%]|TEMPLATE:|\$\{|(?<![\w\])"']):["'A-Za-z_]""")
# Of Go's templates, and of Jinja.
_LOGIC: Final = re.compile(
    r"\{\{-?\s*(?:if|else|end|range|with|define|template|block)\b[^{}\n]*\}\}|\{%[^{}%\n]*%\}"
)
_MOST_UNKNOWN: Final = 20


@dataclass(frozen=True)
class Filled:
    """A text with values in it."""

    text: str
    replaced: tuple[Replaced, ...] = ()


def fill(
    text: str,
    variables: Mapping[str, str],
    path: str,
    problems: Problems,
    *,
    first_line: int = 1,
    dollars: bool = False,
) -> Filled:
    """The text with the values of its placeholders. `dollars`: `${NAME}` is one."""
    if ("{" not in text and ":" not in text) or not _MAY_BE.search(text):
        return Filled(text)
    code = _Code(text)
    pieces: list[str] = []
    replaced: list[Replaced] = []
    unknown: dict[str, int] = {}
    length = passed = 0
    for match in (_WITH_DOLLARS if dollars else _PLACEHOLDER).finditer(text):
        name = _name(match)
        if name not in variables:
            if len(unknown) < _MOST_UNKNOWN and name not in unknown and code.refuses(match):
                unknown[name] = match.start()
            continue
        value = _value(variables[name], match)
        pieces += (text[passed : match.start()], value)
        length += match.start() - passed
        replaced.append(Replaced(length, length + len(value), match.group()))
        length += len(value)
        passed = match.end()
    pieces.append(text[passed:])
    for name, start in unknown.items():
        message = f"'{name}' has no value: set it in the database's migrations.variables"
        place = line_and_column(text, start, first_line)
        problems.add("VARIABLE_UNKNOWN", message, path, place=place)
    logic = next(filter(code.has, _LOGIC.finditer(text)), None)
    if logic:
        message = f"{logic.group()} is logic of a template, which only its own tool can run"
        place = line_and_column(text, logic.start(), first_line)
        problems.add("CANNOT_RUN", message, path, place=place)
    return Filled("".join(pieces), tuple(replaced))


class _Code:
    """What of a text stands outside of quotes and comments."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._blanked: str | None = None
        self._counted = 0
        self._brackets = 0

    def has(self, match: re.Match[str]) -> bool:
        """Whether the match begins there."""
        if self._blanked is None:
            self._blanked = blanked(self._text, 0, len(self._text))
        return self._blanked[match.start()] == match.group()[0]

    def refuses(self, match: re.Match[str]) -> bool:
        """Whether the match, a placeholder, can be nothing else. To be asked from left to right."""
        if match.lastgroup in ("index", "comment", "dollar"):
            return True
        if not self.has(match):
            return False
        # A slice of an array, `a[1:n]`, is the only place for a single colon.
        return match.lastgroup == "braces" or self._brackets_before(match.start()) == 0

    def _brackets_before(self, position: int) -> int:
        code = self._blanked or ""
        between = (self._counted, position)
        self._brackets += code.count("[", *between) - code.count("]", *between)
        self._counted = position
        return self._brackets


def _name(match: re.Match[str]) -> str:
    return match[match.lastgroup or 0]


def _value(value: str, match: re.Match[str]) -> str:
    match match.lastgroup:
        case "name":
            return '"' + value.replace('"', '""') + '"'
        case "literal":
            quoted = "'" + value.replace("'", "''").replace("\\", "\\\\") + "'"
            return f" E{quoted}" if "\\" in value else quoted
        case "comment" if value and _name(match) == "schema" and not value.endswith("."):
            # River's own value is `schema.`, or nothing: a table's name follows at once.
            return f"{value}."
        case _:
            return value
