"""How many file descriptors the API process needs, and how many it may have.

Whoever reaches a listener can open connections to it, a descriptor each. The ones that databases,
the control store and workers need are kept apart from those: connections get what is left.
"""

import logging
import resource
from dataclasses import dataclass
from typing import Final

from dbopsd.config import Config
from dbopsd.errors import ConfigurationError
from dbopsd.rpc.connection_limit import CORE_LIMIT

_log = logging.getLogger(__name__)

# An idle daemon with one database has 19 open; exporters, certificates and name look-ups come on
# top, and a burst of connections that are being closed.
_PROCESS: Final = 128
_CONTROL_STORE: Final = 32
_WORKER: Final = 8
# Beside the pool: the prober's connections, and those that cancel what hangs.
_DATABASE: Final = 16
_FEWEST_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class DescriptorNeed:
    """The number of descriptors that a configuration needs."""

    connections: int
    """The number of connections of each of the two listeners."""

    reserved: int
    """The descriptors for everything except connections to a listener."""

    @property
    def total(self) -> int:
        """All together."""
        return self.reserved + int(_for_connections(self.connections))

    def connections_within(self, limit: int) -> int:
        """How many connections each listener may keep where there are `limit` descriptors.

        Raises `ConfigurationError` where that is too few to be of use.
        """
        if limit >= self.total:
            return self.connections
        fitting = int((limit - self.reserved) / _for_connections(1))
        if fitting < _FEWEST_CONNECTIONS:
            least = self.reserved + int(_for_connections(_FEWEST_CONNECTIONS))
            raise ConfigurationError(
                "server.max_connections",
                f"the limit of file descriptors is {limit}, and at least {least} are needed, "
                f"{self.reserved} of them for databases, the control store, workers and files: "
                f"raise it ({_HOW})",
            )
        return fitting


_HOW: Final = "LimitNOFILE= of a systemd unit, --ulimit nofile= of a container, ulimit -Hn"


def descriptor_need(config: Config) -> DescriptorNeed:
    """Compute the descriptors that the API process needs with this configuration."""
    databases = sum(database.pool.max_size + _DATABASE for database in config.databases.values())
    workers = _WORKER * config.server.workers
    return DescriptorNeed(
        connections=config.server.max_connections,
        reserved=_PROCESS + _CONTROL_STORE + workers + databases,
    )


def descriptor_limit() -> int:
    """How many descriptors this process may have once it has asked for all that it can."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard if hard != resource.RLIM_INFINITY else 2**31 - 1


def raise_descriptor_limit() -> int:
    """Ask for as many as this process may have; returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return descriptor_limit()


def reserve_descriptors(config: Config) -> Config:
    """Raise the limit; the configuration with as many connections as it has room for.

    Raises `ConfigurationError` where there is no room.
    """
    need = descriptor_need(config)
    limit = raise_descriptor_limit()
    connections = need.connections_within(limit)
    if connections < need.connections:
        _log.warning(
            "server.max_connections is %d in place of %d: all need %d file descriptors, and the "
            "limit is %d (%s)",
            connections,
            need.connections,
            need.total,
            limit,
            _HOW,
        )
    server = config.server.model_copy(update={"max_connections": connections})
    return config.model_copy(update={"server": server})


def describe_descriptors(config: Config, *, limit: int | None = None) -> str:
    """One line about what the configuration needs. `limit`: unset, what this shell would give.

    Raises `ConfigurationError` where that is too little to start.
    """
    need = descriptor_need(config)
    limit = descriptor_limit() if limit is None else limit
    connections = need.connections_within(limit)
    line = (
        f"file descriptors: {need.total} are needed, {need.total - need.reserved} for "
        f"{need.connections} connections on each listener and {need.reserved} for databases, the "
        f"control store, workers and files; the limit here is {limit}"
    )
    if connections < need.connections:
        line += f", enough for {connections} connections on each listener: raise it ({_HOW})"
    return line


def _for_connections(count: int) -> float:
    # One listener is HTTP's.
    return count * (1 + CORE_LIMIT)
