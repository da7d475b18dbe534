"""Which connections a listener keeps when more are opened than it has room for.

A connection costs a descriptor, and opening one needs no credential. When a listener fills up, the
ones that are used least are closed, so that a new one always gets in: a health check, say.

There are three groups: connections over which no call has been admitted yet, those whose callers
showed no credential, and those whose callers showed one. The first two may each fill a fifth of
the listener before any of the next group is closed, so that neither keeps the others out. Within
a group, the network with most connections loses first, and of its connections the one that has
been unused for longest.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from dbopsd.security.addresses import network_of

Peer = tuple[str, int]
"""The address and the port of the other side."""

# Finding what to close takes a look at all of them: it is done once for some at a time.
_KEPT: Final = 0.95
_SHARE: Final = 0.2


class Standing(IntEnum):
    """What a connection has been used for."""

    UNUSED = 0
    ANONYMOUS = 1
    AUTHENTICATED = 2


@dataclass(slots=True)
class _Connection:
    network: str
    used_at: float
    standing: Standing = Standing.UNUSED
    running: int = 0


class Connections:
    """The open connections of one listener, `most` of them. `clock`: seconds from any moment on.

    Not safe for threads: everything is called in the event loop.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._open: dict[Peer, _Connection] = {}

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, peer: Peer) -> None:
        """Count a connection."""
        self._open.setdefault(peer, _Connection(network_of(peer[0]), self._clock()))

    def sync(self, present: Iterable[Peer]) -> None:
        """Take `present` for all that are open."""
        known, self._open = self._open, {}
        for peer in present:
            connection = known.get(peer)
            if connection is None:
                self.opened(peer)
            else:
                self._open[peer] = connection

    @contextmanager
    def call(self, peer: Peer, standing: Standing) -> Iterator[None]:
        """Count a call that was let in over the connection, for as long as it runs."""
        connection = self._open.get(peer)
        if connection is None:
            self.opened(peer)
            connection = self._open[peer]
        connection.standing = max(connection.standing, standing)
        connection.running += 1
        try:
            yield
        finally:
            connection.running -= 1
            connection.used_at = self._clock()

    def surplus(self) -> list[Peer]:
        """The connections to close now; they are forgotten. None while there are at most `most`.

        Never one over which a caller with a credential has a call running.
        """
        if len(self._open) <= self.most:
            return []
        excess = len(self._open) - int(self.most * _KEPT)
        chosen: list[Peer] = []
        spared = int(self.most * _SHARE)
        for standing, running, floor in (
            (Standing.UNUSED, False, spared),
            (Standing.ANONYMOUS, False, spared),
            (Standing.ANONYMOUS, True, spared),
            (Standing.AUTHENTICATED, False, 0),
            (Standing.UNUSED, False, 0),
            (Standing.ANONYMOUS, False, 0),
            (Standing.ANONYMOUS, True, 0),
        ):
            group = sum(each.standing is standing for each in self._open.values())
            count = min(excess - len(chosen), group - floor)
            if count <= 0:
                continue
            found = {
                peer: each
                for peer, each in self._open.items()
                if each.standing is standing and bool(each.running) is running
            }
            for peer in _least_used(found, count):
                chosen.append(peer)
                del self._open[peer]
        return chosen


def _least_used(connections: Mapping[Peer, _Connection], count: int) -> list[Peer]:
    """`count` of the connections: of the largest networks, what was unused for longest."""
    sizes = Counter(each.network for each in connections.values())
    allowed = _level(sorted(sizes.values()), max(0, len(connections) - count))
    over = Counter({network: max(0, size - allowed) for network, size in sizes.items()})
    chosen: list[Peer] = []
    for peer, each in sorted(connections.items(), key=lambda item: item[1].used_at):
        if len(chosen) == count:
            break
        if over[each.network] > 0:
            over[each.network] -= 1
            chosen.append(peer)
    return chosen


def _level(sizes: list[int], left: int) -> int:
    """To how many each network is cut, so that at most `left` remain; `sizes` are ascending."""
    for index, size in enumerate(sizes):
        share = left // (len(sizes) - index)
        if size >= share:
            return share
        left -= size
    return 0
