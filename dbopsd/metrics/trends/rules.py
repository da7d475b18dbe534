"""Which metrics may run out, grow, or be unusual, and from how much on that is worth a line."""

from dataclasses import dataclass
from typing import Final

from dbopsd.metrics.model import Series

_MIB: Final = 2.0**20
DISK: Final = "dbops_disk_free_bytes"
CHECK: Final = "dbops_health_check_value"


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """A metric that must not reach `limit`. `what` is said of it, with its labels in braces."""

    metric: str
    limit: float
    what: str
    within_days: float
    labels: tuple[tuple[str, str], ...] = ()

    def is_about(self, series: Series) -> bool:
        """Whether a series has the labels that the rule asks for."""
        has = series.label_map()
        return all(has.get(name) == value for name, value in self.labels)


@dataclass(frozen=True, slots=True)
class Growth:
    """A metric whose growth is worth a line from `least_per_day` on."""

    metric: str
    what: str
    least_per_day: float
    at_most: int


@dataclass(frozen=True, slots=True)
class Habit:
    """A metric with habits. Less than `floor` (of a counter, per second) is never unusual."""

    metric: str
    what: str
    floor: float


EXHAUSTIONS: Final = (
    Exhaustion(DISK, 0.0, "the disk at {mount} is full", 365.0),
    Exhaustion("dbops_disk_free_files", 0.0, "the disk at {mount} has no inode left", 365.0),
    # The configured limit, or the fullest disk.
    Exhaustion(CHECK, 1.0, "the storage is full", 365.0, (("check", "storage"),)),
    Exhaustion(
        "pg_sequence_used_ratio",
        1.0,
        "the sequence {schemaname}.{sequencename} of {datname} is at its end",
        365.0,
    ),
    # Where PostgreSQL stops to assign transaction ids. Vacuum makes it a sawtooth, which is none.
    Exhaustion(
        "pg_database_xid_age", 2.0**31 - 3e6, "{datname} has no transaction ids left", 365.0
    ),
)

GROWTHS: Final = (
    Growth("pg_database_size_bytes", "the database {datname} grows", 10 * _MIB, 20),
    Growth(
        "pg_stat_user_tables_table_size_bytes",
        "the table {schemaname}.{relname} of {datname} grows",
        _MIB,
        20,
    ),
    Growth(
        "pg_stat_user_tables_index_size_bytes",
        "the indexes of {schemaname}.{relname} of {datname} grow",
        _MIB,
        20,
    ),
)

HABITS: Final = (
    Habit("pg_stat_database_xact_commit", "commits of {datname}", 1.0),
    Habit("pg_stat_database_xact_rollback", "rollbacks of {datname}", 0.1),
    Habit(
        "pg_stat_database_blks_read", "blocks read from outside shared buffers by {datname}", 100.0
    ),
    Habit("pg_stat_database_temp_bytes", "bytes of temporary files of {datname}", _MIB),
    Habit("pg_stat_database_deadlocks", "deadlocks of {datname}", 3 / 3600),
    Habit("pg_stat_database_numbackends", "sessions of {datname}", 5.0),
    Habit("pg_stat_wal_bytes_total", "bytes of WAL", _MIB),
    Habit("dbops_host_load5", "processes that run or wait on the host (load)", 1.0),
)
