"""Where the statements and comments of SQL begin and end, without a parser.

It follows PostgreSQL's lexer and psql's rules for a semicolon, so it agrees with the parser on all
SQL that the parser accepts, and ends on any text: in linear time, after a bounded number of
statements. Positions count characters from 0.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

READ_WITH: Final = {"standard_conforming_strings": "on", "backslash_quote": "safe_encoding"}
"""The settings with which a server reads SQL as it is read here. A role may have others."""
MOST_STATEMENTS: Final = 1_000_000
"""How many statements of a text are looked at; the rest counts as one."""
MOST_COMMANDS: Final = 1_000
"""How many commands of psql are remembered."""

# PostgreSQL's own: `\s` has more, such as the no-break space, which may stand in a name. What is
# left out of names is listed, as every character above ASCII may stand in one.
_WHITE: Final = " \t\n\r\f\v"
_NAME_START: Final = r"[^\x00-@\[-^`{-\x7f]"
_NAME: Final = r"[^\x00-#%-/:-@\[-^`{-\x7f]"
_TAG: Final = r"[^\x00-/:-@\[-^`{-\x7f]"
_BLANK: Final = re.compile(r"(?:[ \t\n\r\f\v]++|--[^\n\r]*+)*+")
_WORD: Final = re.compile(rf"{_NAME_START}{_NAME}*+")
_NAME_CHAR: Final = re.compile(_NAME)
_QUOTES: Final = rf"--[^\n\r]*+|/\*|'|\"|\\|\$(?:{_NAME_START}{_TAG}*+)?\$"
_QUOTE: Final = re.compile(_QUOTES)
_TOKEN: Final = re.compile(rf"{_QUOTES}|;")
# As much as there is no dollar, no comment that may be nested, and no string that may have escapes.
_PLAIN: Final = (
    r"""(?:[^'"$;/\\eE-]++|[eE]++(?!')|'[^']*+'|"[^"]*+"|--[^\n\r]*+|-(?!-)|/(?!\*))*+"""
)
_PLAIN_STATEMENT: Final = re.compile(rf"(?:[ \t\n\r\f\v]++|--[^\n\r]*+)*+({_PLAIN});")
# For the few statements that may have a semicolon in themselves.
_CLOSE_TOKEN: Final = re.compile(rf"{_QUOTES}|[();]|{_NAME_START}{_NAME}*+")
_WHAT: Final = {"'": "string", '"': "quoted name"}
_MAY_ENCLOSE: Final = re.compile(
    r"create[ \t\n\r\f\v]*(?:or|function|procedure|rule|--|/\*)", re.IGNORECASE
)
_ATOMIC: Final = re.compile(r"atomic", re.IGNORECASE)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_ESCAPED: Final = re.compile(r"(?:[^'\\]++|\\.|'')*+'", re.DOTALL)
# A string goes on after blanks with a line end among them, and keeps its escapes.
_CONTINUED: Final = re.compile(
    r"(?:[ \t\f\v]++|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*+'"
)
_NOT_LINE_END: Final = re.compile(r"[^\n\r]")
_COMMAND: Final = re.compile(r"\\([A-Za-z_!?.;:]*)[^\n\r]*")


@dataclass(frozen=True)
class SqlStatement:
    """A statement of a text, without its semicolon and what stands before it."""

    text: str
    start: int
    """In characters, from 0."""
    end: int
    """The first character after it."""


@dataclass(frozen=True)
class Command:
    r"""A command of psql, such as `\restrict`, with its arguments: to the end of its line."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Unterminated:
    """A quote or comment that begins and does not end. All that follows belongs to it."""

    what: str
    start: int


@dataclass(frozen=True)
class Scan:
    """What a text consists of."""

    spans: tuple[tuple[int, int], ...]
    """The first character of each statement, and the first one after it."""
    commands: tuple[Command, ...] = ()
    unterminated: Unterminated | None = None


def statements(text: str) -> list[SqlStatement]:
    """The statements; the last one may lack its semicolon."""
    return [SqlStatement(text[start:end], start, end) for start, end in scan(text).spans]


def scan(text: str) -> Scan:
    """Everything in one pass."""
    lexer = _Lexer(text)
    spans: list[tuple[int, int]] = []
    position = 0
    while len(spans) < MOST_STATEMENTS:
        plain = lexer.plain_statement(position)
        if plain:
            position = plain[1] + 1
            end = lexer.stripped(*plain)
            if end > plain[0]:
                spans.append((plain[0], end))
            continue
        position = lexer.skip(position)
        if position >= len(text):
            break
        end, following = lexer.statement(position)
        if end > position:
            spans.append((position, end))
        position = following
    else:
        position = lexer.skip(position)
        if position < len(text):
            spans.append((position, len(text)))
    return Scan(tuple(spans), tuple(lexer.commands), lexer.unterminated)


def skip_blanks(text: str, start: int) -> int:
    """The first character from `start` on that belongs to neither blanks nor comments."""
    while True:
        match = _BLANK.match(text, start)
        start = match.end() if match else start
        if not text.startswith("/*", start):
            return start
        end = _comment_end(text, start)
        if end < 0:
            return len(text)
        start = end


def words(text: str, start: int, end: int) -> Iterator[str]:
    """The words that a statement begins with, in capitals, up to what is none."""
    while start < end:
        match = _WORD.match(text, start, end)
        if not match:
            return
        yield match.group().upper()
        start = skip_blanks(text, match.end())


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Where each comment begins, and its text, with the `--`, or the `/*` and `*/`."""
    for start, end in quotes(text):
        if text.startswith(("--", "/*"), start):
            yield start, text[start:end]


def blanked(text: str, start: int, end: int) -> str:
    """The text between two positions, with blanks in place of quotes, comments and psql's commands.

    It has the same length and lines, so a position in it is one in the text from `start` on.
    """
    part = text[start:end]
    pieces: list[str] = []
    position = 0
    for begin, passed in quotes(part):
        pieces += (part[position:begin], _NOT_LINE_END.sub(" ", part[begin:passed]))
        position = passed
    pieces.append(part[position:])
    return "".join(pieces)


def quotes(text: str) -> Iterator[tuple[int, int]]:
    """Where each quote, comment and command of psql begins, and the first character after it."""
    lexer = _Lexer(text)
    position = 0
    while match := _QUOTE.search(text, position):
        start, found = match.start(), match.group()
        position = match.end() if found[0] == "-" else lexer.after(start, found)
        # A dollar sign inside a name begins nothing.
        if found[0] != "$" or position > start + 1:
            yield start, position


class _Lexer:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._has_atomic = bool(_ATOMIC.search(text))
        self._passed = 0
        self._in_name = -1
        self.commands: list[Command] = []
        self.unterminated: Unterminated | None = None

    def skip(self, start: int) -> int:
        """The first character of the next statement, or the end of the text."""
        while True:
            match = _BLANK.match(self._text, start)
            start = match.end() if match else start
            if not self._text.startswith(("/*", "\\"), start):
                return start
            start = self.after(start, self._text[start])

    def plain_statement(self, start: int) -> tuple[int, int] | None:
        """The next statement up to its semicolon, as most are; None: it needs a closer look."""
        match = _PLAIN_STATEMENT.match(self._text, start)
        if not match or self._may_hold_semicolons(match.start(1)):
            return None
        return match.span(1)

    def statement(self, start: int) -> tuple[int, int]:
        """The end of the statement that begins there, and where the next one may begin."""
        if self._may_hold_semicolons(start):
            return self._close_statement(start)
        text, position = self._text, start
        while match := _TOKEN.search(text, position):
            found = match.group()
            if found == ";":
                return self.stripped(start, match.start()), match.end()
            position = match.end() if found[0] == "-" else self.after(match.start(), found)
        return self.stripped(start, len(text)), len(text)

    def _close_statement(self, start: int) -> tuple[int, int]:
        """The same for a statement that may have semicolons in parentheses or in BEGIN ATOMIC."""
        position, parentheses, blocks, before = start, 0, 0, ""
        while match := _CLOSE_TOKEN.search(self._text, position):
            found = match.group()
            position = match.end()
            if found == ";":
                if parentheses <= 0 and blocks <= 0:
                    return self.stripped(start, match.start()), position
            elif found == "(":
                parentheses += 1
            elif found == ")":
                parentheses -= 1
            elif found[0] in "'\"$/\\":
                position = self.after(match.start(), found)
            elif found[0] != "-":
                blocks += self._block_change(match.start(), found.upper(), before, blocks)
                before = found.upper()
        return self.stripped(start, len(self._text)), len(self._text)

    def _may_hold_semicolons(self, start: int) -> bool:
        """Whether it makes a rule, or a function that may have a body of SQL statements."""
        if not _MAY_ENCLOSE.match(self._text, start):
            return False
        head = words(self._text, start, len(self._text))
        if next(head) != "CREATE":
            return False
        kind = next(head, "")
        if kind == "OR" and next(head, "") == "REPLACE":
            kind = next(head, "")
        return kind == "RULE" or (kind in ("FUNCTION", "PROCEDURE") and self._has_atomic)

    def _block_change(self, start: int, word: str, before: str, blocks: int) -> int:
        """By how much a word changes the number of open BEGIN ATOMIC and CASE."""
        if blocks == 0:
            return 1 if word == "ATOMIC" and before == "BEGIN" else 0
        if before == "AS" or self._text[start - 1] == ".":
            return 0  # a name
        return {"CASE": 1, "END": -1}.get(word, 0)

    def after(self, start: int, found: str) -> int:
        """The first character after the quote, comment or command that begins there."""
        if found[0] == "$" and self._is_in_name(start):
            return start + 1
        self._passed = self._after(start, found)
        return self._passed

    def _after(self, start: int, found: str) -> int:
        text = self._text
        match found[0]:
            case "\\":
                return self._command(start)
            case "/":
                return self._end(start, "comment", _comment_end(text, start))
            case "$":
                end = text.find(found, start + len(found))
                return self._end(start, "dollar-quoted string", end, len(found))
            case "'" if self._has_escapes(start):
                return self._end(start, "string", _escaped_end(text, start))
            case quote:
                return self._end(start, _WHAT[quote], text.find(quote, start + 1), 1)

    def _is_in_name(self, start: int) -> bool:
        """Whether the character goes on with a name, and not with a number or a quote before it."""
        first = start
        while first > self._passed and _NAME_CHAR.match(self._text, first - 1):
            first -= 1
            if first == self._in_name:
                break
        if first < start and (first == self._in_name or _WORD.match(self._text, first)):
            # So that a name of many dollar signs is gone through once.
            self._in_name = start
            return True
        return False

    def _has_escapes(self, start: int) -> bool:
        """Whether an E stands before the string, as a word of its own."""
        if start <= self._passed or self._text[start - 1] not in "eE":
            return False
        return not self._is_in_name(start - 1)

    def _end(self, start: int, what: str, end: int, length: int = 0) -> int:
        if end >= 0:
            return end + length
        if self.unterminated is None:
            self.unterminated = Unterminated(what, start)
        return len(self._text)

    def _command(self, start: int) -> int:
        match = _COMMAND.match(self._text, start)
        end = match.end() if match else start + 1
        if match and len(self.commands) < MOST_COMMANDS:
            self.commands.append(Command(match[1], start, end))
        return end

    def stripped(self, start: int, end: int) -> int:
        """The end of a statement without the blanks before it."""
        while end > start and self._text[end - 1] in _WHITE:
            end -= 1
        return end


def _escaped_end(text: str, start: int) -> int:
    """The first character after a string with escapes; -1: it has no end."""
    match = _ESCAPED.match(text, start + 1)
    while match:
        following = _CONTINUED.match(text, match.end())
        if not following:
            return match.end()
        match = _ESCAPED.match(text, following.end())
    return -1


def _comment_end(text: str, start: int) -> int:
    """The first character after a comment, which may have comments inside; -1: it has no end."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return -1
