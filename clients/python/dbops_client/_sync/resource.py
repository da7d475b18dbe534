# Generated from _async/resource.py: change that, and run 'make client'.
"""What sub-clients and operations have in common: lists, and streams that reconnect."""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dbops_client._metadata import Metadata, with_extra
from dbops_client._reconnect import Reconnect
from dbops_client._transport import Transport
from dbops_client._watch import Watch, endless

if TYPE_CHECKING:
    import grpc


class _PageRequest(Protocol):
    page_token: str


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


_Request = TypeVar("_Request", bound=_PageRequest)
_Response = TypeVar("_Response", bound=_Page)
_Item = TypeVar("_Item")


class Resource:
    """Calls the server over the channel of its client."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _list(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        items: Callable[[_Response], Iterable[_Item]],
        timeout_s: float | None,
        metadata: Metadata,
    ) -> Iterator[_Item]:
        """Iterate over the `items` of all pages. Each page is fetched when it is reached."""
        # Every page sends it, and an iterator would be empty by the second.
        metadata = tuple(metadata)
        while True:
            page = self._transport.call(method, request, timeout_s, metadata)
            for item in items(page):
                yield item
            if not page.next_page_token:
                return
            request = deepcopy(request)  # the one that was sent stays as it was
            request.page_token = page.next_page_token

    def _watch(
        self,
        open_call: Callable[[Any], Any],
        decode: Callable[[Any], _Item],
        reconnect_for_s: float,
        timeout_s: float | None,
        metadata: Metadata,
        *,
        is_last: Callable[[_Item], bool] = endless,
    ) -> Watch[_Item]:
        """Return a watch. `open_call` opens its stream, with the metadata that it is given."""
        extra = with_extra((), metadata)  # raises now what is wrong with it, not when it begins
        return Watch(
            lambda: open_call(self._transport.sent(extra)),
            decode,
            timeout_s=self._transport.deadline(timeout_s),
            reconnect=Reconnect(reconnect_for_s),
            is_last=is_last,
        )
