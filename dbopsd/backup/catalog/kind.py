"""The kinds and states of backups."""

from enum import Enum


class BackupKind(Enum):
    """What a backup holds."""

    FULL = "FULL"
    """Every file of the cluster."""
    INCREMENTAL = "INCREMENTAL"
    """The blocks that changed since its parent."""
    LOGICAL = "LOGICAL"
    """A dump of one PostgreSQL database, or of some of its tables; perhaps without their rows."""


class BackupState(Enum):
    """Whether a backup can be restored, as far as is known."""

    COMPLETE = "COMPLETE"
    EXPIRED = "EXPIRED"
    """Retention removes it when its grace is over; nothing new begins with it."""
    BROKEN = "BROKEN"
    """Its last verification found damage, its commit record is damaged, or its parent is gone."""
