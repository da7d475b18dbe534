"""Who is calling."""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """What a caller may do; each includes the ones before it. The numbers are the contract's."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as proved, and what they may do.

    `name` reaches the audit log, spans and `OperationMetadata.requester`. `role` is what they may
    do to every database, None: nothing; `database_roles` goes over it for single databases.
    """

    name: str
    role: Role | None
    database_roles: tuple[tuple[str, Role], ...] = ()
    method: str = ""
    """How they proved it: `token`, `jwt`, `certificate`, or `` where nothing is asked for."""

    def may(self, role: Role, database: str | None) -> bool:
        """Whether they may do what needs `role`, to `database` or, None, to none in particular."""
        held = dict(self.database_roles).get(database, self.role) if database else self.role
        return held is not None and held >= role

    def may_somewhere(self, role: Role) -> bool:
        """Whether there is a database to which they may do what needs `role`."""
        held = (self.role, *(role for _, role in self.database_roles))
        return any(each is not None and each >= role for each in held)


# The caller where no authentication is configured: everything is allowed, on loopback.
ANONYMOUS = Caller(name="anonymous", role=Role.ADMIN)

# The caller while it is not known who calls, and where nobody is asked who they are.
NOBODY = Caller(name="", role=None)

current_caller: ContextVar[Caller] = ContextVar("current_caller", default=ANONYMOUS)
"""The caller of the call that is running, set once it is authenticated."""
