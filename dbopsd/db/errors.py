"""What can go wrong with a database, by SQLSTATE, and the one place that translates the driver.

Appendix A of PostgreSQL's manual lists the SQLSTATEs. A message holds the server's primary text
only, for details and hints may quote rows; of a sensitive statement not even that.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import psycopg

from dbopsd.errors import DbopsError, StatusCode

_MOST_CHARS: Final = 2_000
"""Of what a server says of a failure."""


@dataclass(eq=False)
class DatabaseError(DbopsError):
    """Something about `database` failed; the base of all that this module raises."""

    reason: ClassVar[str] = "DATABASE_ERROR"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE
    # Whether the same work may succeed if it is simply done again, and whether it is certain
    # that the failed attempt left nothing behind.
    transient: ClassVar[bool] = False
    left_nothing: ClassVar[bool] = True

    database: str


@dataclass(eq=False)
class StatementFailed(DatabaseError):
    """The server refused or gave up a statement. `sqlstate` says why, `cause` in its own words."""

    reason: ClassVar[str] = "STATEMENT_FAILED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    statement: str
    sqlstate: str
    cause: str

    @property
    def message(self) -> str:
        return f"'{self.statement}' failed on database '{self.database}': {self.cause}"


@dataclass(eq=False)
class SerializationFailure(StatementFailed):
    """Concurrent transactions could not be ordered (40001). Run the transaction again."""

    reason: ClassVar[str] = "SERIALIZATION_FAILURE"
    code: ClassVar[StatusCode] = StatusCode.ABORTED
    transient: ClassVar[bool] = True


@dataclass(eq=False)
class DeadlockDetected(StatementFailed):
    """The server ended this transaction to break a deadlock (40P01). Run it again."""

    reason: ClassVar[str] = "DEADLOCK_DETECTED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED
    transient: ClassVar[bool] = True


@dataclass(eq=False)
class LockTimeout(StatementFailed):
    """A lock was not had within `lock_timeout`, or at once with NOWAIT (55P03)."""

    reason: ClassVar[str] = "LOCK_TIMEOUT"
    code: ClassVar[StatusCode] = StatusCode.ABORTED


@dataclass(eq=False)
class QueryCanceled(StatementFailed):
    """The statement was ended by `statement_timeout` or on somebody's request (57014)."""

    reason: ClassVar[str] = "QUERY_CANCELED"
    code: ClassVar[StatusCode] = StatusCode.DEADLINE_EXCEEDED


@dataclass(eq=False)
class ConstraintViolation(StatementFailed):
    """A row breaks a constraint (class 23)."""

    reason: ClassVar[str] = "CONSTRAINT_VIOLATION"


@dataclass(eq=False)
class UniqueViolation(ConstraintViolation):
    """A row with that key is there already (23505)."""

    reason: ClassVar[str] = "UNIQUE_VIOLATION"


@dataclass(eq=False)
class InvalidData(StatementFailed):
    """A value does not fit its type (class 22)."""

    reason: ClassVar[str] = "INVALID_DATA"


@dataclass(eq=False)
class PermissionMissing(StatementFailed):
    """The database role may not do this (42501)."""

    reason: ClassVar[str] = "PERMISSION_MISSING"


@dataclass(eq=False)
class InvalidStatement(StatementFailed):
    """The statement is wrong, or names something that is not there (class 42)."""

    reason: ClassVar[str] = "INVALID_STATEMENT"


@dataclass(eq=False)
class ReadOnlyServer(StatementFailed):
    """A write reached a standby or a read-only transaction (25006)."""

    reason: ClassVar[str] = "READ_ONLY_SERVER"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE
    transient: ClassVar[bool] = True


@dataclass(eq=False)
class ServerResourcesExhausted(StatementFailed):
    """The server is out of disk, memory or connections (class 53)."""

    reason: ClassVar[str] = "SERVER_RESOURCES_EXHAUSTED"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED


@dataclass(eq=False)
class ProgramLimitExceeded(StatementFailed):
    """Something is larger than PostgreSQL's limits allow, such as a row or a key (class 54)."""

    reason: ClassVar[str] = "PROGRAM_LIMIT_EXCEEDED"


@dataclass(eq=False)
class ConnectionLost(StatementFailed):
    """The connection ended under the statement: whether it took effect is not known."""

    reason: ClassVar[str] = "CONNECTION_LOST"
    code: ClassVar[StatusCode] = StatusCode.UNAVAILABLE
    transient: ClassVar[bool] = True
    left_nothing: ClassVar[bool] = False


@dataclass(eq=False)
class ScriptFailed(StatementFailed):
    """A statement of a script failed, and those after it were not run."""

    reason: ClassVar[str] = "SCRIPT_FAILED"

    error: StatementFailed
    """The error of its own class, such as `LockTimeout` or `ConnectionLost`."""
    statements_done: int
    """How many before it were done. Whether they stay done, their transaction decides."""
    ends_transaction: bool = False
    """Whether one of those ended the transaction, or went back to a savepoint."""
    position: int | None = None
    """Where in the text, in characters from 1; None: the server does not say."""
    detail: str = ""
    """In the server's words. May quote rows."""
    hint: str = ""
    condition: str = ""
    """PostgreSQL's name of the SQLSTATE, such as `unique_violation`; empty: it has none."""
    raised: bool = False
    """Whether a function or DO block raised it: its words are its author's, or quote anything."""

    @property
    def metadata(self) -> dict[str, str]:
        return {**self.error.metadata, "statements_done": str(self.statements_done)}


@dataclass(eq=False)
class QueryTimeout(DatabaseError):
    """The server did not answer in time, nor end the statement itself: it hangs, or is cut off."""

    reason: ClassVar[str] = "QUERY_TIMEOUT"
    code: ClassVar[StatusCode] = StatusCode.DEADLINE_EXCEEDED
    left_nothing: ClassVar[bool] = False

    statement: str
    timeout_s: float

    @property
    def message(self) -> str:
        return (
            f"'{self.statement}' got no answer from database '{self.database}' within "
            f"{self.timeout_s:g} s: the connection was closed, and the statement may have taken "
            "effect"
        )


@dataclass(eq=False)
class TransactionNotCommitted(DatabaseError):
    """COMMIT was answered with ROLLBACK: a statement had failed and its error was passed over."""

    reason: ClassVar[str] = "TRANSACTION_NOT_COMMITTED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    @property
    def message(self) -> str:
        return (
            f"the transaction on database '{self.database}' was rolled back instead of committed, "
            "because one of its statements had failed"
        )


@dataclass(eq=False)
class ConnectFailed(DatabaseError):
    """No connection could be made; the reason says at which step it ended."""

    reason: ClassVar[str] = "CONNECT_FAILED"
    transient: ClassVar[bool] = True

    cause: str

    @property
    def message(self) -> str:
        return f"cannot connect to database '{self.database}': {self.cause}"


@dataclass(eq=False)
class NoConnection(ConnectFailed):
    """The pool had no connection to lend in time, because none could be made."""

    reason: ClassVar[str] = "NO_CONNECTION"


@dataclass(eq=False)
class InvalidDsn(ConnectFailed):
    """The configured DSN is not one; no host was asked."""

    reason: ClassVar[str] = "INVALID_DSN"
    transient: ClassVar[bool] = False


@dataclass(eq=False)
class PasswordFileUnreadable(ConnectFailed):
    """The configured `password_file` cannot be read; no host was asked."""

    reason: ClassVar[str] = "PASSWORD_FILE_UNREADABLE"


@dataclass(eq=False)
class HostUnknown(ConnectFailed):
    """The host's name does not resolve."""

    reason: ClassVar[str] = "HOST_UNKNOWN"


@dataclass(eq=False)
class ConnectTimeout(ConnectFailed):
    """The host did not answer in time."""

    reason: ClassVar[str] = "CONNECT_TIMEOUT"


@dataclass(eq=False)
class ConnectionRefused(ConnectFailed):
    """Nothing listens there, or the network does not lead there."""

    reason: ClassVar[str] = "CONNECTION_REFUSED"


@dataclass(eq=False)
class LoginRejected(ConnectFailed):
    """A server answered and refused the session: password, pg_hba.conf, database name, limits."""

    reason: ClassVar[str] = "LOGIN_REJECTED"


@dataclass(eq=False)
class TlsFailed(ConnectFailed):
    """The server offers no TLS where the DSN asks for it, or its certificate does not hold."""

    reason: ClassVar[str] = "TLS_FAILED"


@dataclass(eq=False)
class WritesRefused(DatabaseError):
    """Two hosts of the DSN take writes: nothing is written until only one does.

    `hosts` names them. Not transient: it ends by somebody's hand.
    """

    reason: ClassVar[str] = "WRITES_REFUSED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    hosts: str


@dataclass(eq=False)
class SplitBrain(WritesRefused):
    """Two servers of one cluster take writes, and each has what the other has not."""

    reason: ClassVar[str] = "SPLIT_BRAIN"

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' has two primaries, {self.hosts}: nothing is written until "
            "one is gone; stop the one whose changes you give up, or make it a standby of the "
            "other (pg_rewind, pg_basebackup)"
        )


@dataclass(eq=False)
class DifferentClusters(WritesRefused):
    """The DSN names servers of different clusters, and more than one takes writes."""

    reason: ClassVar[str] = "DIFFERENT_CLUSTERS"

    @property
    def message(self) -> str:
        return (
            f"the dsn of database '{self.database}' names servers of different clusters that "
            f"accept writes, {self.hosts}: nothing is written until it names hosts of only one "
            "cluster"
        )


@dataclass(eq=False)
class PoolExhausted(DatabaseError):
    """No pooled connection became free in time."""

    reason: ClassVar[str] = "POOL_EXHAUSTED"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    timeout_s: float
    max_size: int

    @property
    def message(self) -> str:
        return (
            f"no connection to database '{self.database}' became free within {self.timeout_s:g} s "
            f"(pool of {self.max_size}): look for leaked or long-held connections, "
            "or raise pool.max_size"
        )


@dataclass(eq=False)
class PoolClosed(DatabaseError):
    """The daemon is stopping: its connections are closed."""

    reason: ClassVar[str] = "POOL_CLOSED"

    @property
    def message(self) -> str:
        return f"the connections to database '{self.database}' are closed: the daemon is stopping"


# By exact SQLSTATE first, then by its class (two characters).
_BY_SQLSTATE: dict[str, type[StatementFailed]] = {
    "40001": SerializationFailure,
    "40P01": DeadlockDetected,
    "55P03": LockTimeout,
    "57014": QueryCanceled,
    "57P01": ConnectionLost,  # admin_shutdown: pg_terminate_backend, or a stop
    "57P02": ConnectionLost,  # crash_shutdown: another backend died
    "57P05": ConnectionLost,  # idle_session_timeout
    "25P03": ConnectionLost,  # idle_in_transaction_session_timeout
    "25P04": ConnectionLost,  # transaction_timeout
    "23505": UniqueViolation,
    "25006": ReadOnlyServer,
    "42501": PermissionMissing,
    "08": ConnectionLost,
    "22": InvalidData,
    "23": ConstraintViolation,
    "42": InvalidStatement,
    "53": ServerResourcesExhausted,
    "54": ProgramLimitExceeded,
}


def translate(
    exc: psycopg.Error, *, database: str, statement: str, sensitive: bool = False
) -> DatabaseError:
    """The typed error for what the driver raised while it ran `statement` on `database`.

    The server's words may quote the statement: of a `sensitive` one only the error's name stays.
    """
    sqlstate = exc.sqlstate
    cause = shortened(exc.diag.message_primary or one_line(str(exc)) or type(exc).__name__)
    if sensitive:
        cause = type(exc).__name__
    if sqlstate is None:
        # The driver has no SQLSTATE where no server spoke: the connection broke (Operational,
        # Interface), or the driver itself refused (a parameter that no adapter takes, say).
        broken = isinstance(exc, psycopg.OperationalError | psycopg.InterfaceError)
        kind: type[StatementFailed] = ConnectionLost if broken else StatementFailed
        return kind(database, statement, "", cause)
    kind = _BY_SQLSTATE.get(sqlstate) or _BY_SQLSTATE.get(sqlstate[:2]) or StatementFailed
    return kind(database, statement, sqlstate, cause)


def shortened(text: str) -> str:
    """`text`, or its beginning: who raises an error may say megabytes."""
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]} ... (cut)"


def one_line(text: str) -> str:
    """`text` with its line breaks folded, for a message that must be one line."""
    return " ".join(text.split())
