"""Which dump, and which of its tables, a restore is about."""

from collections.abc import Iterable, Sequence

from dbopsd.backup.catalog.catalog import Backup
from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.catalog.errors import BackupNotFound
from dbopsd.backup.catalog.kind import BackupKind, BackupState
from dbopsd.backup.catalog.layout import SCHEMA_ONLY_ID
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.logical.errors import DumpedTableNotFound
from dbopsd.backup.model.requests import RestoreBackupRequest
from dbopsd.backup.repository import Repository
from dbopsd.errors import InvalidField


async def find_dump(repository: Repository, request: RestoreBackupRequest) -> CommitRecord | None:
    """The logical backup that the request is about; None where it is about a cluster.

    Without a backup's name: the newest dump that is good and has rows, where a database or tables
    are named. All dumps have to be of the same PostgreSQL database then. Raises `BackupNotFound`,
    `InvalidField`, `BackupDamaged`.
    """
    wanted = bool(request.dbname or request.tables)
    if not request.backup_id and not wanted:
        return None
    dumps: list[Backup] = []
    for system in await repository.systems():
        for each in (await repository.catalog(system)).backups:
            if each.id == request.backup_id:
                return await _named(repository, request, each)
            if each.record is not None and each.record.kind is BackupKind.LOGICAL:
                dumps.append(each)
    if request.backup_id:
        raise BackupNotFound(repository.database, request.backup_id)
    good = [
        each.record
        for each in dumps
        if each.state is BackupState.COMPLETE
        and each.record is not None
        and not each.record.schema_only
    ]
    if request.tables:
        good = [each for each in good if _may_have(each, request.tables)]
    if not good:
        problem = "has to name a backup: there is no dump with rows that could be meant"
        raise InvalidField("backup", problem)
    names = sorted({each.dbname for each in good})
    if len(names) > 1:
        known = ", ".join(names[:5])
        raise InvalidField("backup", f"has to name a dump: there are some of {known}")
    newest = max(good, key=lambda each: each.stop_time)
    await repository.require_genuine(newest)
    return newest


def is_about_dump(request: RestoreBackupRequest) -> bool:
    """Whether what a request names can be nothing but a dump; the store is not asked."""
    kind, _, _ = request.backup_id.partition("-")
    named = kind in (BackupKind.LOGICAL.value.lower(), SCHEMA_ONLY_ID)
    return named or bool(request.dbname or request.tables)


async def _named(
    repository: Repository, request: RestoreBackupRequest, backup: Backup
) -> CommitRecord | None:
    record = backup.record
    if record is None or record.kind is not BackupKind.LOGICAL:
        if request.dbname or request.tables:
            name = "dbname" if request.dbname else "tables"
            raise InvalidField(name, f"is for a dump, which '{backup.id}' is not")
        return None
    if backup.state is BackupState.BROKEN:
        raise BackupDamaged(f"backups/{record.id}", Damage.HASH, backup.problem)
    await repository.require_genuine(record)
    return record


def check_request(request: RestoreBackupRequest) -> None:
    """Raise `InvalidField` for what is for a cluster only."""
    target = request.target
    if any((target.immediate, target.time, target.lsn, target.xid, target.name, target.timeline)):
        raise InvalidField("target", "is for a physical backup: a dump is of one moment")
    for name in ("directory", "tablespace_mappings", "start"):
        if getattr(request, name):
            raise InvalidField(
                name, "is for a physical backup only, and this is a dump, or a table of one"
            )


def chosen_tables(
    record: CommitRecord, known: Iterable[tuple[str, str]], names: Sequence[str]
) -> list[tuple[str, str]]:
    """The tables of a dump that are named, `SCHEMA.TABLE`, or `TABLE` where that is enough.

    Raises `DumpedTableNotFound`.
    """
    chosen = []
    relations = list(known)
    for name in names:
        found = [each for each in relations if name in _names_of(each)]
        if len(found) != 1:
            raise DumpedTableNotFound(name, f"backup '{record.id}'")
        chosen.append(found[0])
    return chosen


def _may_have(record: CommitRecord, names: Sequence[str]) -> bool:
    """Whether a dump may have these tables: of one of a whole database its contents tell."""
    if not record.tables:
        return True
    tables = record.row_counts.tables if record.row_counts else ()
    known = {name for each in tables for name in _names_of((each.schema, each.table))}
    known |= {name for each in record.tables for name in (each, each.partition(".")[2])}
    return all(name in known for name in names)


def _names_of(relation: tuple[str, str]) -> set[str]:
    """How a table may be named."""
    schema, table = relation
    quoted = [part.replace('"', '""') for part in relation]
    return {f"{schema}.{table}", f'"{quoted[0]}"."{quoted[1]}"', table, f'"{quoted[1]}"'}
