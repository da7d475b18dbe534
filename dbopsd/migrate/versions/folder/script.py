"""What a migration runs: the text of a file, or of a part of it, without what must not run."""

import re
from dataclasses import dataclass
from typing import Final

from dbopsd.migrate.versions.folder.directives import Directives, read_directives
from dbopsd.migrate.versions.folder.problems import Problems
from dbopsd.migrate.versions.model.migration import Phase
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.sql.lexer import Command, Scan, scan
from dbopsd.migrate.versions.sql.positions import line_and_column
from dbopsd.migrate.versions.sql.transactions import (
    closes_transaction,
    copies_from_client,
    opens_transaction,
    refuses_transaction,
    transaction_control,
)

_BOM: Final = "\ufeff"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
# pg_dump writes them around everything, so that nothing in a dump can run as a command of psql.
_DROPPED_COMMANDS: Final = frozenset({"restrict", "unrestrict"})
_NOT_LINE_END: Final = re.compile(r"[^\r\n]")


@dataclass(frozen=True)
class Part:
    """A script, and what its header says about its migration."""

    script: Script
    phase: Phase | None = None
    empty: bool = False
    """There is no statement in it."""


def decode(content: bytes, path: str, problems: Problems) -> str | None:
    """The text of a file, without a byte order mark; None: it is none, which is a problem."""
    if content.startswith(_UTF16):
        problems.add("NOT_UTF8", "it is UTF-16: save it as UTF-8", path, place=(1, 1))
        return None
    try:
        text = content.decode().removeprefix(_BOM)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode().removeprefix(_BOM)
        byte = content[error.start]
        message = f"byte {error.start} (0x{byte:02x}) is not UTF-8: save the file as UTF-8"
        problems.add("NOT_UTF8", message, path, place=line_and_column(before, len(before)))
        return None
    if (nul := text.find("\0")) >= 0:
        message = "there is a NUL byte: the server would run what stands before it, and no more"
        problems.add("NUL_BYTE", message, path, place=line_and_column(text, nul))
        return None
    return text


def read_part(
    text: str,
    path: str,
    problems: Problems,
    *,
    first_line: int = 1,
    transactional: bool = True,
    lone_outside: bool = False,
    directives: Directives | None = None,
) -> Part:
    """The script of a text, which begins with line `first_line` of the file.

    `lone_outside`: a statement that is the only one, and that PostgreSQL refuses in a transaction,
    runs outside of one. `directives`: those of the whole file; None: the text is the whole file.
    """
    own = read_directives(text, path, problems, first_line)
    directives = own if directives is None else directives.overridden_by(own)
    script_text = _ScriptText(text, path, problems, first_line)
    wrapped = script_text.prepare()
    if lone_outside and script_text.is_lone_refusal():
        transactional = False
    if directives.transactional is not None:
        transactional = directives.transactional
    script = Script(
        path,
        script_text.text,
        first_line,
        # Who writes BEGIN and COMMIT around everything wants a transaction: it is ours.
        transactional=transactional or wrapped,
        lock_timeout_ms=directives.lock_timeout_ms,
        statement_timeout_s=directives.statement_timeout_s,
        allowed=directives.allowed,
    )
    return Part(script, directives.phase, empty=not script_text.spans)


class _ScriptText:
    """A text on its way to being run, with positions as in the file."""

    def __init__(self, text: str, path: str, problems: Problems, first_line: int) -> None:
        self.text = text
        self.spans: tuple[tuple[int, int], ...] = ()
        self._path = path
        self._problems = problems
        self._first_line = first_line

    def prepare(self) -> bool:
        """Find what cannot run, and blank what need not; whether a transaction was around all."""
        found = scan(self.text)
        self.spans = found.spans
        copies = self._copy_from_client()
        if copies is not None:
            # What follows is data, and no SQL.
            found = _up_to(found, copies)
        elif found.unterminated is not None:
            message = f"a {found.unterminated.what} begins here and does not end"
            self._problem("SYNTAX_ERROR", message, found.unterminated.start)
        self._drop_commands(found.commands)
        wrapped = self._unwrap()
        for start, end in self.spans:
            if control := transaction_control(self.text, start, end):
                message = (
                    f"{control} stands between other statements: dbopsd begins and ends the "
                    "transaction, so remove it, or split the file"
                )
                self._problem("TRANSACTION_CONTROL", message, start)
        return wrapped

    def is_lone_refusal(self) -> bool:
        """Whether there is one statement, which PostgreSQL refuses in a transaction."""
        return len(self.spans) == 1 and refuses_transaction(self.text, *self.spans[0])

    def _copy_from_client(self) -> int | None:
        """Where the first COPY … FROM STDIN ends; None: there is none."""
        for index, (start, end) in enumerate(self.spans):
            if copies_from_client(self.text, start, end):
                message = (
                    "COPY … FROM stdin needs its data from psql: write INSERT statements instead"
                )
                self._problem("COPY_FROM_STDIN", message, start)
                self.spans = self.spans[: index + 1]
                return end
        return None

    def _drop_commands(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if command.name in _DROPPED_COMMANDS:
                self._blank(command.start, command.end)
            else:
                message = f"\\{command.name} is a command of psql, not SQL: remove it"
                self._problem("PSQL_COMMAND", message, command.start)

    def _unwrap(self) -> bool:
        if len(self.spans) < 2:
            return False
        first, last = self.spans[0], self.spans[-1]
        if not (opens_transaction(self.text, *first) and closes_transaction(self.text, *last)):
            return False
        for start, end in (last, first):
            semicolon = self.text.startswith(";", end)
            self._blank(start, end + semicolon)
        self.spans = self.spans[1:-1]
        return True

    def _blank(self, start: int, end: int) -> None:
        blanks = _NOT_LINE_END.sub(" ", self.text[start:end])
        self.text = f"{self.text[:start]}{blanks}{self.text[end:]}"

    def _problem(self, reason: str, message: str, offset: int) -> None:
        place = line_and_column(self.text, offset, self._first_line)
        self._problems.add(reason, message, self._path, place=place)


def _up_to(found: Scan, end: int) -> Scan:
    commands = tuple(command for command in found.commands if command.start < end)
    return Scan(found.spans, commands)
