"""What the control store keeps of alerts. Times are in seconds since 1970."""

from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Silence:
    """Who silenced what, until when and why.

    `rule` is `*` for every rule, `database` empty for every database; each of `labels` must match.
    """

    id: str
    rule: str
    database: str
    labels: Labels
    end: float
    comment: str
    creator: str
    created: float = 0.0
    """By the store's clock."""

    def same_request(self, other: "Silence") -> bool:
        """Whether both ask for the same."""
        return (
            (self.rule, self.database, self.labels, self.comment)
            == (other.rule, other.database, other.labels, other.comment)
        ) and abs(self.end - other.end) < 1e-3


@dataclass(frozen=True, slots=True)
class Notice:
    """What a channel was told of an alert that fires: that it does."""

    channel: str
    alert_key: str
    database: str
    rule: str
    notified: float
    """When a message about it was last put into the outbox."""

    alert: str
    """The alert as JSON, for the message that it is over."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in the outbox of a channel."""

    id: int
    channel: str
    title: str
    body: str
    severity: str
    """`info`, `warning`, `critical`, or `resolved`."""

    alert_keys: tuple[str, ...]
    created: float
    attempts: int = 0
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be put into the outbox, and what the channel knows after it."""

    channel: str
    title: str
    body: str
    severity: str
    alert_keys: tuple[str, ...]
    told: tuple[Notice, ...] = ()
    """The alerts of which the channel now knows that they fire."""

    over: tuple[str, ...] = ()
    """The keys of the alerts of which it now knows that they are over."""
