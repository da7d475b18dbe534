"""The id of a request, which makes a call that changes something safe to repeat."""

from uuid import uuid4


def request_id_or_new(request_id: str | None) -> str:
    """Return the caller's id of a request, or a new one.

    It is part of the request, so that every try of the call sends the same one.
    """
    return str(uuid4()) if request_id is None else request_id
