"""Parses CREATE statements for what SQLite's PRAGMAs do not show.

SQLite has parsed these statements already, so nothing is checked here. The grammar is that of
https://sqlite.org/src/file/src/parse.y: a column's constraints are known by reserved words, that
no name or type has without quotes.
"""

from dataclasses import dataclass, field
from typing import Final

from dbopsd.migrate.importer.inspect.sql_tokens import Token, TokenReader, UnreadableSql, split
from dbopsd.migrate.importer.model.source_schema import CheckConstraint

_TABLE_CONSTRAINTS: Final = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"})
_ORDERS: Final = frozenset({"ASC", "DESC"})


@dataclass
class ColumnClauses:
    """The clauses of a column."""

    name: str
    collation: str = "BINARY"
    generated: str | None = None


@dataclass
class ForeignKeyClause:
    """The clauses of a foreign key, written at its column or at the table."""

    name: str | None
    deferred: bool = False


@dataclass(frozen=True)
class UniqueClause:
    """The clauses of a UNIQUE constraint, written at its column or at the table."""

    name: str | None
    columns: tuple[str, ...]


@dataclass
class TableClauses:
    """The clauses of a CREATE TABLE. Each list has the order of the text."""

    columns: list[ColumnClauses] = field(default_factory=list)
    checks: list[CheckConstraint] = field(default_factory=list)
    foreign_keys: list[ForeignKeyClause] = field(default_factory=list)
    uniques: list[UniqueClause] = field(default_factory=list)
    primary_key_name: str | None = None
    autoincrement: bool = False
    conflicts: list[str] = field(default_factory=list)
    """Those ON CONFLICT clauses that make it do something else than raise an error."""


@dataclass(frozen=True)
class IndexClauses:
    """The clauses of a CREATE INDEX."""

    columns: tuple[str, ...]
    """As written, without their COLLATE and order."""
    where: str | None


def read_table(sql: str) -> TableClauses:
    """Read a CREATE TABLE. Raises `UnreadableSql`."""
    return _TableReader(sql).read()


def read_index(sql: str) -> IndexClauses:
    """Read a CREATE INDEX. Raises `UnreadableSql`."""
    reader = TokenReader(sql)
    reader.expect("CREATE")
    reader.accept("UNIQUE")
    reader.expect("INDEX")
    reader.accept("IF", "NOT", "EXISTS")
    reader.name()
    reader.expect("ON")
    reader.name()
    columns = tuple(reader.written(_bare(part)) for part in split(reader.group()))
    where = reader.written(reader.rest()) if reader.accept("WHERE") else None
    return IndexClauses(columns, where)


def read_module(sql: str) -> str:
    """The module of a CREATE VIRTUAL TABLE. Raises `UnreadableSql`."""
    reader = TokenReader(sql)
    reader.expect("CREATE", "VIRTUAL", "TABLE")
    reader.accept("IF", "NOT", "EXISTS")
    reader.name()
    reader.expect("USING")
    return reader.take().text


def _bare(column: tuple[Token, ...]) -> tuple[Token, ...]:
    """A column of an index or a key, without its order and its collation."""
    if column[-1].word in _ORDERS:
        column = column[:-1]
    while len(column) > 2 and column[-2].word == "COLLATE":
        column = column[:-2]
    return column


class _TableReader(TokenReader):
    def __init__(self, sql: str) -> None:
        super().__init__(sql)
        self._found = TableClauses()

    def read(self) -> TableClauses:
        self.expect("CREATE", "TABLE")
        self.accept("IF", "NOT", "EXISTS")
        self.name()
        self.expect("(")
        self._column()
        while self.accept(",") and self.word not in _TABLE_CONSTRAINTS:
            self._column()
        # The comma between two constraints may be left out.
        while not self.accept(")"):
            self._table_constraint()
            self.accept(",")
        return self._found

    def _column(self) -> None:
        column = ColumnClauses(self.take().text)
        self._found.columns.append(column)
        name: str | None = None
        while self.word not in {",", ")"}:
            if self.accept("CONSTRAINT"):
                name = self.take().text
            else:
                self._column_constraint(column, name)
                name = None

    def _column_constraint(self, column: ColumnClauses, name: str | None) -> None:
        found = self._found
        if self.accept("DEFAULT"):
            if self.word == "(":
                self.group()
            else:
                _ = self.accept("+") or self.accept("-")
                self.take()
        elif self.accept("NOT", "NULL"):
            self._conflict(f"NOT NULL of {column.name}")
        elif self.accept("PRIMARY", "KEY"):
            _ = self.accept("ASC") or self.accept("DESC")
            found.primary_key_name = name
            self._conflict("PRIMARY KEY")
            found.autoincrement |= self.accept("AUTOINCREMENT")
        elif self.accept("UNIQUE"):
            found.uniques.append(UniqueClause(name, (column.name,)))
            self._conflict(f"UNIQUE of {column.name}")
        elif self.accept("CHECK"):
            self._check(name)
        elif self.accept("REFERENCES"):
            self._references(name)
        elif self.accept("COLLATE"):
            column.collation = self.take().text
        elif self.accept("AS"):
            column.generated = self.written(self.group())
        elif not self._deferral():
            self._skip()

    def _table_constraint(self) -> None:
        name = self.take().text if self.accept("CONSTRAINT") else None
        found = self._found
        if self.accept("PRIMARY", "KEY"):
            columns = self.group()
            found.primary_key_name = name
            found.autoincrement |= any(token.word == "AUTOINCREMENT" for token in columns)
            self._conflict("PRIMARY KEY")
        elif self.accept("UNIQUE"):
            columns = self.group()
            names = tuple(_bare(part)[0].text for part in split(columns))
            found.uniques.append(UniqueClause(name, names))
            self._conflict(f"UNIQUE of {', '.join(names)}")
        elif self.accept("CHECK"):
            self._check(name)
            self._conflict("")
        elif self.accept("FOREIGN", "KEY"):
            self.group()
            self.expect("REFERENCES")
            self._references(name)
            self._deferral()
        elif name is None:
            raise UnreadableSql(f"no constraint begins with {self.take().text}")

    def _check(self, name: str | None) -> None:
        self._found.checks.append(CheckConstraint(self.written(self.group()), name))

    def _references(self, name: str | None) -> None:
        self._found.foreign_keys.append(ForeignKeyClause(name))
        self.take()
        if self.word == "(":
            self.group()
        while True:
            if self.accept("MATCH"):
                self.take()
            elif self.accept("ON"):
                self.take()
                # Both of two words: SET NULL, SET DEFAULT, NO ACTION.
                if self.take().word in {"SET", "NO"}:
                    self.take()
            else:
                return

    def _deferral(self) -> bool:
        never = self.accept("NOT", "DEFERRABLE")
        if not never and not self.accept("DEFERRABLE"):
            return False
        deferred = False
        if self.accept("INITIALLY"):
            deferred = self.take().word == "DEFERRED" and not never
        # At a column it stands apart from its REFERENCES, and is about the last one before it.
        if self._found.foreign_keys:
            self._found.foreign_keys[-1].deferred = deferred
        return True

    def _conflict(self, what: str) -> None:
        if self.accept("ON", "CONFLICT"):
            resolution = self.take().word
            if what and resolution != "ABORT":
                self._found.conflicts.append(f"{what} ON CONFLICT {resolution}")

    def _skip(self) -> None:
        """Go past what says nothing here: a word of the type, its arguments, NULL, STORED, …."""
        if self.word == "(":
            self.group()
        else:
            self.take()
            if self.word == "ON":
                self._conflict("")
