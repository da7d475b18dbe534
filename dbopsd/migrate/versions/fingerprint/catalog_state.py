"""Whether anything in the catalogs of a database has changed: much cheaper than a fingerprint."""

from dataclasses import dataclass
from typing import Final

from dbopsd.db.identifiers import literal, quoted
from dbopsd.db.session import Row, Session
from dbopsd.db.statement import Statement, load_sql

_CATALOGS: Final = load_sql(__package__, "sql/catalogs.sql").statement
_SHARED: Final = load_sql(__package__, "sql/shared_state.sql").statement


@dataclass(frozen=True)
class CatalogState:
    """The catalogs at one moment. Where two are equal, a schema has not changed in between.

    Of each catalog it has the number of rows and the sum of the transactions that wrote them. A
    changed row is another row, of a later transaction: with as many rows as before, the sum is
    larger. The names of roles, which policies have, and the start of the server are in it, too.
    """

    catalogs: tuple[Row, ...]
    shared: Row | None


async def catalog_state(session: Session) -> CatalogState:
    """The catalogs as they are now."""
    names = [name for (name,) in await session.fetch_all(_CATALOGS)]
    text = " UNION ALL ".join(
        f"SELECT {literal(name)}, pg_catalog.count(*), "  # noqa: S608 - quoted
        f"pg_catalog.sum(c.xmin::pg_catalog.text::pg_catalog.int8) "
        f"FROM {quoted('pg_catalog', name)} AS c"
        for name in names
    )
    rows = await session.fetch_all(Statement(text, "SELECT pg_catalog"))
    return CatalogState(tuple(sorted(rows)), await session.fetch_one(_SHARED))
