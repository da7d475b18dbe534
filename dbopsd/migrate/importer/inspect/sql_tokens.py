"""Splits SQLite's SQL into tokens with their positions, and reads them one by one."""

from dataclasses import dataclass
from typing import ClassVar, Final

from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import TokenError

from dbopsd.errors import DbopsError, StatusCode

_QUOTES: Final = frozenset("\"'`[")


@dataclass(eq=False)
class UnreadableSql(DbopsError):
    """SQL that SQLite accepted and that cannot be parsed here."""

    reason: ClassVar[str] = "UNREADABLE_SQL"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    problem: str

    @property
    def message(self) -> str:
        return f"its SQL is not understood: {self.problem}"


@dataclass(frozen=True)
class Token:
    """A token of `sql[start:end]`."""

    text: str
    """Without its quotes, and with doubled ones undone."""
    start: int
    end: int
    quoted: bool

    @property
    def word(self) -> str:
        """In capitals, of a keyword, a plain name or an operator; empty: it is quoted."""
        return "" if self.quoted else self.text.upper()


def tokenize(sql: str) -> tuple[Token, ...]:
    """All tokens; comments are none. Raises `UnreadableSql`."""
    tokens: list[Token] = []
    try:
        found = SQLite().tokenize(sql)
    except TokenError as error:
        raise UnreadableSql(str(error)) from error
    for each in found:
        start, end = each.start, each.end + 1
        written = sql[start:end]
        if written[:1] in _QUOTES:
            tokens.append(Token(each.text, start, end, quoted=True))
            continue
        # sqlglot has PRIMARY KEY and its like as one token, if no comment is between the words.
        for word in written.split():
            start = sql.index(word, start)
            tokens.append(Token(word, start, start + len(word), quoted=False))
            start += len(word)
    return tuple(tokens)


class TokenReader:
    """Goes along the tokens of one statement. Its methods raise `UnreadableSql` at the end."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._tokens = tokenize(sql)
        self._next = 0

    @property
    def word(self) -> str:
        """The next token's; empty at the end too."""
        at_end = self._next >= len(self._tokens)
        return "" if at_end else self._tokens[self._next].word

    @property
    def more(self) -> bool:
        """Whether there is a next token."""
        return self._next < len(self._tokens)

    def take(self) -> Token:
        """Go past the next token and return it."""
        if not self.more:
            raise UnreadableSql("it ends too early")
        self._next += 1
        return self._tokens[self._next - 1]

    def accept(self, *words: str) -> bool:
        """Go past these words, if they come next, all of them."""
        ahead = self._tokens[self._next : self._next + len(words)]
        if tuple(token.word for token in ahead) != words:
            return False
        self._next += len(words)
        return True

    def expect(self, *words: str) -> None:
        """Go past these words, which have to come next."""
        if not self.accept(*words):
            found = self._tokens[self._next].text if self.more else "its end"
            raise UnreadableSql(f"{' '.join(words)} is expected, and there is {found}")

    def name(self) -> str:
        """The name that comes next, without the schema before it."""
        name = self.take().text
        return self.take().text if self.accept(".") else name

    def group(self) -> tuple[Token, ...]:
        """What stands between the parenthesis that comes next and the one that closes it."""
        self.expect("(")
        first = self._next
        depth = 1
        while depth:
            word = self.take().word
            depth += (word == "(") - (word == ")")
        return self._tokens[first : self._next - 1]

    def rest(self) -> tuple[Token, ...]:
        """The remaining tokens."""
        rest = self._tokens[self._next :]
        self._next = len(self._tokens)
        return rest

    def written(self, tokens: tuple[Token, ...]) -> str:
        """The text from the first of them to the last, without the comments around."""
        return self.sql[tokens[0].start : tokens[-1].end] if tokens else ""


def split(tokens: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    """The parts between the commas that are in no parentheses."""
    parts: list[tuple[Token, ...]] = []
    first = depth = 0
    for index, token in enumerate(tokens):
        depth += (token.word == "(") - (token.word == ")")
        if token.word == "," and depth == 0:
            parts.append(tokens[first:index])
            first = index + 1
    parts.append(tokens[first:])
    return parts
