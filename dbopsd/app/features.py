"""The features of the daemon, beside health and operations."""

from typing import Final

from dbopsd.app.alerts import alert_duties
from dbopsd.app.feature import Feature
from dbopsd.app.metrics import run_metrics
from dbopsd.migrate.importer.kinds import PLAN_IMPORT, REVERT_IMPORT, RUN_IMPORT, VERIFY_IMPORT
from dbopsd.rpc.operation_methods import OperationMethod

IMPORTER: Final = Feature(
    methods=(
        OperationMethod(PLAN_IMPORT, "dbops.v1.MigrateService/PlanImport"),
        OperationMethod(RUN_IMPORT, "dbops.v1.MigrateService/RunImport"),
        OperationMethod(VERIFY_IMPORT, "dbops.v1.MigrateService/VerifyImport"),
        OperationMethod(REVERT_IMPORT, "dbops.v1.MigrateService/RevertImport"),
    )
)

METRICS: Final = Feature(running=run_metrics, duties=alert_duties)

FEATURES: Final = (IMPORTER, METRICS)
