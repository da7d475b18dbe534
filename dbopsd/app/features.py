"""The features of the daemon, beside health and operations."""

from typing import Final

from dbopsd.app.alert_duty import alert_duties
from dbopsd.app.backups import backup_duties, run_backups
from dbopsd.app.feature import Feature, loaded_to_run
from dbopsd.app.migration_backups import take_backup_before
from dbopsd.backup.kinds import (
    APPLY_RETENTION,
    CREATE_BACKUP,
    DELETE_BACKUP,
    DRILL_BACKUP,
    RESTORE_BACKUP,
    ROTATE_KEYS,
    VERIFY_BACKUPS,
)
from dbopsd.migrate.importer.kinds import PLAN_IMPORT, REVERT_IMPORT, RUN_IMPORT, VERIFY_IMPORT
from dbopsd.migrate.versions.kinds import (
    ADOPT_MIGRATIONS,
    APPLY_MIGRATIONS,
    BASELINE_MIGRATIONS,
    CHECK_MIGRATIONS,
    rollback_migrations_kind,
)
from dbopsd.rpc.operation_methods import OperationMethod

IMPORTER: Final = Feature(
    methods=(
        OperationMethod(PLAN_IMPORT, "dbops.v1.MigrateService/PlanImport"),
        OperationMethod(RUN_IMPORT, "dbops.v1.MigrateService/RunImport"),
        OperationMethod(VERIFY_IMPORT, "dbops.v1.MigrateService/VerifyImport"),
        OperationMethod(REVERT_IMPORT, "dbops.v1.MigrateService/RevertImport"),
    )
)

MIGRATIONS: Final = Feature(
    methods=(
        OperationMethod(CHECK_MIGRATIONS, "dbops.v1.MigrateService/CheckMigrations"),
        OperationMethod(APPLY_MIGRATIONS, "dbops.v1.MigrateService/ApplyMigrations", tries=True),
        OperationMethod(
            rollback_migrations_kind(take_backup_before),
            "dbops.v1.MigrateService/RollbackMigrations",
            tries=True,
        ),
        OperationMethod(
            BASELINE_MIGRATIONS, "dbops.v1.MigrateService/BaselineMigrations", tries=True
        ),
        OperationMethod(ADOPT_MIGRATIONS, "dbops.v1.MigrateService/AdoptMigrations", tries=True),
    ),
    running=loaded_to_run("dbopsd.app.migrations", "run_migrations"),
)

BACKUP: Final = Feature(
    methods=(
        OperationMethod(CREATE_BACKUP, "dbops.v1.BackupService/CreateBackup"),
        OperationMethod(VERIFY_BACKUPS, "dbops.v1.BackupService/VerifyBackups"),
        OperationMethod(DELETE_BACKUP, "dbops.v1.BackupService/DeleteBackup"),
        OperationMethod(RESTORE_BACKUP, "dbops.v1.BackupService/RestoreBackup"),
        OperationMethod(DRILL_BACKUP, "dbops.v1.BackupService/DrillBackup"),
        OperationMethod(APPLY_RETENTION, "dbops.v1.BackupService/ApplyRetention"),
        OperationMethod(ROTATE_KEYS, "dbops.v1.BackupService/RotateKeys"),
    ),
    running=run_backups,
    duties=backup_duties,
)

METRICS: Final = Feature(
    running=loaded_to_run("dbopsd.app.metrics", "run_metrics"), duties=alert_duties
)

BACKUP_WATCH: Final = Feature(running=loaded_to_run("dbopsd.app.backup_watch", "run_backup_watch"))

FEATURES: Final = (IMPORTER, MIGRATIONS, METRICS, BACKUP, BACKUP_WATCH)
