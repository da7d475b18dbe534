"""Who may see and change which operation.

An operation's name does not tell its database, so the interceptor that asks for the method's role
can do so only in general; what is asked for here is the role for the operation's own database.
"""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.operations.errors import OperationNotFound
from dbopsd.operations.record import Operation
from dbopsd.operations.service import Operations
from dbopsd.rpc.operation_encode import operation_id
from dbopsd.security import authorisation
from dbopsd.security.caller import Caller, Role, current_caller
from dbopsd.security.errors import RoleMissing


@dataclass(eq=False)
class OperationHidden(RoleMissing):
    """The operation is of a database that the caller may not see, or there is none.

    Which of the two is not said: whoever may not see it must not learn that it is there.
    """

    reason: ClassVar[str] = "OPERATION_HIDDEN"

    operation: str = ""

    @property
    def message(self) -> str:
        return (
            f"'{self.caller}' lacks the role {self.role} on the database of "
            f"operations/{self.operation}, or there is no such operation, or not any longer"
        )

    @property
    def metadata(self) -> dict[str, str]:
        return {"role": self.role, "operation": f"operations/{self.operation}"}


def require(role: Role, database: str) -> Caller:
    """Return the caller if it has `role` on the database; otherwise raise `RoleMissing`."""
    caller = current_caller.get()
    authorisation.require(caller, role, database)
    return caller


def visible_databases() -> frozenset[str] | None:
    """The databases whose operations the caller may see; None: all of them."""
    caller = current_caller.get()
    if caller.may(Role.VIEWER, None):
        return None
    return frozenset(name for name, _ in caller.database_roles if caller.may(Role.VIEWER, name))


async def find(operations: Operations, name: str) -> Operation:
    """The operation of that resource name, which the caller may see.

    Raises `InvalidField`, `OperationNotFound` and `OperationHidden`. To a caller who may not see
    those of every database, one that is not there looks like one that they may not see (AIP-211).
    """
    wanted = operation_id(name)
    caller = current_caller.get()
    try:
        operation = await operations.get(wanted)
    except OperationNotFound:
        if caller.may(Role.VIEWER, None):
            raise
        raise OperationHidden(caller.name, Role.VIEWER.name, operation=wanted) from None
    if not caller.may(Role.VIEWER, operation.database):
        raise OperationHidden(caller.name, Role.VIEWER.name, operation=wanted)
    return operation


async def find_to_end(operations: Operations, name: str) -> Operation:
    """The operation of that resource name, which the caller may cancel and delete.

    That takes the role that starting it took, and OPERATOR at least. Raises what `find` and
    `require` do.
    """
    operation = await find(operations, name)
    # Of a later version's role, which is above all that are known here, nobody is sure to have it.
    role = Role(min(max(operation.role, Role.OPERATOR), Role.ADMIN))
    require(role, operation.database)
    return operation
