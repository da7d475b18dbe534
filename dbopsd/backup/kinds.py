"""The kinds of operation on backups.

What they do is loaded when it is done: the API process, which only starts them, and a worker that
has none to do go without codecs and stores, which are larger than all the rest.
"""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from dbopsd.backup.model.reports import (
    BackupDescription,
    DeleteReport,
    DrillReport,
    RestoreReport,
    RetentionReport,
    RotateReport,
    VerifyReport,
)
from dbopsd.backup.model.requests import (
    ApplyRetentionRequest,
    CreateBackupRequest,
    DeleteBackupRequest,
    DrillBackupRequest,
    RestoreBackupRequest,
    RotateKeysRequest,
    VerifyBackupsRequest,
)
from dbopsd.operations.kind import Kind, Run

# Two backups at once would read the whole cluster twice, and the second could rest on the first.
_CREATES: Final = frozenset({"create-backup"})
# What removes objects from the store, or rewrites them. Readers are safe from it by their leases.
_REMOVES: Final = frozenset({"remove-backups"})
# A drill has a scratch cluster of the database's size.
_DRILLS: Final = frozenset({"drill-backup"})


def _work(module: str, name: str = "") -> Callable[[Run, Any], Awaitable[Any]]:
    """What a module of this package has under that name, or under its own."""

    async def work(run: Run, request: Any) -> Any:
        loaded = importlib.import_module(f"dbopsd.backup.{module}")
        return await getattr(loaded, name or module)(run, request)

    return work


CREATE_BACKUP: Final = Kind(
    "create-backup",
    CreateBackupRequest,
    BackupDescription,
    _work("create_backup"),
    locks=_CREATES,
)
VERIFY_BACKUPS: Final = Kind(
    "verify-backups", VerifyBackupsRequest, VerifyReport, _work("verify_backups")
)
DELETE_BACKUP: Final = Kind(
    "delete-backup", DeleteBackupRequest, DeleteReport, _work("delete_backup"), locks=_REMOVES
)
RESTORE_BACKUP: Final = Kind(
    "restore-backup",
    RestoreBackupRequest,
    RestoreReport,
    _work("restore_backup"),
    clean_up=_work("restore_backup", "clean_up"),
)
DRILL_BACKUP: Final = Kind(
    "drill-backup",
    DrillBackupRequest,
    DrillReport,
    _work("drill_backup"),
    locks=_DRILLS,
    clean_up=_work("drill_backup", "clean_up"),
)
APPLY_RETENTION: Final = Kind(
    "apply-retention",
    ApplyRetentionRequest,
    RetentionReport,
    _work("apply_retention"),
    locks=_REMOVES,
)
ROTATE_KEYS: Final = Kind(
    "rotate-keys", RotateKeysRequest, RotateReport, _work("rotate_keys"), locks=_REMOVES
)
