"""A transaction that begins with a script, and may end with one: two messages in all."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from dbopsd.db.script import Script, ScriptDone, send_script
from dbopsd.db.statement import Statement
from dbopsd.db.statement_runner import StatementRunner
from dbopsd.db.transactions import Frame, Transactions


class ScriptTransaction:
    """The transaction, open while the context is. Inside another one it is a savepoint.

    It begins with the `opening` statements, `script` and the `closing` one, in one message. It
    commits as the context is left, or is rolled back if an error leaves it.
    """

    done: ScriptDone
    """What the script did, without `opening` and `closing`."""

    def __init__(
        self,
        runner: StatementRunner,
        transactions: Transactions,
        opening: Sequence[Statement],
        script: Statement,
        closing: Statement | None,
    ) -> None:
        self._runner = runner
        self._transactions = transactions
        self._opening = opening
        self._script = script
        self._closing = closing
        self._frame: Frame | None = None
        """What is open."""

    async def __aenter__(self) -> Self:
        frame = self._transactions.frame()
        if not frame.is_savepoint:
            await self._begin(frame)
            return self
        # Of a message with a syntax error nothing is run, also not its SAVEPOINT.
        await self._transactions.open(frame)
        try:
            self.done = await self._send(self._opening)
        except BaseException:
            await self._transactions.undo(frame)
            raise
        self._frame = frame
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        frame, self._frame = self._frame, None
        if frame is None:
            return
        if exc is not None:
            await self._transactions.undo(frame)
        else:
            await self._transactions.close(frame)

    async def commit_with(self, last: Statement) -> None:
        """Run `last`, a script, and commit, in one message: all of it or nothing.

        Raises what `execute_script` does: where the error is `ConnectionLost`, it may have
        committed; and `TransactionNotCommitted`.
        """
        frame, self._frame = self._frame, None
        if frame is None:
            raise ValueError("the transaction has ended")
        self._runner.depth -= 1
        text = f"{last.query_text};\n{frame.commit.query_text}"
        sent = Script(self._runner.connection, text)
        try:
            await send_script(self._runner, Statement(text, last.summary, last.sensitive), sent)
        except BaseException:
            await self._transactions.undo_commit(frame)
            raise
        self._transactions.check_answer(frame, sent.last_answer)

    async def _begin(self, frame: Frame) -> None:
        try:
            self.done = await self._send((frame.begin, *self._opening))
        except BaseException:
            await self._transactions.undo_beginning(frame)
            raise
        self._transactions.note_begun()
        self._frame = frame

    async def _send(self, before: Sequence[Statement]) -> ScriptDone:
        script = self._script
        text, head = script.query_text, "".join(f"{each.query_text};\n" for each in before)
        tail = "" if self._closing is None else self._closing.query_text
        sent = Script(self._runner.connection, text, head, len(before), tail)
        whole = Statement(sent.text, script.summary, script.sensitive)
        return await send_script(self._runner, whole, sent)
