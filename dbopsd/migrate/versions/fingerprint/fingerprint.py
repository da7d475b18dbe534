"""Take the fingerprint of a database's schema."""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Final

from dbopsd.db.errors import DeadlockDetected, LockTimeout, StatementFailed
from dbopsd.db.session import Session
from dbopsd.migrate.versions.fingerprint.definition_text import without_nested_connectives
from dbopsd.migrate.versions.fingerprint.object_rows import ObjectRow, read_object_rows
from dbopsd.migrate.versions.fingerprint.view_text import without_table_prefixes
from dbopsd.migrate.versions.model.schema_object import Fingerprint, SchemaObject

_ATTEMPTS: Final = 25
_LOCK_TIMEOUT_S: Final = 5.0
# What is locked while it waits, it soon gives back: two that wait for each other would be found by
# the server after `deadlock_timeout`, 1 s by default, and then it may end the other one.
_LOCK_WAIT_S: Final = 0.3
# What the server raises for an object that is dropped while its definition is being written.
_GONE: Final = frozenset({"XX000", "42P01", "42703", "42704", "42883", "3F000"})
_DROPPED: Final = "???"
_VIEWS: Final = frozenset({"view", "materialized view"})
# Not functions: their text is what somebody wrote.
_WITH_EXPRESSIONS: Final = _VIEWS | {
    *("column", "constraint", "domain", "index", "policy", "publication"),
    *("rule", "statistics", "table", "trigger"),
}
_UNPREFIXED_SINCE: Final = 16_00_00


async def take_fingerprint(
    session: Session,
    *,
    ledger_schema: str,
    timeout_s: float | None = None,
    lock_timeout_s: float = _LOCK_TIMEOUT_S,
) -> Fingerprint:
    """The schema as this session sees it: every object, with what makes it what it is.

    In a transaction as well as outside one; settings and locks are afterwards as they were, also
    after an error. The digest is the same on every supported major version, for every role, and
    does not depend on owners, privileges or the order of columns. Left out are members of
    extensions and their versions; temporary objects; the ledger, `dbops` and the history tables of
    other tools; and what does not belong to the database: roles, tablespaces, settings.

    Writing a view down waits for whoever has locked its tables exclusively. Raises `QueryCanceled`
    after `timeout_s` (None: no limit), `LockTimeout` after waits of `lock_timeout_s` in all.
    """
    began_s = time.monotonic()
    attempts = 0
    previous: frozenset[ObjectRow] = frozenset()
    while True:
        spent_s = time.monotonic() - began_s
        try:
            async with session.trial():
                rows, version = await read_object_rows(
                    session,
                    ledger_schema=ledger_schema,
                    lock_timeout_ms=_milliseconds(min(_LOCK_WAIT_S, lock_timeout_s)),
                    statement_timeout_ms=_milliseconds(timeout_s and timeout_s - spent_s),
                )
        except (LockTimeout, DeadlockDetected):
            if time.monotonic() - began_s >= lock_timeout_s:
                raise
            continue
        except StatementFailed as error:
            attempts += 1
            if error.sqlstate not in _GONE or attempts == _ATTEMPTS:
                raise
            continue
        # Definitions that have the mark in their own text are the same the second time.
        found = frozenset(rows)
        if found == previous or not any(_DROPPED in row.definition for row in rows):
            return await asyncio.to_thread(_fingerprint, rows, version)
        previous = found


def digest(objects: Iterable[SchemaObject]) -> str:
    """SHA-256 over the objects that have a definition, in order of their kinds and identities."""
    hashed = hashlib.sha256()
    for each in sorted(objects, key=_place):
        if each.definition:
            text = f"{each.kind}\0{each.identity}\0{each.definition}\0"
            hashed.update(text.encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


def _place(each: SchemaObject) -> tuple[str, str]:
    return each.kind, each.identity


def _fingerprint(rows: Sequence[ObjectRow], version: int) -> Fingerprint:
    objects = tuple(sorted((_object(row, version) for row in rows), key=_place))
    return Fingerprint(digest(objects), objects)


def _object(row: ObjectRow, version: int) -> SchemaObject:
    definition = row.definition
    if version < _UNPREFIXED_SINCE and row.kind in _VIEWS:
        definition = without_table_prefixes(definition)
    if row.kind in _WITH_EXPRESSIONS:
        definition = without_nested_connectives(definition)
    return SchemaObject(row.kind, row.identity, definition, row.position, row.owner_and_grants)


def _milliseconds(seconds: float | None) -> int:
    """For a setting that takes 0 for no limit."""
    return 0 if seconds is None else max(1, round(seconds * 1000))
