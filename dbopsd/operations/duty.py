"""What a feature declares of a duty: work that goes on for ever, in exactly one process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple, Protocol

from opentelemetry.trace import Tracer

from dbopsd.db.database import Database
from dbopsd.operations.kind import Request, RunsPrograms


class Place(Enum):
    """Which processes may hold a duty."""

    WORKER = auto()
    """Workers. One that does not let go of a duty in time is killed, with all that it runs."""

    SERVER = auto()
    """Daemons that serve. The same holds for them."""


class DutyKey(NamedTuple):
    """What tells one duty from every other. `database` is empty for a duty of none."""

    database: str
    name: str

    def __str__(self) -> str:
        duty = f"duties/{self.name}"
        return f"databases/{self.database}/{duty}" if self.database else duty


class DutyRun(RunsPrograms, Protocol):
    """What a duty may use while a process holds it."""

    @property
    def key(self) -> DutyKey:
        """Which duty it is."""

    @property
    def database(self) -> Database | None:
        """The database of the duty; None for a duty of no database."""

    @property
    def token(self) -> int:
        """Grows each time that a process takes the duty.

        Whatever takes its writes can refuse one with a lower token than it has seen. That fences
        off a machine that is suspended between a check and a write.
        """

    @property
    def tracer(self) -> Tracer:
        """Makes spans."""

    @property
    def state_dir(self) -> Path:
        """The process's state directory on this machine."""

    async def start(self, kind: str, request: Request, *, request_id: str) -> None:
        """Have an operation of that kind done on the duty's database.

        The same `request_id` of the same duty, by whichever process, is one operation. Raises
        `OperationInTheWay` and `ControlStoreUnavailable`.
        """

    def check(self) -> None:
        """Raise `DutyLost` where the duty may go to another process; before what cannot be undone.

        The work is cancelled then anyway, but a machine that was suspended runs on for a moment.
        """


@dataclass(frozen=True)
class Duty:
    """A duty, of one database or of none."""

    name: str
    """Of `a-z`, `0-9` and `-`, starting with a letter, at most 40: `receive-wal`."""

    run: Callable[[DutyRun], Awaitable[None]]
    """Does the work until it is cancelled. What it did before, in whichever process, it finds by
    itself. Cancelled, it ends within a few seconds, or its process is killed: another process is
    about to begin. Where it ends by itself or fails, it is begun anew, elsewhere if possible."""

    database: str = ""
    place: Place = Place.WORKER

    @property
    def key(self) -> DutyKey:
        """What tells it from every other."""
        return DutyKey(self.database, self.name)
