"""The backup before a rollback of migrations: neither of the two features knows the other."""

from typing import Final

from dbopsd.backup.catalog.kind import BackupKind
from dbopsd.backup.kinds import CREATE_BACKUP
from dbopsd.backup.model.requests import CreateBackupRequest
from dbopsd.operations.kind import Run

_KINDS: Final = {"schema": BackupKind.LOGICAL, "full": BackupKind.FULL}


async def take_backup_before(run: Run, kind: str) -> str:
    """Take a backup of the kind that `backup_before` names; its name.

    Raises what creating a backup does.
    """
    label = f"before operations/{run.operation}"
    backup = await CREATE_BACKUP.run(run, CreateBackupRequest(kind=_KINDS[kind], label=label))
    return backup.name
