"""The backup before a rollback of migrations: neither of the two features knows the other."""

from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.kinds import CREATE_BACKUP
from dbopsd.backup.model.requests import CreateBackupRequest
from dbopsd.operations.kind import Run


async def take_backup_before(run: Run, kind: str, wait_s: float) -> str:
    """Take a backup of the kind that `backup_before` names, `schema` or `full`; its name.

    A full one excludes other backups, as one that is asked for does: waits for them for `wait_s`
    seconds. A dump of the schema runs beside them, as it reads no rows and no backup rests on it: a
    rollback in an emergency does not wait for the nightly backup. Raises `OperationInTheWay` and
    what creating a backup does.
    """
    label = f"before operations/{run.operation}"
    if kind == "schema":
        request = CreateBackupRequest(kind=BackupKind.LOGICAL, schema_only=True, label=label)
        return (await CREATE_BACKUP.run(run, request)).name
    async with run.locks_of(CREATE_BACKUP, wait_s=wait_s):
        full = CreateBackupRequest(kind=BackupKind.FULL, label=label)
        return (await CREATE_BACKUP.run(run, full)).name
