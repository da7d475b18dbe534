"""The line that the command prints for a failed call: what happened, why, and what to do."""

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

_SAYS_WHAT_TO_DO = frozenset({"DATABASE_NOT_FOUND", "OPERATION_NOT_FOUND", "SCHEDULE_NOT_FOUND"})


def explain(error: DbopsError, settings: Settings) -> str:
    """Return the line for `error`. It names the server, and never holds the token."""
    server = settings.server
    match error:
        # An error without a reason is gRPC's own: the call did not reach dbopsd.
        case UnavailableError(reason=""):
            return (
                f"cannot reach dbopsd at {server}: {error.message}. "
                "Is it running? Set the address with --server or DBOPS_SERVER, and TLS with --ca "
                "or an https:// address"
            )
        case UnavailableError():
            return f"dbopsd at {server} cannot answer now: {error}. Try again later"
        case DeadlineExceededError():
            return (
                f"dbopsd at {server} did not answer within {settings.timeout_s:g} s. "
                "Check the daemon, or wait longer with --timeout"
            )
        case UnauthenticatedError():
            return (
                f"dbopsd at {server} does not know you: {error}. Set a token with DBOPS_TOKEN "
                "or --token-file, or a client certificate with --cert and --key"
            )
        case PermissionDeniedError():
            return (
                f"dbopsd at {server} refused: {error}. "
                "Use a token (DBOPS_TOKEN) or certificate whose role allows it"
            )
        case AbortedError(reason="OPERATION_IN_THE_WAY"):
            name = error.metadata.get("operation", "NAME")
            return (
                f"dbopsd at {server} refused: {error}. "
                f"To watch that operation run 'dbops operations watch {name}'"
            )
        case NotFoundError() if error.reason in _SAYS_WHAT_TO_DO:
            # The server's message already says what to do.
            return error.message
        case UnimplementedError():
            return (
                f"the server at {server} does not know this call: {error}. "
                "It is older than this command, or not dbopsd"
            )
        case _:
            return f"dbopsd at {server} refused: {error}"
