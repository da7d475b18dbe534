"""Typed clients for dbopsd, synchronous and asyncio.

Methods return the messages of the generated package `dbops.v1`; what fails raises DbopsError.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbops_client._aio import AsyncDbopsClient
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
    from dbops_client._operation import Operation
    from dbops_client._sync import DbopsClient
    from dbops_client._watch import AsyncWatch, Watch

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "AsyncDbopsClient",
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

_HOMES = ("_sync", "_aio", "_watch", "_errors", "_metadata", "_operation")


def __getattr__(name: str) -> Any:
    """Load what is asked for, on first use: gRPC reads its environment when it is imported.

    The `dbops` command has to set it before, and cannot import its own package without this one.
    """
    if name in __all__:
        for home in _HOMES:
            found = getattr(import_module(f"{__name__}.{home}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
