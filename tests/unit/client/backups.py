"""Backups as dbopsd sends them."""

from datetime import UTC, datetime, timedelta

from dbops.v1 import backup_pb2
from google.protobuf.timestamp_pb2 import Timestamp

START = datetime(2026, 11, 29, 2, 0, 0, 123_456, UTC)
FULL = "databases/main/backups/full-20261129t020000z-3f9a1c"
INCREMENTAL = "databases/main/backups/incremental-20261129t080000z-5d2b7e"


def time(after_s=0.0):
    """A time, so many seconds after `START`."""
    found = Timestamp()
    found.FromDatetime(START + timedelta(seconds=after_s))
    return found


def backup(name=FULL, **fields):
    defaults = {
        "kind": "FULL",
        "state": "COMPLETE",
        "system_identifier": "7713878003236680249",
        "server_version": "18.6",
        "timeline": 1,
        "start_lsn": "0/3000028",
        "stop_lsn": "0/3000120",
        "start_time": time(),
        "stop_time": time(90),
        "size_bytes": 10 * 2**20,
        "stored_bytes": 2 * 2**20,
        "objects": [
            backup_pb2.BackupObject(path="main/7/backups/f/base.00000", stored_bytes=2**20)
        ],
        "codec": "zstd:3",
        "key_id": "k1",
        "source": "primary 127.0.0.1:5432",
    }
    return backup_pb2.Backup(name=name, **{**defaults, **fields})


def window(start_s, end_s, *, timeline=1, start="0/3000120", end="0/9000000"):
    return backup_pb2.RecoveryWindow(
        timeline=timeline,
        start_time=time(start_s),
        start_lsn=start,
        end_time=time(end_s),
        end_lsn=end,
        backup=FULL,
    )


GAP = backup_pb2.WalGap(
    timeline=1,
    start_lsn="0/5000000",
    end_lsn="0/7000000",
    detect_time=time(60),
    cause="slot lost",
)
DAMAGE = backup_pb2.BackupProblem(
    object="main/7/backups/f/base.00000", problem="HASH", detail="its bytes are others\x1b[2J"
)


def verification(*, ok=True):
    damaged = [] if ok else [DAMAGE]
    return backup_pb2.VerifyBackupsResponse(
        ok=ok,
        backups=[backup_pb2.VerifiedBackup(name=FULL, ok=ok, problems=damaged)],
        wal=backup_pb2.VerifiedWal(segments=12, gaps=[] if ok else [GAP]),
    )


RESTORED = backup_pb2.RestoreReport(
    directory="/srv/restored",
    chain=[FULL, INCREMENTAL],
    timeline=1,
    target=backup_pb2.RecoveryTarget(time=time(3600)),
    plan=backup_pb2.RestorePlan(
        backup=INCREMENTAL,
        first_segment="000000010000000000000003",
        last_segment="000000010000000000000008",
        segments=6,
    ),
    wal_bytes=6 * 2**24,
    reached=backup_pb2.ReachedMoment(time=time(3599), lsn="0/8000140"),
    seconds=12.5,
    instructions=["Start it with pg_ctl -D /srv/restored start"],
    address="/srv/restored/socket",
)


def drill(*, ok=True):
    checks = [
        backup_pb2.DrillCheck(name="start", ok=True, detail="in 1 s", seconds=1),
        backup_pb2.DrillCheck(name="rows", ok=ok, detail="49,950 of 50,000 rows", seconds=2),
    ]
    return backup_pb2.DrillReport(
        ok=ok,
        backup=FULL,
        target=backup_pb2.RecoveryTarget(latest=True),
        recovery_seconds=3.5,
        recovery_point_seconds=0.2,
        checks=checks,
    )


RETENTION = backup_pb2.ApplyRetentionResponse(
    expired=[
        backup_pb2.ExpiredBackup(name=INCREMENTAL, reason="older than 30d", expire_time=time())
    ],
    kept=[backup_pb2.KeptBackup(name=FULL, reasons=["window of 30d", "newest good"])],
    wal_deleted=3,
)
