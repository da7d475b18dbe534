"""Digests of schemas that are read anew only when something in their catalogs has changed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dbopsd.db.session import Session
from dbopsd.migrate.versions.fingerprint.catalog_state import CatalogState, catalog_state
from dbopsd.migrate.versions.fingerprint.drift import find_drift
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.model.schema_object import Fingerprint


@dataclass(frozen=True)
class HowTaken:
    """How fingerprints are taken: see `take_fingerprint`."""

    ledger_schema: str
    timeout_s: float
    lock_timeout_s: float


class KnownDigests:
    """The last digest of each database, for those who look often."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[CatalogState, str]] = {}
        self._drifted: dict[str, tuple[tuple[str, str], bool]] = {}

    async def digest(self, session: Session, database: str, how: HowTaken) -> str:
        """The digest of the schema as it is now. Raises what `take_fingerprint` does."""
        before = await catalog_state(session)
        known = self._known.get(database)
        if known is not None and known[0] == before:
            return known[1]
        digest = (await _taken(session, how)).digest
        if await catalog_state(session) == before:
            self._known[database] = before, digest
        return digest

    async def drifted(
        self,
        session: Session,
        database: str,
        how: HowTaken,
        digests: tuple[str, str],
        *,
        expected: Callable[[], Awaitable[Fingerprint | None]],
        ignore: Sequence[str],
    ) -> bool:
        """Whether the schema differs from the expected one, but for what `ignore` stands for.

        `digests`: of the expected schema and of the one that `digest` gave. Raises what
        `take_fingerprint` does.
        """
        if digests[0] == digests[1] or not ignore:
            return digests[0] != digests[1]
        known = self._drifted.get(database)
        if known is not None and known[0] == digests:
            return known[1]
        before, now = await expected(), await _taken(session, how)
        if before is None:
            return False
        drift = await asyncio.to_thread(find_drift, before, now, ignore)
        self._drifted[database] = (before.digest, now.digest), bool(drift.objects)
        return bool(drift.objects)


async def _taken(session: Session, how: HowTaken) -> Fingerprint:
    return await take_fingerprint(
        session,
        ledger_schema=how.ledger_schema,
        timeout_s=how.timeout_s,
        lock_timeout_s=how.lock_timeout_s,
    )
