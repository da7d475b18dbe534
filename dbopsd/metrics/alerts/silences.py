"""Silences: kept in the control store, so that every replica goes by them."""

import logging
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.errors import DatabaseNotFound, InvalidField
from dbopsd.metrics.alerts.board import EVERY_RULE, AlertBoard
from dbopsd.metrics.errors import SilenceNotFound
from dbopsd.operations import store as control
from dbopsd.operations.alert_records import Silence
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.errors import ControlStoreUnavailable

_log = logging.getLogger(__name__)

_LONGEST_S: Final = 30 * 86_400.0
_LONGEST_COMMENT: Final = 500
_MOST_LABELS: Final = 20
_PATIENCE_S: Final = 2.0
_IDS: Final = uuid.UUID("8f2b1b1e-3a7c-4a55-9d4e-5f0c7f0c3b11")


@dataclass(frozen=True, slots=True)
class WantedSilence:
    """What a caller asks for."""

    silence: Silence
    """Without an id."""

    request_id: str = ""
    origin: str = ""
    """How the caller proved who they are: the same name proved otherwise is another's."""

    only_check: bool = False


class Silences:
    """The silences that are in force. `rules` and `databases` are the names that there are."""

    def __init__(
        self,
        control_store: AsyncControlStore,
        board: AlertBoard,
        rules: Collection[str],
        databases: Collection[str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._control = control_store
        self._board = board
        self._rules = rules
        self._databases = databases
        self._clock = clock
        self._failing = False

    async def create(self, wanted: WantedSilence) -> Silence:
        """Silence alerts from now on. Raises `InvalidField` and `RequestIdReused`."""
        self._check(wanted.silence)
        new = replace(wanted.silence, id=_id(wanted))
        if wanted.only_check:
            return replace(new, id="", created=self._clock())
        made = await self._control.ask(
            lambda store: control.alerts.create_silence(store, new, wanted.request_id)
        )
        await self.refresh()
        return made

    async def find(self, silence_id: str) -> Silence:
        """A silence that is in force. Raises `SilenceNotFound`."""
        found = await self._control.ask(
            lambda store: control.alerts.find_silence(store, silence_id)
        )
        if found is None:
            raise SilenceNotFound(silence_id)
        return found

    async def delete(self, silence_id: str) -> None:
        """End a silence. Raises `SilenceNotFound`."""
        if not await self._control.ask(
            lambda store: control.alerts.delete_silence(store, silence_id)
        ):
            raise SilenceNotFound(silence_id)
        await self.refresh()

    async def list(self) -> "list[Silence]":
        """Those that are in force, the one that ends first first."""
        return await self._control.ask(control.alerts.list_silences)

    async def refresh(self) -> None:
        """Have the board go by the silences of now; by those of before while the store is away."""
        try:
            found = await self._control.ask(control.alerts.list_silences, timeout_s=_PATIENCE_S)
        except ControlStoreUnavailable as error:
            if not self._failing:
                _log.warning("silences are those of before: %s", error)
            self._failing = True
            return
        self._failing = False
        self._board.silence(found, self._clock())

    def _check(self, silence: Silence) -> None:
        if silence.rule != EVERY_RULE and silence.rule not in self._rules:
            known = ", ".join(sorted(self._rules))
            raise InvalidField("silence.rule", f"is no rule; there are * and {known}")
        if silence.database and silence.database not in self._databases:
            raise DatabaseNotFound(silence.database)
        if len(silence.labels) > _MOST_LABELS:
            raise InvalidField("silence.labels", f"has more than {_MOST_LABELS} labels")
        if len(silence.comment) > _LONGEST_COMMENT:
            raise InvalidField("silence.comment", f"has more than {_LONGEST_COMMENT} characters")
        if any(not character.isprintable() for character in silence.comment):
            raise InvalidField("silence.comment", "has a line break or a control character")
        left_s = silence.end - self._clock()
        if left_s <= 0:
            raise InvalidField("silence.end_time", "is not in the future")
        if left_s > _LONGEST_S:
            raise InvalidField("silence.end_time", "is more than 30 days ahead")


def _id(wanted: WantedSilence) -> str:
    """The same for the same `request_id` and caller."""
    if not wanted.request_id:
        return f"s{uuid.uuid4().hex[:12]}"
    text = "\0".join((wanted.origin, wanted.silence.creator, wanted.request_id))
    return f"s{uuid.uuid5(_IDS, text).hex[:12]}"
