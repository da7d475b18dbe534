"""The table of contents of a dump, `toc.dat`: what is in it, in which file, and what needs what.

Format 1.14 (PostgreSQL 12 to 15), 1.15 (16) and 1.16 (17 and 18) of pg_dump's archives, as
src/bin/pg_dump/pg_backup_archiver.c of PostgreSQL reads them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

TOC: Final = "toc.dat"

TABLE: Final = "TABLE"
TABLE_DATA: Final = "TABLE DATA"

_MAGIC: Final = b"PGDMP"
_DIRECTORY: Final = 3
_OLDEST, _NEWEST = (1, 14), (1, 16)
# What belongs to a table, beside what is to be there before it.
_OF_TABLE: Final = frozenset(
    {
        TABLE_DATA,
        "CHECK CONSTRAINT",
        "COMMENT",
        "CONSTRAINT",
        "DEFAULT",
        "INDEX",
        "INDEX ATTACH",
        "POLICY",
        "ROW SECURITY",
        "RULE",
        "SEQUENCE",
        "SEQUENCE OWNED BY",
        "SEQUENCE SET",
        "STATISTICS",
        "STATISTICS DATA",
        "TABLE ATTACH",
        "TRIGGER",
    }
)
_REFERENCE: Final = "FK CONSTRAINT"


@dataclass(frozen=True, slots=True)
class TocEntry:
    """An object of a dump. `file`: where its data is; empty where it has none."""

    id: int
    kind: str
    schema: str
    name: str
    file: str
    needs: frozenset[int]

    @property
    def relation(self) -> tuple[str, str]:
        """Schema and name."""
        return self.schema, self.name


@dataclass(frozen=True)
class Toc:
    """The objects of a dump, in the order in which they are restored."""

    dump_version: str
    """The version of `pg_dump`, such as `18.6`."""
    entries: tuple[TocEntry, ...]

    @property
    def tables(self) -> dict[tuple[str, str], TocEntry]:
        """The tables, by schema and name."""
        return {each.relation: each for each in self.entries if each.kind == TABLE}

    @property
    def data_files(self) -> dict[str, tuple[str, str]]:
        """The table whose rows each file has."""
        return {each.file: each.relation for each in self.entries if each.kind == TABLE_DATA}

    def of_tables(self, relations: Iterable[tuple[str, str]]) -> list[TocEntry]:
        """The tables and all that is theirs: data, keys, indexes, sequences, triggers, comments.

        A foreign key comes along only if the table that it refers to does.
        """
        known = self.tables
        chosen = {known[each].id for each in relations}
        others = {each.id for each in known.values()} - chosen
        while True:
            more = {
                each.id
                for each in self.entries
                if each.id not in chosen
                and each.kind in (*_OF_TABLE, _REFERENCE)
                and each.needs & chosen
                and not (each.kind != "TABLE ATTACH" and each.needs & others)
            }
            # A sequence that only a default needs is its table's too.
            more |= {
                needed.id
                for each in self.entries
                if each.id in chosen and each.kind in ("DEFAULT", "SEQUENCE OWNED BY")
                for needed in self.entries
                if needed.id in each.needs and needed.kind == "SEQUENCE"
            } - chosen
            if not more:
                return [each for each in self.entries if each.id in chosen]
            chosen |= more

    def with_needed(
        self, entries: Iterable[TocEntry], wanted: Callable[[TocEntry], bool]
    ) -> list[TocEntry]:
        """The entries, and what they need of what is `wanted`, such as types and schemas."""
        by_id = {each.id: each for each in self.entries}
        chosen = {each.id for each in entries}
        schemas = {each.name: each.id for each in self.entries if each.kind == "SCHEMA"}
        waiting = list(chosen)
        while waiting:
            entry = by_id[waiting.pop()]
            needs = {*entry.needs, *([schemas[entry.schema]] if entry.schema in schemas else [])}
            for id_ in needs - chosen:
                needed = by_id.get(id_)
                if needed is not None and needed.kind != TABLE and wanted(needed):
                    chosen.add(id_)
                    waiting.append(id_)
        return [each for each in self.entries if each.id in chosen]


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0
        self.int_bytes = 4

    def take(self, count: int) -> bytes:
        start, self._position = self._position, self._position + count
        if self._position > len(self._content):
            raise ValueError("it ends too early")
        return self._content[start : self._position]

    def byte(self) -> int:
        return self.take(1)[0]

    def int(self) -> int:
        negative = self.byte()
        value = int.from_bytes(self.take(self.int_bytes), "little")
        return -value if negative else value

    def text(self) -> str | None:
        length = self.int()
        return None if length < 0 else self.take(length).decode(errors="surrogateescape")


def parse_toc(content: bytes) -> Toc:
    """Take `toc.dat` of a dump in directory format apart. Raises ValueError if it is none."""
    reader = _Reader(content)
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise ValueError("it is no archive of pg_dump")
    major, minor, _revision = reader.byte(), reader.byte(), reader.byte()
    if not _OLDEST <= (major, minor) <= _NEWEST:
        raise ValueError(f"it has format {major}.{minor} of pg_dump, which is not known here")
    reader.int_bytes = reader.byte()
    reader.byte()  # the size of an offset
    if reader.byte() != _DIRECTORY:
        raise ValueError("it is of no dump in directory format")
    if minor >= 15:
        reader.byte()  # the algorithm of compression
    else:
        reader.int()  # its level
    for _ in range(7):
        reader.int()  # when it was made
    reader.text()  # the database's name
    reader.text()  # the server's version
    dump_version = reader.text() or ""
    entries = tuple(_entry(reader, minor) for _ in range(reader.int()))
    return Toc(dump_version, entries)


def _entry(reader: _Reader, minor: int) -> TocEntry:
    id_ = reader.int()
    reader.int()  # whether it has data
    reader.text()  # the OIDs of its catalog, and its own
    reader.text()
    name, kind = reader.text() or "", reader.text() or ""
    reader.int()  # the section
    for _ in range(3):
        reader.text()  # the statements that create, drop and copy it
    schema = reader.text() or ""
    reader.text()  # the tablespace
    reader.text()  # the access method
    if minor >= 16:
        reader.int()  # the kind of relation
    reader.text()  # the owner
    reader.text()  # whether it has OIDs
    needs = set()
    while (needed := reader.text()) is not None:
        needs.add(int(needed))
    return TocEntry(id_, kind, schema, name, reader.text() or "", frozenset(needs))
