"""A primary and its streaming standby, with a link between them that can be cut."""

from dataclasses import dataclass

from tests.support.patience import eventually_blocking
from tests.support.proxy import Proxy
from tests.support.servers import PostgresServer, PostgresServers, Settings

SLOT = "standby"


@dataclass
class ReplicationPair:
    """`link` is the proxy that the standby's WAL receiver goes through."""

    primary: PostgresServer
    standby: PostgresServer
    link: Proxy

    def cut_link(self) -> None:
        self.link.cut()

    def heal_link(self) -> None:
        self.link.heal()

    def promote(self) -> None:
        """Make the standby a primary; returns once it takes writes."""
        self.standby.execute("SELECT pg_promote(true, 30)")
        eventually_blocking(
            lambda: self.standby.execute("SELECT NOT pg_is_in_recovery()") == [(True,)],
            timeout=30,
            what="the standby is promoted",
        )

    def wait_until_caught_up(self, timeout: float = 20.0) -> None:
        """Return once the standby has replayed all that the primary has written by now."""
        ((lsn,),) = self.primary.execute("SELECT pg_current_wal_lsn()::text")
        eventually_blocking(
            lambda: (
                self.standby.execute(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn")
                == [(True,)]
            ),
            timeout=timeout,
            what=f"the standby has replayed {lsn}",
        )

    def dsn(self, **parameters: str | int) -> str:
        """Both hosts in one DSN, the primary first, as an application would name them."""
        hosts = f"{self.primary.host},{self.standby.host}"
        ports = f"{self.primary.port},{self.standby.port}"
        return self.primary.dsn(host=hosts, port=ports, **parameters)


def replicate(
    servers: PostgresServers, major: int, settings: Settings | None = None
) -> ReplicationPair:
    """Start a pair. The standby streams through the link and a physical slot."""
    primary = servers.disposable(major, settings)
    link = Proxy(primary.host, primary.port)
    standby = servers.standby(
        primary,
        port=link.port,
        slot=SLOT,
        # Soon again after a cut: the default is 5 s.
        settings={"wal_retrieve_retry_interval": "100ms", **(settings or {})},
    )
    pair = ReplicationPair(primary, standby, link)
    pair.wait_until_caught_up()
    return pair


def another_standby(servers: PostgresServers, pair: ReplicationPair) -> PostgresServer:
    """Start one more standby of the pair's primary. `servers.discard` it before the pair."""
    return servers.standby(pair.primary, port=pair.primary.port, slot=f"{SLOT}_2")


def discard(servers: PostgresServers, pair: ReplicationPair) -> None:
    pair.link.close()
    servers.discard(pair.standby)
    servers.discard(pair.primary)
