"""The records of operations, workers and schedules."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """How far an operation has come."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self in DONE


_IDS: Final = uuid.UUID("7c1f8a52-0d3e-5b7a-9d55-3f2f4f0f9a10")

DONE: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a stage is done, in `unit` (UCUM: `By`, `{row}`)."""

    done: int
    total: int = 0
    """0: not known."""
    unit: str = ""
    rate: float = 0.0
    """In `unit`/s; 0: not known yet."""

    @property
    def remaining_s(self) -> float | None:
        """How long the rest will take at this rate, in seconds; None where that is not known."""
        if self.rate <= 0 or self.total <= 0:
            return None
        return max(self.total - self.done, 0) / self.rate


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an operation ended without a result. `code`: a canonical code of gRPC, `ABORTED`."""

    code: str
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    result: str | None = None
    """JSON of the kind's result, where the kind tells more of a failure than a line."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as the control store has it. Times are seconds since 1970."""

    id: str
    kind: str
    database: str
    state: State
    requester: str
    request_id: str
    role: int
    """The role that starting it needed, which cancelling and deleting it need too."""
    request: str
    """JSON of the kind's request."""
    create_time: float
    update_time: float
    start_time: float | None = None
    end_time: float | None = None
    cancel_time: float | None = None
    deadline: float | None = None
    stage: str = ""
    progress: Progress | None = None
    attempt: int = 0
    worker: str = ""
    traceparent: str = ""
    result: str | None = None
    """JSON of the kind's result, once it SUCCEEDED."""
    failure: Failure | None = None
    """Why, once it FAILED or was CANCELLED."""
    revision: int = 0
    """Grows with each change."""

    @property
    def trace_id(self) -> str:
        """The W3C trace id that its spans are part of; empty where there is none."""
        parts = self.traceparent.split("-")
        return parts[1] if len(parts) == 4 else ""


@dataclass(frozen=True, slots=True)
class NewOperation:
    """What is known of an operation when it is asked for."""

    kind: str
    database: str
    requester: str
    request_id: str
    role: int
    request: str
    locks: frozenset[str]
    timeout_s: float | None
    traceparent: str
    origin: str = ""
    """How the requester was proved, or `clock`: the same name proved otherwise is another's."""

    @property
    def id(self) -> str:
        """The id: the same in every process for the same `request_id` and requester."""
        if self.request_id:
            text = "\0".join((self.origin, self.requester, self.kind, self.request_id))
            return f"{self.kind}-{uuid.uuid5(_IDS, text).hex[:20]}"
        return f"{self.kind}-{uuid.uuid4().hex[:20]}"


class WorkerState(StrEnum):
    """Whether a worker is there."""

    ACTIVE = "ACTIVE"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    LOST = "LOST"


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker process as the control store has it. Times are seconds since 1970."""

    id: str
    state: WorkerState
    host: str
    pid: int
    version: str
    start_time: float
    heartbeat_time: float
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DutyInfo:
    """A duty as the control store has it. Times are seconds since 1970."""

    name: str
    """Its resource name."""
    database: str
    """Empty for a duty of none."""
    holder: str
    """The process that holds it; empty: nobody does."""
    token: int
    acquire_time: float | None
    heartbeat_time: float | None
    last_problem: str
    """Why its work last ended by itself."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What starts an operation by the clock. Times are seconds since 1970.

    `id` is unique within its database.
    """

    id: str
    database: str
    kind: str
    request: str
    """JSON of the kind's request."""
    cron: str
    time_zone: str
    paused: bool = False
    next_time: float | None = None
    last_time: float | None = None
    last_operation: str = ""
    last_problem: str = ""

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"databases/{self.database}/schedules/{self.id}"


class Comparison(StrEnum):
    """How a condition compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a list's filter.

    `field` is `done` (value: bool), `database`, `kind`, `state`, `requester` (str; = and !=
    only), or `create_time` (float, seconds since 1970; all but !=).
    """

    field: str
    comparison: Comparison
    value: str | float | bool
