"""Whether a pooled connection to a cluster leads to the kind of server that its purpose wants.

A server tells by itself which kind it is, by `in_hot_standby` (PostgreSQL 14+), when a connection
is made and when a promotion changes it: nothing here asks.
"""

import time

from dbopsd.db.connection import Connection
from dbopsd.db.dsn import Purpose

# How long reads stay on the primary before a standby is tried again. Without it they would stay
# for the connection's lifetime, an hour; much shorter, a cluster without a standby would connect
# anew all the time.
_LOOK_FOR_STANDBY_EVERY_S = 10.0


class ServerRolePolicy:
    """Judges the connections of one pool."""

    def __init__(self, purpose: Purpose, *, is_cluster: bool) -> None:
        self._for_writes = is_cluster and purpose == "write"
        self._for_reads = is_cluster and purpose == "read"
        # When the newest connection to a standby was made, and when one to the primary was last
        # given up to try for one; by time.monotonic().
        self._standby_had_at = 0.0
        self._looked_at = 0.0

    def may_lend(self, connection: Connection) -> bool:
        """Whether it may be lent: one for writing must lead to a server that takes writes."""
        return not self._for_writes or _in_hot_standby(connection) != "on"

    def should_move(self, connection: Connection) -> bool:
        """Whether one for reading that comes back makes room for one that may find a standby.

        Saying yes counts as a try. One at a time until a standby was had: were all given up at
        once while a standby hangs, every read would wait until connecting to it has failed.
        """
        if not self._for_reads or connection.closed:
            return False
        if _in_hot_standby(connection) != "off":
            self._standby_had_at = max(self._standby_had_at, connection.connected_at)
            return False
        now = time.monotonic()
        if now - connection.connected_at < _LOOK_FOR_STANDBY_EVERY_S:
            return False
        if (
            connection.connected_at < self._standby_had_at
            or now - self._looked_at >= _LOOK_FOR_STANDBY_EVERY_S
        ):
            self._looked_at = now
            return True
        return False


def _in_hot_standby(connection: Connection) -> str | None:
    return connection.info.parameter_status("in_hot_standby")
