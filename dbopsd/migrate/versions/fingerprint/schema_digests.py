"""Digests of a schema that is looked at again and again: planned once, and hashed by the server."""

from typing import Final

from dbopsd.db.errors import DeadlockDetected, LockTimeout
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.fingerprint.object_rows import digest_text, enter_settings

_SUMMARY: Final = "SELECT pg_catalog digest"
_EXECUTE: Final = Statement("EXECUTE dbops_digest", _SUMMARY)
_LOCK_TIMEOUT_MS: Final = 1000


class SchemaDigests:
    """Of the database of a session that is used for nothing else."""

    def __init__(self, session: Session, ledger_schema: str) -> None:
        self._session = session
        text = digest_text(ledger_schema)
        self._prepare = Statement(f"PREPARE dbops_digest AS {text}", "PREPARE")
        self._is_prepared = False

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
        # Planning takes as long as reading a thousand objects; the plan for a few is as good for
        # thousands, by measurement.
        if not self._is_prepared:
            await self._session.execute(self._prepare)
            self._is_prepared = True
        row = await self._session.fetch_one(_EXECUTE)
        if row is None:
            raise AssertionError("unreachable: an aggregate has a row")
        return str(row[0])
