"""Files that have up and down in sections, each below a comment of its own."""

from dataclasses import dataclass, replace

from dbopsd.migrate.versions.folder.directives import read_directives
from dbopsd.migrate.versions.folder.layout import FolderReader, Version
from dbopsd.migrate.versions.folder.script import Part, Rules, read_part
from dbopsd.migrate.versions.model.migration_file import MigrationFile
from dbopsd.migrate.versions.sql.lexer import skip_blanks
from dbopsd.migrate.versions.sql.positions import line_and_column


@dataclass(frozen=True)
class Marker:
    """A comment that a section begins with. Positions count characters from 0."""

    is_up: bool
    start: int
    """Where its line begins."""
    end: int
    """Where the next line begins."""
    transactional: bool = True


def read_sections(
    reader: FolderReader, version: Version, text: str, markers: list[Marker], rules: Rules
) -> MigrationFile | None:
    """The migration of a file; None: it has no up section, which is a problem.

    Directives that stand before the first section are for both.
    """
    problem = _Problem(reader, version, text)
    ups = [marker for marker in markers if marker.is_up]
    downs = [marker for marker in markers if not marker.is_up]
    if not ups:
        problem.add("NO_UP_SECTION", "it has no up section", 0)
        return None
    if len(ups) > 1:
        problem.add("TWO_UP_SECTIONS", "a second up section begins here", ups[1].start)
    if len(downs) > 1:
        problem.add("TWO_DOWN_SECTIONS", "a second down section begins here", downs[1].start)
    if downs and downs[0].start < ups[0].start:
        problem.add("WRONG_SECTION_ORDER", "the down section stands before the up section", 0)
    first = markers[0].start
    before = skip_blanks(text, 0)
    if before < first:
        problem.add("STATEMENT_OUTSIDE_SECTION", "it stands before the first section", before)
    directives = read_directives(text[:first], version.path, reader.problems)
    ends = {marker.start: end for marker, end in zip(markers, _ends(markers, text), strict=True)}

    def part(marker: Marker) -> Part:
        return read_part(
            text[marker.end : ends[marker.start]],
            version.path,
            reader.problems,
            replace(rules, transactional=rules.transactional and marker.transactional),
            first_line=line_and_column(text, marker.end)[0],
            directives=directives,
        )

    return reader.migration(version, part(ups[0]), part(downs[0]) if downs else None)


def _ends(markers: list[Marker], text: str) -> list[int]:
    return [marker.start for marker in markers[1:]] + [len(text)]


@dataclass(frozen=True)
class _Problem:
    reader: FolderReader
    version: Version
    text: str

    def add(self, reason: str, message: str, offset: int) -> None:
        self.reader.problems.add(
            reason,
            message,
            self.version.path,
            place=line_and_column(self.text, offset),
            version=self.version.version,
        )
