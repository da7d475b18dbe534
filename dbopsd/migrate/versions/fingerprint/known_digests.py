"""Digests of schemas that are read anew only when something in their catalogs has changed."""

from dbopsd.db.session import Session
from dbopsd.migrate.versions.fingerprint.catalog_state import CatalogState, catalog_state
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint


class KnownDigests:
    """The last digest of each database, for those who look often."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[CatalogState, str]] = {}

    async def digest(
        self,
        session: Session,
        database: str,
        *,
        ledger_schema: str,
        timeout_s: float,
        lock_timeout_s: float,
    ) -> str:
        """The digest of the schema as it is now. Raises what `take_fingerprint` does."""
        before = await catalog_state(session)
        known = self._known.get(database)
        if known is not None and known[0] == before:
            return known[1]
        fingerprint = await take_fingerprint(
            session,
            ledger_schema=ledger_schema,
            timeout_s=timeout_s,
            lock_timeout_s=lock_timeout_s,
        )
        if await catalog_state(session) == before:
            self._known[database] = before, fingerprint.digest
        return fingerprint.digest
