"""Something kept for each network that calls, for so many of them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from dbopsd.security.addresses import network_of

T = TypeVar("T")

_MOST_NETWORKS: Final = 1024


class NetworkTable(Generic[T]):
    """An entry of each network, made by `make` when it is first asked for.

    Where the table is full, the entry that was unused for longest gives way if it `is_stale`: a new
    one would be the same. If it is not, the networks that have no entry yet share one.
    """

    def __init__(self, make: Callable[[], T], is_stale: Callable[[T], bool]) -> None:
        self._make = make
        self._is_stale = is_stale
        # The one that was used last is last.
        self._entries: OrderedDict[str, T] = OrderedDict()
        self._others = make()

    def of(self, address: str) -> T:
        """The entry of the network of `address`, which is used now."""
        network = network_of(address)
        entry = self._entries.get(network)
        if entry is not None:
            self._entries.move_to_end(network)
            return entry
        if len(self._entries) >= _MOST_NETWORKS:
            oldest = next(iter(self._entries))
            if not self._is_stale(self._entries[oldest]):
                return self._others
            del self._entries[oldest]
        entry = self._entries[network] = self._make()
        return entry
