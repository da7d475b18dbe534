"""Whether a caller may do something. `rpc/` and `http/` ask before they call anything else."""

from dbopsd.security.caller import Caller, Role
from dbopsd.security.errors import RoleMissing


def require(caller: Caller, role: Role, database: str | None) -> None:
    """Raise `RoleMissing` unless `caller` may do what needs `role` to `database`.

    None is no database in particular: to change anything the role must be held for all of them, to
    read it is enough to hold it for one, for then the answer is only about what one may see.
    """
    if database is None and role <= Role.VIEWER:
        allowed = caller.may_somewhere(role)
    else:
        allowed = caller.may(role, database)
    if not allowed:
        raise RoleMissing(caller.name, role.name, database or "")
