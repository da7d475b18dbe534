"""Watch every host of a cluster and decide whether it may be written to.

libpq takes the first host that accepts writes and asks no other, so a second primary would go
unseen, and so would a standby that is gone. The API process watches all the time; a worker while
it writes, and for a while after.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from dbopsd.db.cluster_view import ClusterView, HostView
from dbopsd.db.dsn import Dsn, Host
from dbopsd.db.errors import WritesRefused
from dbopsd.db.host_probe import HostProbe
from dbopsd.db.spans import DatabaseTelemetry

_log = logging.getLogger(__name__)

# How long whoever wants to write waits for hosts that were never looked at.
_FIRST_LOOK_S: Final = 3.0
# How long the watch goes on after the last write.
_LINGER_S: Final = 30.0
_TICK_S: Final = 0.25
# Two that take writes are seen by the second look at both.
_LOOKS: Final = 2
# Once two hosts took writes, one is gone only when it has not answered for so long.
_LATCH_S: Final = 5.0
_RESOLVE_EVERY_S: Final = 30.0
_RESOLVE_TIMEOUT_S: Final = 1.0

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]


async def resolve_addresses(name: str) -> tuple[str, ...]:
    """The IP addresses of a host's name, in order; none where it cannot be resolved."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(name, None)
    except (OSError, UnicodeError, TimeoutError):
        return ()
    return tuple(sorted({str(address[0]) for *_, address in found}))


class ClusterWatch:
    """The hosts of `dsn`, looked at every `interval_s` seconds while the watch runs.

    That is while somebody holds it, and for `linger_s` seconds after the last write.
    """

    def __init__(
        self,
        dsn: Dsn,
        telemetry: DatabaseTelemetry,
        *,
        interval_s: float,
        connect_timeout_s: int,
        linger_s: float = _LINGER_S,
        resolve: Resolve = resolve_addresses,
    ) -> None:
        self._dsn = dsn
        self._telemetry = telemetry
        self._interval_s = interval_s
        self._connect_timeout_s = connect_timeout_s
        self._linger_s = linger_s
        self._resolve = resolve
        self._probes = {host: self._probe(host) for host in dsn.each_host}
        self._tasks: dict[Host, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._resolved = asyncio.Event()
        self._holders = 0
        self._wanted_until = 0.0
        self._closed = False
        self._refused = False

    def view(self) -> ClusterView:
        """What is known of the hosts now."""
        if self._holders:
            self._want()
        latched_s = _LATCH_S if self._refused else 0.0
        view = ClusterView(self._dsn.database, tuple(self._host_views()), latched_s)
        refusal = view.refusal
        if self._refused != (refusal is not None):
            self._refused = refusal is not None
            if refusal is not None:
                _log.error("%s", refusal)
            else:
                _log.warning("one host of database '%s' takes writes again", self._dsn.database)
        return view

    def _host_views(self) -> Iterator[HostView]:
        for host in self._dsn.each_host:
            views = [probe.view() for each, probe in self._probes.items() if each.is_of(host)]
            if not any(view.expected for view in views):
                # No address of the name has answered yet, but one should.
                views[0] = replace(views[0], expected=True)
            yield from views

    @property
    def watching(self) -> bool:
        """Whether the watch runs."""
        return self._task is not None and not self._task.done()

    def refuse_writes(self) -> None:
        """Raise `WritesRefused` while two hosts take writes, as far as is known now."""
        self._want()
        _refuse(self.view())

    async def admit(self, timeout_s: float = _FIRST_LOOK_S) -> None:
        """Return once it is known that no second host takes writes. Raises `WritesRefused`.

        A host that does not answer in time is taken for one that does not.
        """
        self._want()
        view = self.view()
        if not view.known and not self._closed:
            await self._look(min(timeout_s, _FIRST_LOOK_S))
            view = self.view()
        _refuse(view)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch for the time of the context."""
        self._holders += 1
        self._want()
        try:
            yield
        finally:
            self._holders -= 1

    async def first_look(self, timeout_s: float) -> None:
        """Return once every host was looked at, or after `timeout_s` seconds."""
        if not self.view().known:
            await self._look(timeout_s)

    @asynccontextmanager
    async def guarding(self) -> AsyncIterator[None]:
        """End the body with `WritesRefused` as soon as two hosts take writes.

        All hosts are looked at once more after the body: what it wrote may have gone to a primary
        that another one has replaced meanwhile.
        """
        async with self.running():
            await self.admit()
            task = _current_task()
            cancelling = task.cancelling()
            refused: list[WritesRefused] = []
            watcher = asyncio.create_task(self._cancel_when_refused(task, refused))
            try:
                yield
            except asyncio.CancelledError:
                if refused and task.uncancel() <= cancelling:
                    raise refused[0] from None
                raise
            finally:
                watcher.cancel()
            if refused:
                # The body was at its end, or has swallowed the cancellation.
                if task.cancelling() > cancelling:
                    task.uncancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)
                raise refused[0]
            await self._look(_FIRST_LOOK_S)
            self.refuse_writes()

    async def _cancel_when_refused(
        self, task: "asyncio.Task[object]", refused: list[WritesRefused]
    ) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            refusal = self.view().refusal
            if refusal is not None:
                refused.append(refusal)
                task.cancel()
                return

    async def close(self) -> None:
        """Stop watching for good."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _look(self, timeout_s: float) -> None:
        """Look at every host anew, at the slow ones for `timeout_s` seconds."""
        with contextlib.suppress(TimeoutError):
            async with self.running(), asyncio.timeout(timeout_s):
                await self._resolved.wait()
                for _ in range(_LOOKS):
                    await asyncio.gather(*(probe.look() for probe in self._probes.values()))
                    if not self.view().doubtful:
                        break

    def _want(self) -> None:
        if self._closed:
            return
        self._wanted_until = time.monotonic() + self._linger_s
        if not self.watching:
            # What was known when the last watch ended may be hours old.
            self._probes = {host: self._probe(host) for host in self._dsn.each_host}
            self._resolved.clear()
            self._refused = False
            self._task = asyncio.create_task(
                self._watch(), name=f"{self._dsn.database}-cluster-watch"
            )

    async def _watch(self) -> None:
        resolved_at = float("-inf")
        try:
            while self._holders or time.monotonic() < self._wanted_until:
                if time.monotonic() - resolved_at >= _RESOLVE_EVERY_S:
                    resolved_at = time.monotonic()
                    await self._find_addresses()
                    self._resolved.set()
                self._start_probes()
                await asyncio.sleep(_TICK_S)
        finally:
            tasks = list(self._tasks.values())
            self._tasks.clear()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def _start_probes(self) -> None:
        for host, probe in self._probes.items():
            task = self._tasks.get(host)
            if task is not None and task.done() and not task.cancelled():
                _log.error(
                    "the probe of %s failed and begins anew", host.name, exc_info=task.exception()
                )
            if task is None or task.done():
                self._tasks[host] = asyncio.create_task(probe.run(), name=f"{host.name}-probe")

    async def _find_addresses(self) -> None:
        """Have a probe for each address of a name that has several: each may be a server."""
        hosts = self._dsn.each_host
        found = await asyncio.gather(*(self._addresses(host) for host in hosts))
        wanted: dict[Host, HostProbe] = {}
        for host, addresses in zip(hosts, found, strict=True):
            if addresses is None:
                # Not resolved this time: as it was.
                wanted |= {each: probe for each, probe in self._probes.items() if each.is_of(host)}
                continue
            several = [host.at(address) for address in addresses] if len(addresses) > 1 else [host]
            for each in several:
                wanted[each] = self._probes.get(each) or self._probe(each, expected=each is host)
        for host in [host for host in self._tasks if host not in wanted]:
            self._tasks.pop(host).cancel()
        self._probes = wanted

    async def _addresses(self, host: Host) -> tuple[str, ...] | None:
        if not host.is_name:
            return ()
        return await self._resolve(host.host) or None

    def _probe(self, host: Host, *, expected: bool = True) -> HostProbe:
        return HostProbe(
            self._dsn,
            host,
            self._telemetry,
            interval_s=self._interval_s,
            connect_timeout_s=self._connect_timeout_s,
            primary_position=self._primary_position,
            on_primary=self._hurry,
            expected=expected,
        )

    def _hurry(self) -> None:
        """Look at all hosts at once, for another one may take writes still."""
        for probe in self._probes.values():
            probe.hurry()

    def _primary_position(self) -> int | None:
        positions = [probe.wal_position for probe in self._probes.values()]
        return max((each for each in positions if each is not None), default=None)


def _refuse(view: ClusterView) -> None:
    refusal = view.refusal
    if refusal is not None:
        raise refusal


def _current_task() -> "asyncio.Task[object]":
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("only a task can be ended")
    return task
