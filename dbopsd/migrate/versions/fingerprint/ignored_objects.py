"""Which objects of a schema patterns of `schema.name` stand for."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dbopsd.migrate.versions.model.schema_object import Fingerprint, SchemaObject

_PART: Final = r'("(?:[^"]|"")*"|[^\s."(]+)'
_QUALIFIED: Final = re.compile(rf"{_PART}\.{_PART}")
# As the server writes definitions while nothing but pg_catalog is in the search path.
_INDEXED: Final = re.compile(
    rf"CREATE (?:UNIQUE )?INDEX {_PART} ON (?:ONLY )?(?P<table>{_QUALIFIED.pattern}) USING "
)
_OWNED: Final = re.compile(rf" (?:OWNED BY|IDENTITY OF) (?P<table>{_QUALIFIED.pattern})\.")
_COUNTED: Final = re.compile(rf".* FROM (?P<table>{_QUALIFIED.pattern})", re.DOTALL)
_OF_TABLE: Final = {"index": _INDEXED, "sequence": _OWNED, "statistics": _COUNTED}
_ON_OTHERS: Final = frozenset({"comment", "security label"})
_WITHOUT_SCHEMA: Final = frozenset(
    {
        *("access method", "cast", "default privileges", "event trigger", "extension"),
        *("foreign data wrapper", "foreign server", "language", "publication", "subscription"),
        *("transform", "user mapping"),
    }
)


class IgnoredObjects:
    """The objects of some schemas that are left out where these are compared.

    A pattern is of `schema.name`, each as a shell matches names. It stands for whatever is called
    so, and for what belongs to such a relation or domain: columns, constraints, indexes, triggers,
    rules, policies, statistics, sequences that its columns own, comments. `schema.*` stands for
    the schema, too.
    """

    def __init__(self, patterns: Sequence[str], fingerprints: Iterable[Fingerprint]) -> None:
        self._patterns = [_compiled(each) for each in patterns]
        self._objects: dict[str, list[SchemaObject]] = {}
        for fingerprint in fingerprints if patterns else ():
            for each in fingerprint.objects:
                self._objects.setdefault(f"{each.kind} {each.identity}", []).append(each)

    def has(self, kind: str, identity: str) -> bool:
        """Whether the object is one that is left out."""
        if not self._patterns or kind in _WITHOUT_SCHEMA:
            return False
        if kind in _ON_OTHERS:
            # A label has its provider behind the object.
            described = identity if kind == "comment" else identity.rpartition(" FOR ")[0]
            return any(self.has(each.kind, each.identity) for each in self._found(described))
        if kind == "schema":
            return any(
                schema.fullmatch(_unquoted(identity)) and is_whole
                for schema, _, is_whole in self._patterns
            )
        return any(self._matches(name) for name in self._names(kind, identity))

    def _names(self, kind: str, identity: str) -> Iterator[str]:
        """The object, its table for a part that is named below one; the table that has it."""
        yield identity
        if (of_table := _OF_TABLE.get(kind)) is not None:
            for each in self._found(f"{kind} {identity}"):
                if (found := of_table.search(each.definition)) is not None:
                    yield found["table"]

    def _found(self, described: str) -> Sequence[SchemaObject]:
        return self._objects.get(described, ())

    def _matches(self, identity: str) -> bool:
        qualified = _QUALIFIED.match(identity)
        if qualified is None:
            return False
        of_schema, of_name = (_unquoted(part) for part in qualified.groups())
        return any(
            schema.fullmatch(of_schema) and name.fullmatch(of_name)
            for schema, name, _ in self._patterns
        )


def _compiled(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str], bool]:
    """Of the schema and of the name, and whether all of a schema is meant."""
    schema, _, name = pattern.partition(".")
    return (
        re.compile(fnmatch.translate(schema)),
        re.compile(fnmatch.translate(name)),
        name == "*",
    )


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
