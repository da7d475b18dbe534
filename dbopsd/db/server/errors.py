"""What can go wrong when dbopsd runs a PostgreSQL server of its own.

Paths, account names and log lines stand in these errors; passwords never do.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode

# Servers log in English (lc_messages is C), and so do their programs under LC_ALL=C.
_COMPLAINT = re.compile(r"(\b(PANIC|FATAL|ERROR)|\berror):\s")


@dataclass(eq=False)
class EmbeddedServerUnavailable(DbopsError):
    """No embedded PostgreSQL is installed beside dbopsd."""

    reason: ClassVar[str] = "EMBEDDED_SERVER_UNAVAILABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    problem: str

    @property
    def message(self) -> str:
        return (
            f"there is no embedded PostgreSQL ({self.problem}): "
            "install dbopsd[embedded], or configure [databases.NAME]"
        )


@dataclass(eq=False)
class InstallationUnusable(DbopsError):
    """A directory of PostgreSQL programs lacks a program, or its programs do not run."""

    reason: ClassVar[str] = "POSTGRES_INSTALLATION_UNUSABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    bin_dir: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"the PostgreSQL programs in {self.bin_dir} cannot be used: {self.problem}; "
            "install them anew, or name another directory"
        )


@dataclass(eq=False)
class ServerAccountUnavailable(DbopsError):
    """There is no system account that the server could run as."""

    reason: ClassVar[str] = "SERVER_ACCOUNT_UNAVAILABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    account: str
    problem: str

    @property
    def message(self) -> str:
        return (
            f"PostgreSQL needs a system account that is not root, and '{self.account}' cannot be "
            f"used: {self.problem}; create a system account 'postgres', "
            "or start dbopsd as an ordinary one"
        )


@dataclass(eq=False)
class StateDirectoryInUse(DbopsError):
    """Another process already runs the server of this directory."""

    reason: ClassVar[str] = "STATE_DIRECTORY_IN_USE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    directory: str
    holder_pid: int | None

    @property
    def message(self) -> str:
        holder = "another process" if self.holder_pid is None else f"process {self.holder_pid}"
        return (
            f"{self.directory} is in use by {holder}: stop that one, "
            "or choose another [server] state_dir"
        )


@dataclass(eq=False)
class StateDirectoryUnreachable(DbopsError):
    """The server's account may not search a directory above the state directory."""

    reason: ClassVar[str] = "STATE_DIRECTORY_UNREACHABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    directory: str
    barrier: str
    account: str

    @property
    def message(self) -> str:
        return (
            f"account '{self.account}', which PostgreSQL runs as, cannot enter {self.barrier} and "
            f"so cannot reach {self.directory}: choose another [server] state_dir, such as "
            f"/var/lib/dbopsd, or let that account search {self.barrier}"
        )


@dataclass(eq=False)
class StateDirectoryUnusable(DbopsError):
    """The state directory cannot be made or is not ours."""

    reason: ClassVar[str] = "STATE_DIRECTORY_UNUSABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    directory: str
    problem: str

    @property
    def message(self) -> str:
        return f"{self.directory} cannot be used: {self.problem}; choose another [server] state_dir"


@dataclass(eq=False)
class DataDirectoryUnusable(DbopsError):
    """The data directory exists and this server must not be started on it."""

    reason: ClassVar[str] = "DATA_DIRECTORY_UNUSABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    directory: str
    problem: str
    remedy: str

    @property
    def message(self) -> str:
        return f"the data directory {self.directory} cannot be used: {self.problem}; {self.remedy}"


@dataclass(eq=False)
class ServerInitialisationFailed(DbopsError):
    """A new data directory could not be made; nothing of it was kept."""

    reason: ClassVar[str] = "SERVER_INITIALISATION_FAILED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    directory: str
    program: str
    exit_status: int
    output: str

    @property
    def message(self) -> str:
        return (
            f"{self.program} could not make the data directory {self.directory} "
            f"(exit status {self.exit_status}): {one_line(self.output) or 'it said nothing'}"
        )


@dataclass(eq=False)
class ServerStartFailed(DbopsError):
    """The server ended before it took connections, or was not ready in time.

    `exit_status` is None when the deadline passed; a negative number is the signal that ended the
    server. `log_tail` is the end of what this start wrote to `log_path`.
    """

    reason: ClassVar[str] = "SERVER_START_FAILED"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    directory: str
    exit_status: int | None
    waited_s: float
    log_path: str
    log_tail: str

    @property
    def message(self) -> str:
        what = (
            f"was not ready after {self.waited_s:.0f} s"
            if self.exit_status is None
            else f"ended with status {self.exit_status} before it was ready"
        )
        return (
            f"the PostgreSQL server in {self.directory} {what}: "
            f"{one_line(self.log_tail) or 'its log is empty'} (see {self.log_path})"
        )


@dataclass(eq=False)
class ServerExited(DbopsError):
    """A server that had been ready ended without having been asked to."""

    reason: ClassVar[str] = "SERVER_EXITED"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE

    directory: str
    exit_status: int
    log_path: str
    log_tail: str

    @property
    def message(self) -> str:
        return (
            f"the PostgreSQL server in {self.directory} ended with status {self.exit_status}: "
            f"{one_line(self.log_tail) or 'its log is empty'} (see {self.log_path})"
        )


def one_line(text: str, *, lines: int = 3) -> str:
    """The lines that tell why, joined: from the last complaint on, else the last ones."""
    wanted = [line.strip() for line in text.splitlines() if line.strip()]
    complaints = [number for number, line in enumerate(wanted) if _COMPLAINT.search(line)]
    start = complaints[-1] if complaints else max(0, len(wanted) - lines)
    return " / ".join(wanted[start : start + lines])
