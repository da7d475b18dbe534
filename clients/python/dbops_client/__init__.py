"""Typed clients for dbopsd, synchronous and asyncio.

A client has a sub-client for each resource: `client.health`, `client.imports` and so on. Methods
return messages of the generated package `dbops.v1`; a call that fails raises DbopsError.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbops_client._async.client import AsyncDbopsClient
    from dbops_client._async.operations import AsyncOperation
    from dbops_client._errors import (
        AbortedError,
        AlreadyExistsError,
        CallCancelledError,
        ConfigurationError,
        DataLossError,
        DbopsError,
        DeadlineExceededError,
        FailedPreconditionError,
        InternalError,
        InvalidArgumentError,
        NotFoundError,
        OutOfRangeError,
        PermissionDeniedError,
        ResourceExhaustedError,
        UnauthenticatedError,
        UnavailableError,
        UnimplementedError,
        UnknownError,
    )
    from dbops_client._metadata import Metadata, Token
    from dbops_client._sync.client import DbopsClient
    from dbops_client._sync.operations import Operation
    from dbops_client._watch import AsyncWatch, Watch

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "AsyncDbopsClient",
    "AsyncOperation",
    "AsyncWatch",
    "CallCancelledError",
    "ConfigurationError",
    "DataLossError",
    "DbopsClient",
    "DbopsError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "Metadata",
    "NotFoundError",
    "Operation",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "Token",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "Watch",
]

# Where the public names are, in the order in which they are searched.
_MODULES = (
    "_errors",
    "_metadata",
    "_watch",
    "_sync.client",
    "_sync.operations",
    "_async.client",
    "_async.operations",
)


def __getattr__(name: str) -> Any:
    """Import a public name on its first use.

    gRPC reads its environment when it is imported. The `dbops` command has to set it before that,
    and cannot import its own package without this module.
    """
    if name in __all__:
        for module in _MODULES:
            found = getattr(import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
