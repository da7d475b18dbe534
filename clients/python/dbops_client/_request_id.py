"""What makes a call that changes something safe to send twice."""

from uuid import uuid4


def request_id_or_new(request_id: str | None) -> str:
    """Return the caller's id of a request, or a new one.

    It is made once a call and is part of the request: every try of the call carries the same.
    """
    return str(uuid4()) if request_id is None else request_id
