"""What a line of the audit log may say.

Only names, ids and outcomes: no field holds free text of a request, so none can hold a secret; but
for the reasons to apply migrations in spite of what their check found, and to record what nobody
ran, which are given for this log.
"""

import time
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self, TypeAlias

Value: TypeAlias = str | int | bool | dict[str, str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as RFC 3339, in UTC to the microsecond."""
    moment = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def now() -> str:
    """The present as a record has it."""
    return timestamp(time.time_ns())


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The base of every record. `time`: when what it tells happened, see `timestamp`."""

    event: ClassVar[str]

    time: str

    def body(self) -> dict[str, Value]:
        """What stands in the line between its sequence number and its hashes."""
        body: dict[str, Value] = {"time": self.time, "event": self.event}
        for field in fields(self):
            value = getattr(self, field.name)
            body[field.name] = dict(value) if isinstance(value, tuple) else value
        return body


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Record):
    """A call that is about to be let through."""

    event: ClassVar[str] = "call"

    call: str
    """Joins the records of one call; made anew for each."""

    caller: str
    """The name that the caller proved; empty where nothing was proved."""

    authenticated: str
    """How it was proved: `token`, `jwt`, `certificate`; empty where nothing was."""

    peer: str
    """The address that the call came from, as far as the daemon can see."""

    method: str
    """The full name, `package.Service/Method`."""

    resource: tuple[tuple[str, str], ...]
    """What it is about: each field of the request that holds a resource name, with that name."""

    request_id: str
    validate_only: bool
    trace_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Result(Call):
    """How a call ended that was let through."""

    event: ClassVar[str] = "result"

    status: str
    """The name of the status code, such as `OK` or `ABORTED`."""

    reason: str
    """The reason of the error, such as `OPERATION_IN_THE_WAY`; empty where there was none."""

    operation: str
    """The long-running operation that the call started, `operations/…`; empty without one."""

    @classmethod
    def of(cls, call: Call, *, status: str, reason: str, operation: str) -> Self:
        """How `call`, made anew at its end, ended: its time is the end's."""
        return cls(
            time=call.time,
            call=call.call,
            caller=call.caller,
            authenticated=call.authenticated,
            peer=call.peer,
            method=call.method,
            resource=call.resource,
            request_id=call.request_id,
            validate_only=call.validate_only,
            trace_id=call.trace_id,
            status=status,
            reason=reason,
            operation=operation,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused(Result):
    """A call that was not let through, and why."""

    event: ClassVar[str] = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Header(Record):
    """The first record of a file; its `previous` is the hash of the last one of the file before."""

    event: ClassVar[str] = "header"

    format: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap(Record):
    """Records that could not be written, or were too many of callers that nobody knows.

    It says how many results and refusals are missing here.
    """

    event: ClassVar[str] = "gap"

    results: int
    refused: int
    since: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovered(Record):
    """A line that a crash had left half-written, and that nobody was told of, was cut off."""

    event: ClassVar[str] = "recovered"

    torn_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Retired(Record):
    """The oldest files, up to record `through` with its hash, were removed as configured."""

    event: ClassVar[str] = "retired"

    files: int
    through: int
    through_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Break(Record):
    """The log was found to be other than it was left; what follows goes on from there."""

    event: ClassVar[str] = "break"

    problem: str
    anchored: int
    """The number of the last record that the anchor vouched for."""

    found: int
    """The number of the last record that was there."""
