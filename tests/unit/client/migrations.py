"""What migrations tell of themselves, as dbopsd sends it."""

from dbops.v1 import migrations_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

Migration = migrations_pb2.Migration
Report = migrations_pb2.MigrationReport
Finding = migrations_pb2.MigrationFinding
Difference = migrations_pb2.SchemaDifference
Roundtrip = migrations_pb2.MigrationRoundtrip

HOSTILE = "old\x1b[2J[bold]"
NOON = Timestamp(seconds=1_796_040_000)


def migration(version="001", state=Migration.APPLIED, **fields):
    defaults = {
        "set": "default",
        "name": "users",
        "checksum": "ab" * 32,
        "applied_checksum": "ab" * 32,
        "transactional": True,
        "has_rollback": True,
        "path": f"{version}_users.sql",
        "apply_time": NOON,
        "duration": Duration(nanos=250_000_000),
        "applied_by": "ann",
        "operation": "operations/apply-1",
        "statements": 3,
        "statements_done": 3,
    }
    return Migration(version=version, state=state, **{**defaults, **fields})


def listing(*migrations, **fields):
    defaults = {
        "current_version": "001",
        "fingerprint": "ff" * 32,
        "sets": [
            migrations_pb2.MigrationSet(
                set="default", layout="dbops", directory="/srv/m", current_version="001"
            )
        ],
    }
    return migrations_pb2.ListMigrationsResponse(migrations=migrations, **{**defaults, **fields})


PROBLEM = migrations_pb2.MigrationProblem(
    reason="NOT_UTF8",
    set="default",
    version="002",
    path="002_x.sql",
    line=3,
    column=7,
    message="byte 40 is not UTF-8",
    blocking=True,
)


def report(outcome=Report.SUCCEEDED, **fields):
    defaults = {
        "operation": "operations/apply-1",
        "migrations": [
            migrations_pb2.MigrationRun(
                set="default",
                version="002",
                name="orders",
                state=Migration.APPLIED,
                statements_done=4,
                statements=4,
                duration=Duration(seconds=2),
                lock_attempts=2,
                lock_wait=Duration(nanos=510_000_000),
            )
        ],
        "fingerprint_before": "aa" * 32,
        "fingerprint_after": "bb" * 32,
        "notes": ["003_later.sql was not tried: it does not run in a transaction"],
    }
    return Report(outcome=outcome, **{**defaults, **fields})


BLOCKER = migrations_pb2.MigrationBlocker(
    pid=4711,
    application="billing",
    user="app",
    state="idle in transaction",
    age=Duration(seconds=90),
    query="SELECT * FROM orders",
    relation="public.orders",
    mode="AccessShareLock",
)

DRIFT = Difference(
    kind="column",
    identity="public.users.email",
    change=Difference.CHANGED,
    aspect=Difference.DEFINITION,
    expected="text NOT NULL",
    actual="text",
)


def check(*, ok=True, **fields):
    defaults = {"files": 2, "notes": ["the server could not be asked"]}
    if not ok:
        defaults |= {
            "findings": [
                Finding(
                    rule="whole-table-update",
                    severity=Finding.ERROR,
                    set="default",
                    version="002",
                    path="002_orders.sql",
                    line=4,
                    column=1,
                    message="UPDATE without WHERE changes every row",
                    advice="do it in batches",
                ),
                Finding(
                    rule="ban-drop-column",
                    severity=Finding.WARNING,
                    path="002_orders.sql",
                    line=9,
                    message="it may break a running application",
                    allowed="nobody reads it",
                ),
            ],
            "drift": [DRIFT],
            "roundtrip": [
                Roundtrip(set="default", version="001", name="users", result="RESTORED"),
                Roundtrip(
                    set="default",
                    version="002",
                    name="orders",
                    result="NOT_RESTORED",
                    differences=[DRIFT],
                ),
            ],
        }
    return migrations_pb2.CheckMigrationsResponse(ok=ok, **{**defaults, **fields})


BASELINED = migrations_pb2.BaselineMigrationsResponse(
    migrations=[migration(state=Migration.BASELINED)], fingerprint="aa" * 32
)
ADOPTED = migrations_pb2.AdoptMigrationsResponse(
    adopted=[migration(state=Migration.ADOPTED)],
    unknown=[migrations_pb2.AdoptMigrationsResponse.Entry(version="000", problem="has no file")],
    mismatched=[
        migrations_pb2.AdoptMigrationsResponse.Entry(
            version="002", name="orders", problem="the checksum differs"
        )
    ],
    source_table="public.flyway_schema_history",
    notes=["Flyway does not record who rolled back"],
)
