"""What can be wrong with metrics."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class MetricsOff(DbopsError):
    """Nothing is sampled, as configured."""

    reason: ClassVar[str] = "METRICS_OFF"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    @property
    def message(self) -> str:
        return "databases are not sampled: metrics.enabled is false"


@dataclass(eq=False)
class CollectorInvalid(DbopsError):
    """A collector's file does not declare what it measures as it must."""

    reason: ClassVar[str] = "COLLECTOR_INVALID"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    file: str
    why: str

    @property
    def message(self) -> str:
        return f"the collector {self.file}: {self.why}"


@dataclass(eq=False)
class CollectorMismatch(DbopsError):
    """A collector's rows are not what it declares."""

    reason: ClassVar[str] = "COLLECTOR_MISMATCH"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    collector: str
    why: str

    @property
    def message(self) -> str:
        return f"the collector '{self.collector}': {self.why}"


@dataclass(eq=False)
class HistoryDamaged(DbopsError):
    """A part of the history cannot be read."""

    reason: ClassVar[str] = "HISTORY_DAMAGED"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    why: str

    @property
    def message(self) -> str:
        return f"a part of the history of metrics is damaged: {self.why}"


@dataclass(eq=False)
class ExpressionInvalid(DbopsError):
    """An expression of a rule is no PromQL, or uses what is not supported."""

    reason: ClassVar[str] = "EXPRESSION_INVALID"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    expression: str
    why: str

    @property
    def message(self) -> str:
        return f"the expression '{self.expression}' cannot be used: {self.why}"


@dataclass(eq=False)
class ExpressionFailed(DbopsError):
    """An expression cannot be evaluated on the samples that are there."""

    reason: ClassVar[str] = "EXPRESSION_FAILED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    expression: str
    why: str

    @property
    def message(self) -> str:
        return f"the expression '{self.expression}' failed: {self.why}"


@dataclass(eq=False)
class RuleInvalid(DbopsError):
    """A rule of alerts cannot be used; the daemon does not start (exit 2)."""

    reason: ClassVar[str] = "ALERT_RULE_INVALID"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    where: str
    why: str

    @property
    def message(self) -> str:
        return " ".join(f"the alert rule {self.where}: {self.why}".split())


@dataclass(eq=False)
class ChannelInvalid(DbopsError):
    """A channel of alerts cannot be used; the daemon does not start (exit 2)."""

    reason: ClassVar[str] = "ALERT_CHANNEL_INVALID"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    channel: str
    why: str

    @property
    def message(self) -> str:
        return f"alerts.channels.{self.channel}: {self.why}"


@dataclass(eq=False)
class AlertsOff(DbopsError):
    """No rules are evaluated."""

    reason: ClassVar[str] = "ALERTS_OFF"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    @property
    def message(self) -> str:
        return "no alerts are judged: alerts.enabled or metrics.enabled is false"


@dataclass(eq=False)
class SilenceNotFound(DbopsError):
    """No silence of that name is in force."""

    reason: ClassVar[str] = "SILENCE_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    silence: str

    @property
    def message(self) -> str:
        return (
            f"silences/{self.silence} does not exist, or has ended: 'dbops alerts silences' lists "
            "those that are in force"
        )


@dataclass(eq=False)
class MetricNotFound(DbopsError):
    """Neither a collector nor the history has a metric of that name."""

    reason: ClassVar[str] = "METRIC_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    database: str
    metric: str

    @property
    def message(self) -> str:
        return (
            f"databases/{self.database} has no metric '{self.metric}': "
            f"'dbops metrics list {self.database}' has the names"
        )


@dataclass(eq=False)
class HistoryOff(DbopsError):
    """The configuration says that no history is kept."""

    reason: ClassVar[str] = "HISTORY_OFF"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    @property
    def message(self) -> str:
        return "there is no history of metrics: metrics.history.enabled is false"


@dataclass(eq=False)
class HistoryUnavailable(DbopsError):
    """There is no history, or it cannot be read now."""

    reason: ClassVar[str] = "HISTORY_UNAVAILABLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    why: str

    @property
    def message(self) -> str:
        return f"there is no history of metrics: {self.why}"


@dataclass(eq=False)
class TooManyQuestions(DbopsError):
    """Others ask the same database already, and take long."""

    reason: ClassVar[str] = "TOO_MANY_QUESTIONS"
    code: ClassVar[StatusCode] = StatusCode.RESOURCE_EXHAUSTED

    database: str
    at_once: int

    @property
    def message(self) -> str:
        return (
            f"{self.at_once} callers ask databases/{self.database} already, which is as many as "
            "it is asked by at once: try again in a few seconds"
        )


@dataclass(eq=False)
class SessionNotFound(DbopsError):
    """No session has that process id and start time."""

    reason: ClassVar[str] = "SESSION_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    database: str
    pid: int

    @property
    def message(self) -> str:
        return (
            f"databases/{self.database} has no session with process id {self.pid} that began then: "
            f"it has ended. 'dbops sessions list {self.database}' has those that are there"
        )


@dataclass(eq=False)
class SessionHidden(DbopsError):
    """The role of the DSN may not see when a session began, and so not which one it is."""

    reason: ClassVar[str] = "SESSION_HIDDEN"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    pid: int

    @property
    def message(self) -> str:
        return (
            f"the role of databases/{self.database} may not see when process {self.pid} began: "
            "GRANT pg_read_all_stats TO it, and pg_signal_backend so that it may end sessions"
        )


@dataclass(eq=False)
class SignalDenied(DbopsError):
    """PostgreSQL does not let the role of the DSN signal a session."""

    reason: ClassVar[str] = "SIGNAL_DENIED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    pid: int
    owner: str

    @property
    def message(self) -> str:
        return (
            f"the role of databases/{self.database} may not end process {self.pid} of role "
            f"'{self.owner}': GRANT pg_signal_backend TO it, unless '{self.owner}' is a superuser, "
            "whose sessions superusers alone may end"
        )


@dataclass(eq=False)
class SessionProtected(DbopsError):
    """A process that is not ended: of the server, or of dbopsd itself. `whose` says which."""

    reason: ClassVar[str] = "SESSION_PROTECTED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    database: str
    pid: int
    whose: str

    @property
    def message(self) -> str:
        return (
            f"process {self.pid} of databases/{self.database} is {self.whose}: it is left alone. "
            "'dbops operations cancel' ends what dbopsd does"
        )


@dataclass(eq=False)
class SessionNotSignalled(DbopsError):
    """The server did not send the signal."""

    reason: ClassVar[str] = "SESSION_NOT_SIGNALLED"
    code: ClassVar[StatusCode] = StatusCode.ABORTED

    database: str
    pid: int

    @property
    def message(self) -> str:
        return (
            f"the server of databases/{self.database} could not signal process {self.pid}: "
            "it has probably ended just now"
        )


@dataclass(eq=False)
class SourceNotApplicable(DbopsError):
    """A source has nothing to measure here."""

    reason: ClassVar[str] = "SERVER_ELSEWHERE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    why: str

    @property
    def message(self) -> str:
        return self.why


@dataclass(eq=False)
class AnswerTooLarge(DbopsError):
    """A user's collector answers more than it may."""

    reason: ClassVar[str] = "ANSWER_TOO_LARGE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    collector: str
    what: str

    @property
    def message(self) -> str:
        return (
            f"the collector '{self.collector}' answers {self.what}: sum up what is not needed "
            "apart, or raise metrics.collectors_max_rows or metrics.collectors_max_size"
        )


@dataclass(eq=False)
class UserRoleRefused(DbopsError):
    """Users' collectors do not run as a role that can do harm."""

    reason: ClassVar[str] = "ROLE_REFUSED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    role: str
    why: str

    @property
    def message(self) -> str:
        return (
            f"your own collectors do not run as the role '{self.role}': {self.why}. "
            "Set metrics.role to one that may read what they need, and no more"
        )
