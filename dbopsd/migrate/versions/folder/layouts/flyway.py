"""Flyway: `V1_2__name.sql`, `U1_2__name.sql`, `R__name.sql`, and `.sql.conf` beside each.

As its ResourceNameParser, MigrationVersion, SqlScriptMetadata and ParserSqlScript read them: below
any directory, versions of numbers with dots or underscores between them, where 1 is 1.0, and a
script of which no statement may be in a transaction runs outside of one.
"""

import re
from dataclasses import dataclass
from typing import Final

from dbopsd.migrate.versions.folder.layout import Fit, FolderReader, Layout, Order, Version
from dbopsd.migrate.versions.folder.script import Part
from dbopsd.migrate.versions.folder.tree import Tree
from dbopsd.migrate.versions.model.migration_file import MigrationFile

# As many digits as the name of a file may have: Python refuses to read numbers of thousands.
_DIGITS: Final = "[0-9]{1,255}"
_NUMBERS: Final = rf"{_DIGITS}(?:[._]{_DIGITS})*"
_NUMBER: Final = re.compile(r"[0-9]+")
_VERSIONED: Final = re.compile(rf"([VU])({_NUMBERS})(?:__(.*))?\.sql")
_REPEATABLE: Final = re.compile(r"R__(.+)\.sql")
_CODE: Final = re.compile(rf"(?:[VUB]{_NUMBERS}|R)__.*\.(?:java|kt|class|py|sh|bash|ps1|bat|cmd)")
_BASELINE: Final = re.compile(rf"B{_NUMBERS}(?:__.*)?\.sql")
# Of the events that an apply or a rollback has.
_CALLBACK: Final = re.compile(
    r"(?:(?:before|after)(?:Each)?(?:Migrate|Undo|Versioned|Repeatables|Connect)\w*?|createSchema)"
    r"(?:__.*)?\.(?:sql|java|kt|class|py|sh|bash|ps1|bat|cmd)"
)
_MARK: Final = re.compile(rf"(?:[VU]{_NUMBERS}|R)__.*\.sql")


@dataclass(frozen=True)
class _Settings:
    """A `.sql.conf`."""

    transactional: bool | None = None
    dollars: bool = True


def _fit(tree: Tree) -> Fit:
    """By the first directory that has SQL at all."""
    for files in tree.walk():
        names = [path.rpartition("/")[2] for path in files if path.endswith(".sql")]
        if names:
            return Fit.BY_MARK if any(map(_MARK.fullmatch, names)) else Fit.NO
    return Fit.NO


def _read(reader: FolderReader) -> list[MigrationFile]:
    ups: list[Version] = []
    downs: list[Version] = []
    paths = [path for files in reader.tree.walk() for path in files]
    settings = {path.removesuffix(".conf") for path in paths if path.endswith(".sql.conf")}
    for path in paths:
        name = path.rpartition("/")[2]
        if match := _VERSIONED.fullmatch(name):
            version = Version(match[2], _order(match[2]) or (), match[3] or "", path)
            (ups if match[1] == "V" else downs).append(version)
        elif match := _REPEATABLE.fullmatch(name):
            ups.append(Version("", (1, match[1]), match[1], path))
        elif _CODE.fullmatch(name):
            reader.refuse_code(path)
        elif _CALLBACK.fullmatch(name) or _BASELINE.fullmatch(name):
            what = "a baseline migration" if name.startswith("B") else "a callback"
            reader.problems.add("CANNOT_RUN", f"it is {what}, which only Flyway can run", path)
        else:
            reader.leave_out(path, "its name is none of V1__name.sql, U1__name.sql and R__name.sql")

    def part(path: str) -> Part:
        found = _settings(reader, f"{path}.conf") if path in settings else _Settings()
        if found.transactional is None:
            return reader.part(path, refusals_outside=True, dollars=found.dollars)
        return reader.part(path, transactional=found.transactional, dollars=found.dollars)

    return reader.pairs(ups, downs, part)


def _settings(reader: FolderReader, path: str) -> _Settings:
    """Those that change what runs are followed, or refused where that cannot be done."""
    found: dict[str, str] = {}
    for number, line in enumerate((reader.text(path) or "").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", "!")):
            continue
        key, _, value = line.strip().partition("=")
        key, value = key.strip(), value.strip()
        found[key] = value.lower()
        if key not in ("executeInTransaction", "placeholderReplacement") and not (
            (key == "encoding" and value.lower() in ("utf-8", "utf8"))
            or (key == "shouldExecute" and value.lower() == "true")
        ):
            message = f"'{line.strip()}' cannot be followed"
            reader.problems.add("BAD_DIRECTIVE", message, path, place=(number, 1))
    in_transaction = found.get("executeInTransaction")
    return _Settings(
        None if in_transaction is None else in_transaction == "true",
        dollars=found.get("placeholderReplacement", "true") == "true",
    )


def _order(version: str) -> Order | None:
    if not re.fullmatch(_NUMBERS, version):
        return None
    numbers = [int(number) for number in _NUMBER.findall(version)]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return (0, *numbers)


LAYOUT: Final = Layout("flyway", _fit, _read, _order)
