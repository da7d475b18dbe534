"""What an import tells of itself, as dbopsd sends it."""

from dbops.v1 import migrate_pb2
from google.protobuf.duration_pb2 import Duration

from tests.unit.client.messages import operation

Report = migrate_pb2.ImportReport
Object = migrate_pb2.ImportObject

OBJECTS = [
    Object(kind="index", name="by_name", table="user", fate=Object.CARRIED),
    Object(kind="index", name="by_age", table="user", fate=Object.CARRIED),
    Object(kind="check", name="age", table="user", fate=Object.CARRIED),
    Object(
        kind="collation",
        name="email",
        table="user",
        fate=Object.CHANGED,
        reason="NOCASE: it compares case-sensitively in PostgreSQL",
        ddl="CREATE UNIQUE INDEX …",
    ),
    Object(kind="trigger", name="touch", fate=Object.NOT_CARRIED, reason="triggers are not"),
]
TABLE = migrate_pb2.ImportedTable(
    source="user",
    target="user",
    rows=2000,
    copied_rows=1999,
    copied_bytes=20480,
    rejected_rows=1,
    copy_duration=Duration(seconds=2),
    verified_rows=1999,
)
REJECT = migrate_pb2.RejectedValue(
    table="user", column="age", key="id=7", reason="NOT_AN_INTEGER", value="'old\x1b[2J'"
)
DIFFERENCES = [
    migrate_pb2.ImportDifference(
        table="user", column="name", key="id=1", source="'a'", target="'b'"
    ),
    migrate_pb2.ImportDifference(table="user", key="id=2", source="(2)", target=""),
]


def report(outcome=Report.SUCCEEDED, **fields):
    defaults = {
        "operation": "operations/run-import-1",
        "source": "/srv/app.db",
        "schema": "app",
        "rows": 2000,
        "copied_rows": 1999,
        "rejected_rows": 1,
        "verified_rows": 1999,
        "tables": [TABLE],
        "objects": OBJECTS,
        "reject_counts": [
            migrate_pb2.RejectCount(table="user", column="age", reason="NOT_AN_INTEGER", count=1)
        ],
        "rejects": [REJECT],
        "notes": ["the file is in WAL mode"],
        "stages": [
            migrate_pb2.ImportStage(stage="snapshot", duration=Duration(nanos=500_000_000)),
            migrate_pb2.ImportStage(stage="copy", duration=Duration(seconds=1)),
        ],
    }
    return Report(outcome=outcome, **{**defaults, **fields})


def plan(**fields):
    defaults = {
        "source": "/srv/app.db",
        "schema": "app",
        "mapping": '[tables.user]\ntarget = "users"\n',
        "tables": [
            migrate_pb2.PlannedImportTable(
                source="user",
                target="users",
                rows=2000,
                columns=[
                    migrate_pb2.PlannedImportColumn(
                        source="id",
                        target="id",
                        type="bigint",
                        conversion="integer",
                        evidence="INTEGER PRIMARY KEY",
                    )
                ],
            )
        ],
        "objects": OBJECTS,
        "notes": ["the file is in WAL mode"],
        "rows": 2000,
        "source_size_bytes": 40960,
        "estimated_duration": Duration(seconds=3),
        "estimated_bytes": 81920,
    }
    return migrate_pb2.ImportPlan(**{**defaults, **fields})


def verification(*, equal=True, **fields):
    defaults = {
        "operation": "operations/run-import-1",
        "source": "/srv/app.db",
        "schema": "app",
        "verified_rows": 2000,
        "tables": [TABLE],
    }
    if not equal:
        defaults |= {"differing_rows": 2, "differences": DIFFERENCES}
    return migrate_pb2.VerifyImportResponse(equal=equal, **{**defaults, **fields})


REVERSION = migrate_pb2.RevertImportResponse(
    operation="operations/run-import-1",
    schema="app",
    restored_tables=["user"],
    removed_tables=["user", "order"],
)


def failed(*details):
    """An import that failed, which tells of that with `details`."""
    message = operation(
        error=("FAILED_PRECONDITION", "1 value does not fit", "VALUES_REJECTED"),
        kind="run-import",
    )
    for detail in details:
        message.error.details.add().Pack(detail)
    return message
