"""Digests of a schema that is looked at again and again: planned once, and hashed by the server."""

from typing import Final

from dbopsd.db.errors import DeadlockDetected, LockTimeout
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.fingerprint.object_rows import digest_text, enter_settings

_SUMMARY: Final = "SELECT pg_catalog digest"
_EXECUTE: Final = Statement("EXECUTE dbops_digest", _SUMMARY)
_DEALLOCATE: Final = Statement("DEALLOCATE dbops_digest", "DEALLOCATE")
_LOCK_TIMEOUT_MS: Final = 1000
# A plan for a few objects is bad for thousands, and planning takes as long as reading a thousand.
_GROWTH: Final = 2
_FEW: Final = 500


class SchemaDigests:
    """Of the database of a session that is used for nothing else."""

    def __init__(self, session: Session, ledger_schema: str) -> None:
        self._session = session
        text = digest_text(ledger_schema)
        self._prepare = Statement(f"PREPARE dbops_digest AS {text}", "PREPARE")
        self._planned_for: int | None = None

    async def digest(self) -> str:
        """Equal for equal schemas of this server, column order, owners and privileges included.

        Schemas that `take_fingerprint` finds equal may have two digests. Empty: somebody's locks
        keep it from being taken.
        """
        try:
            async with self._session.trial():
                await enter_settings(
                    self._session, lock_timeout_ms=_LOCK_TIMEOUT_MS, statement_timeout_ms=0
                )
                return await self._taken()
        except (LockTimeout, DeadlockDetected):
            return ""

    async def _taken(self) -> str:
        if self._planned_for is None:
            await self._session.execute(self._prepare)
        row = await self._session.fetch_one(_EXECUTE)
        if row is None:
            raise AssertionError("unreachable: an aggregate has a row")
        objects, digest = row
        if self._planned_for is None:
            self._planned_for = objects
        elif objects > _GROWTH * self._planned_for + _FEW:
            await self._session.execute(_DEALLOCATE)
            self._planned_for = None
        return str(digest)
