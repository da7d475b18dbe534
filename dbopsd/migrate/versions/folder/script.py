"""What a migration runs: the text of a file, or of a part of it, without what must not run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dbopsd.migrate.versions.folder.directives import Directives, read_directives
from dbopsd.migrate.versions.folder.problems import Problems
from dbopsd.migrate.versions.folder.variables import fill
from dbopsd.migrate.versions.model.migration import Phase
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.sql.lexer import Command, Scan, blanked, quotes, scan
from dbopsd.migrate.versions.sql.positions import line_and_column, place
from dbopsd.migrate.versions.sql.transactions import (
    closes_transaction,
    copies_from_client,
    may_matter,
    opens_transaction,
    refuses_transaction,
    transaction_control,
)

_BOM: Final = "\ufeff"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
# pg_dump writes them around everything, so that nothing in a dump can run as a command of psql.
_DROPPED_COMMANDS: Final = frozenset({"restrict", "unrestrict"})
_STRINGS_OFF: Final = re.compile(
    r"\bSET\s+(?:SESSION\s+|LOCAL\s+)?standard_conforming_strings\s*(?:=|\bTO\b)\s*'?(?:off|no|false|0)\b"
    r"|\bset_config\s*\(\s*'standard_conforming_strings'\s*,\s*'(?:off|no|false|0)'",
    re.IGNORECASE,
)
# Those of dbmate, goose, sql-migrate, micrate, rambler, node-pg-migrate, MyBatis and Liquibase.
_OTHER_TOOLS: Final = re.compile(
    r"^--[ \t]*(?:migrate:down|\+(?:goose|migrate|micrate)[ \t]+down|rambler[ \t]+down"
    r"|down[ \t]+migration|(?://[ \t]*)?@undo|liquibase[ \t]+formatted[ \t]+sql)\b[^\r\n]{0,40}",
    re.IGNORECASE | re.MULTILINE,
)
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


@dataclass(frozen=True)
class Rules:
    """How a layout runs a file, if its directives do not say otherwise."""

    transactional: bool = True
    refusals_outside: bool = False
    """Where PostgreSQL refuses every statement of it in a transaction, it runs outside of one."""
    lone_refusals_only: bool = False
    """That goes only for a statement that is the only one."""
    dollars: bool = False
    """`${NAME}` is a placeholder."""
    variables: Mapping[str, str] = field(default_factory=dict)


def read_part(
    text: str,
    path: str,
    problems: Problems,
    rules: Rules,
    *,
    first_line: int = 1,
    directives: Directives | None = None,
) -> Part:
    """The script of a text, which begins with line `first_line` of the file.

    `directives`: those of the whole file; None: the text is the whole file.
    """
    own = read_directives(text, path, problems, first_line)
    directives = own if directives is None else directives.overridden_by(own)
    filled = fill(
        text, rules.variables, path, problems, first_line=first_line, dollars=rules.dollars
    )
    content = _Content(Script(path, filled.text, first_line, replaced=filled.replaced), problems)
    wrapped = content.prepare()
    transactional = directives.transactional
    if transactional is None:
        transactional = rules.transactional and not content.runs_outside(rules)
    script = Script(
        path,
        content.text,
        first_line,
        # Who writes BEGIN and COMMIT around everything wants a transaction: it is ours.
        transactional=transactional or wrapped,
        lock_timeout_ms=directives.lock_timeout_ms,
        statement_timeout_s=directives.statement_timeout_s,
        allowed=directives.allowed,
        statements=len(content.spans),
        replaced=filled.replaced,
    )
    return Part(script, directives.phase, empty=not content.spans)


class _Content:
    """The text of a script on its way to being run."""

    def __init__(self, script: Script, problems: Problems) -> None:
        self.text = script.text
        self.spans: tuple[tuple[int, int], ...] = ()
        self._script = script
        self._problems = problems

    def prepare(self) -> bool:
        """Find what cannot run, and blank what need not; whether a transaction was around all."""
        found = scan(self.text)
        self.spans = found.spans
        notable = [span for span in self.spans if may_matter(self.text, span[0])]
        copies = self._copy_from_client(notable)
        escapes = self._refuse_escapes()
        if copies is not None:
            # What follows is data, and no SQL.
            found = _up_to(found, copies)
        elif found.unterminated is not None and not escapes:
            message = f"a {found.unterminated.what} begins here and does not end"
            self._problem("SYNTAX_ERROR", message, found.unterminated.start)
        if found.commands:
            self._drop_commands(found.commands)
        self._refuse_other_tools()
        wrapped = self._unwrap()
        self._refuse_control(notable[1:-1] if wrapped else notable)
        return wrapped

    def runs_outside(self, rules: Rules) -> bool:
        """Whether it runs outside of a transaction because it cannot run in one."""
        if not rules.refusals_outside or not self.spans:
            return False
        if rules.lone_refusals_only and len(self.spans) > 1:
            return False
        return all(refuses_transaction(self.text, *span) for span in self.spans)

    def _copy_from_client(self, notable: list[tuple[int, int]]) -> int | None:
        """Where the first COPY … FROM STDIN ends; None: there is none."""
        for start, end in notable:
            if copies_from_client(self.text, start, end):
                message = (
                    "COPY … FROM stdin needs its data from psql: write INSERT statements instead"
                )
                self._problem("COPY_FROM_STDIN", message, start)
                self.spans = tuple(span for span in self.spans if span[0] <= start)
                notable[:] = [span for span in notable if span[0] <= start]
                return end
        return None

    def _drop_commands(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if command.name not in _DROPPED_COMMANDS:
                message = f"\\{command.name} is a command of psql, not SQL: remove it"
                self._problem("PSQL_COMMAND", message, command.start)
        dropped = [command for command in commands if command.name in _DROPPED_COMMANDS]
        self._blank([(command.start, command.end) for command in dropped])

    def _unwrap(self) -> bool:
        if len(self.spans) < 2:
            return False
        first, last = self.spans[0], self.spans[-1]
        if not (
            may_matter(self.text, first[0])
            and opens_transaction(self.text, *first)
            and closes_transaction(self.text, *last)
        ):
            return False
        self._blank([(start, end + self.text.startswith(";", end)) for start, end in (first, last)])
        self.spans = self.spans[1:-1]
        return True

    def _refuse_control(self, notable: list[tuple[int, int]]) -> None:
        for start, end in notable:
            if control := transaction_control(self.text, start, end):
                message = (
                    f"{control} stands between other statements: dbopsd begins and ends the "
                    "transaction, so remove it, or split the file"
                )
                self._problem("TRANSACTION_CONTROL", message, start)

    def _refuse_escapes(self) -> bool:
        """Whether a string would have another meaning by a setting of the file: a problem.

        The setting has no effect on the message that it comes in, but one on the next.
        """
        if not _STRINGS_OFF.search(self.text):
            return False
        code = blanked(self.text, 0, len(self.text))
        offs = (match.start() for match in _STRINGS_OFF.finditer(self.text))
        off = next((start for start in offs if code[start] != " "), len(code))
        for start, end in quotes(self.text):
            is_plain = self.text[start] == "'" and self.text[start - 1] not in "eE"
            if start > off and is_plain and "\\" in self.text[start:end]:
                message = (
                    "standard_conforming_strings is off here: write strings with backslashes as E''"
                )
                self._problem("STRINGS_NOT_STANDARD", message, start)
                return True
        return False

    def _refuse_other_tools(self) -> None:
        """Refuse a file with sections that nobody here reads: its rollback would run at once."""
        marker = _OTHER_TOOLS.search(self.text)
        if marker:
            message = (
                f"'{marker.group().strip()}' is for another tool than the one of this layout: "
                "what follows would run, too"
            )
            self._problem("CANNOT_RUN", message, marker.start())

    def _blank(self, spans: list[tuple[int, int]]) -> None:
        pieces: list[str] = []
        passed = 0
        for start, end in spans:
            pieces += (self.text[passed:start], _NOT_LINE_END.sub(" ", self.text[start:end]))
            passed = end
        self.text = "".join((*pieces, self.text[passed:]))

    def _problem(self, reason: str, message: str, offset: int) -> None:
        if not self._problems.is_full(self._script.path):
            self._problems.add(
                reason, message, self._script.path, place=place(self._script, offset)
            )


def _up_to(found: Scan, end: int) -> Scan:
    commands = tuple(command for command in found.commands if command.start < end)
    return Scan(found.spans, commands)
