"""The one query of a fingerprint, and its rows."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from dbopsd.db.identifiers import literal
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement, load_sql
from dbopsd.migrate.versions.model.ledger_run import LEDGER_RELATIONS

_PACKAGE: Final = "dbopsd.migrate.versions.fingerprint"
_PARTS: Final = ("relations", "table_parts", "types", "routines", "text_search", "database")


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """A row of the query: see `SchemaObject`."""

    kind: str
    identity: str
    definition: str
    position: int
    owner_and_grants: str


async def read_object_rows(
    session: Session, *, ledger_schema: str, lock_timeout_ms: int, statement_timeout_ms: int
) -> tuple[list[ObjectRow], int]:
    """Every object, in any order, and the version of the server (`server_version_num`).

    Within a transaction or savepoint, in which settings stay changed. 0 ms: no limit.
    """
    version = await enter_settings(
        session, lock_timeout_ms=lock_timeout_ms, statement_timeout_ms=statement_timeout_ms
    )
    parameters = {"ledger_schema": ledger_schema, "ledger_relations": list(LEDGER_RELATIONS)}
    rows = await session.fetch_all(_objects(), parameters)
    return [
        ObjectRow(_decoded(kind), _decoded(identity), _decoded(text), position, _decoded(grants))
        for kind, identity, text, position, grants in rows
    ], version


async def enter_settings(
    session: Session, *, lock_timeout_ms: int, statement_timeout_ms: int
) -> int:
    """Have the settings under which definitions are written, until the transaction is rolled back.

    0 ms: no limit. Returns the version of the server (`server_version_num`).
    """
    settings = {
        "lock_timeout": str(lock_timeout_ms),
        "statement_timeout": str(statement_timeout_ms),
    }
    [version, *_] = await session.fetch_one(_sql("settings"), settings) or (0,)
    return int(version)


def digest_text(ledger_schema: str) -> str:
    """The query for a digest of all objects, without parameters."""
    relations = ", ".join(literal(each) for each in LEDGER_RELATIONS)
    text = f"{_objects_with()},\nobjects AS (\n{_text('objects')}\n)\n{_text('digest')}"
    return (
        text.replace("%(ledger_schema)s", literal(ledger_schema))
        .replace("%(ledger_relations)s", f"ARRAY[{relations}]::pg_catalog.text[]")
        .replace("%%", "%")
    )


def _decoded(value: str | bytes) -> str:
    """A text; bytes, as a database without an encoding has, are most often UTF-8."""
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


@cache
def _objects() -> Statement:
    """The query: `objects.sql` over what each part finds within `scope.sql`."""
    final = _sql("objects")
    return Statement(f"{_objects_with()}\n{final.text}", final.summary)


def _objects_with() -> str:
    found = "\nUNION ALL\n".join(_text(part) for part in _PARTS)
    return f"WITH {_text('scope')},\nfound AS (\n{found}\n)"


def _sql(name: str) -> Statement:
    return load_sql(_PACKAGE, f"sql/{name}.sql").statement


def _text(name: str) -> str:
    return _sql(name).query_text
