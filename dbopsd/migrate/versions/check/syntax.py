"""Whether scripts are SQL: by the grammar of the check, and by that of the server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.db.errors import DatabaseError
from dbopsd.db.session import Session
from dbopsd.db.syntax import SyntaxRefusal
from dbopsd.migrate.versions.check.inspection import Inspected, Refusal
from dbopsd.migrate.versions.model.migration_file import Script

GRAMMAR_MAJOR: Final = 18
"""The major version of PostgreSQL whose grammar the check has (`postgast`)."""


@dataclass(frozen=True)
class SyntaxVerdict:
    """What is known of a script's syntax."""

    refusal: Refusal | SyntaxRefusal | None = None
    """None: it is SQL to whoever was asked."""
    certain: bool = True
    """Whether the server has said so, or both agree."""


class ServerSyntax:
    """The server's grammar, asked where it may say other than that of the check."""

    def __init__(self, session: Session | None, major: int) -> None:
        self._session = session
        self._major = major
        self.failure = ""
        """Why the server cannot be asked."""
        if session is None:
            self.failure = "there is no connection"

    async def verdicts(
        self, scripts: Sequence[Script], inspected: Sequence[Inspected]
    ) -> list[SyntaxVerdict]:
        """The verdict on each script."""
        return [
            await self._verdict(script, found)
            for script, found in zip(scripts, inspected, strict=True)
        ]

    async def _verdict(self, script: Script, found: Inspected) -> SyntaxVerdict:
        # An older server refuses what only a newer one knows, and the other way round.
        doubtful = found.refusal or found.failure or self._major != GRAMMAR_MAJOR
        if not doubtful:
            return SyntaxVerdict()
        if self._session is None or self.failure:
            return SyntaxVerdict(found.refusal, certain=False)
        try:
            return SyntaxVerdict(await self._session.refused_syntax(script.text))
        except DatabaseError as error:
            self.failure = error.message
            return SyntaxVerdict(found.refusal, certain=False)
