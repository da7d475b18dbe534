"""A failed call as one line for people: what happened, why, and what to do."""

from dbops_client._errors import (
    AbortedError,
    DbopsError,
    DeadlineExceededError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from dbops_client.cli.session import Settings

_SAID_BY_THE_SERVER = frozenset({"DATABASE_NOT_FOUND", "OPERATION_NOT_FOUND", "SCHEDULE_NOT_FOUND"})


def explain(error: DbopsError, settings: Settings) -> str:
    """Return the line for `error`. It names the server and never holds the token."""
    server = settings.server
    match error:
        # Without a reason it is gRPC that speaks: nobody who knows dbopsd's errors was reached.
        case UnavailableError(reason=""):
            return (
                f"cannot reach dbopsd at {server}: {error.message}. "
                "Is it running there? Another address is given with --server or DBOPS_SERVER, "
                "TLS with --ca or an https:// address"
            )
        case UnavailableError():
            return f"dbopsd at {server} cannot answer now: {error}. Try again later"
        case DeadlineExceededError():
            return (
                f"dbopsd at {server} did not answer within {settings.timeout_s:g} s. "
                "Look at the daemon there, or give it longer with --timeout"
            )
        case UnauthenticatedError():
            return (
                f"dbopsd at {server} does not know you: {error}. Give a token in DBOPS_TOKEN "
                "(or --token-file), or a client certificate with --cert and --key"
            )
        case PermissionDeniedError():
            return (
                f"dbopsd at {server} refused: {error}. "
                "Use a token (DBOPS_TOKEN) or certificate with the role that this needs"
            )
        case AbortedError(reason="OPERATION_IN_THE_WAY"):
            name = error.metadata.get("operation", "NAME")
            return (
                f"dbopsd at {server} refused: {error}. "
                f"'dbops operations watch {name}' shows how far that one is"
            )
        case NotFoundError() if error.reason in _SAID_BY_THE_SERVER:
            # The server's message says already what to do.
            return error.message
        case UnimplementedError():
            return (
                f"the server at {server} does not know this call: {error}. "
                "It is older than this command, or not dbopsd"
            )
        case _:
            return f"dbopsd at {server} refused: {error}"
