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
_BETWEEN: Final = "\n;\n"
"""Ends a comment and a statement. None of the texts has an open quote: the grammar accepts them."""
_BATCH_CHARS: Final = 2**22


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
        verdicts = [SyntaxVerdict(each.refusal) for each in inspected]
        alone = {n: None for n, each in enumerate(inspected) if each.refusal or each.failure}
        batches = [[n] for n in alone]
        # An older server refuses what only a newer one knows, and the other way round.
        if self._major not in (0, GRAMMAR_MAJOR):
            rest = [n for n in range(len(scripts)) if n not in alone]
            batches += _batches(rest, [len(each.text) for each in scripts])
        for batch in batches:
            await self._ask(batch, scripts, verdicts)
        return verdicts

    async def _ask(
        self, batch: list[int], scripts: Sequence[Script], verdicts: list[SyntaxVerdict]
    ) -> None:
        """Ask about scripts, all at once until one is refused."""
        while batch:
            if self._session is None or self.failure:
                for n in batch:
                    verdicts[n] = SyntaxVerdict(verdicts[n].refusal, certain=False)
                return
            try:
                texts = [scripts[n].text for n in batch]
                refusal = await self._session.refused_syntax(_BETWEEN.join(texts))
            except DatabaseError as error:
                self.failure = error.message
                continue
            if refusal is not None and refusal.position is None and len(batch) > 1:
                for n in batch:
                    await self._ask([n], scripts, verdicts)
                return
            number, verdict = _whose(refusal, texts)
            for n in batch[:number]:
                verdicts[n] = SyntaxVerdict()
            if verdict is not None:
                verdicts[batch[number]] = verdict
            batch = batch[number + 1 :]


def _whose(
    refusal: Refusal | SyntaxRefusal | None, texts: Sequence[str]
) -> tuple[int, SyntaxVerdict | None]:
    """Which of the texts is refused, by its number, and why; their count: none is."""
    if refusal is None:
        return len(texts), None
    position = refusal.position
    if position is None:
        return 0, SyntaxVerdict(refusal)
    start = 0
    for number, text in enumerate(texts):
        if position < start + len(text) + len(_BETWEEN) or number == len(texts) - 1:
            place = min(position - start, len(text))
            return number, SyntaxVerdict(SyntaxRefusal(refusal.message, place))
        start += len(text) + len(_BETWEEN)
    return len(texts), None


def _batches(numbers: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
    """Those whose texts one message can hold together."""
    batches: list[list[int]] = [[]]
    size = 0
    for n in numbers:
        if batches[-1] and size + sizes[n] > _BATCH_CHARS:
            batches.append([])
            size = 0
        batches[-1].append(n)
        size += sizes[n]
    return batches
