"""Verifies the content of a dump: it is read to its end, and has the rows it was taken with.

Of a dump of the schema alone, that it has none.
"""

from dbopsd.backup.catalog.commit import CommitRecord
from dbopsd.backup.codec.errors import BackupDamaged, Damage
from dbopsd.backup.logical.errors import DumpIncomplete
from dbopsd.backup.logical.stored_dump import newest_reader, read_to_end
from dbopsd.backup.model.reports import Problem
from dbopsd.backup.repository import Repository
from dbopsd.backup.verify.objects import problem_of
from dbopsd.db.client_tools import installations
from dbopsd.operations.kind import Run


async def verify_dump(
    run: Run, repository: Repository, record: CommitRecord
) -> tuple[Problem, ...]:
    """What is wrong with a dump whose objects are as they were stored.

    Raises `ToolsTooOld` where no `pg_restore` is here, and `ScratchTooSmall`.
    """
    run.progress("contents")
    found = await installations(run.database.config.pg_bin)
    reader = newest_reader(run.database.name, found)
    try:
        dump = await read_to_end(run, repository, record, reader, run.scratch)
        dump.require_content(record)
    except BackupDamaged as damaged:
        return (problem_of(damaged),)
    except DumpIncomplete as incomplete:
        key = repository.layout(record.system_identifier).commit(record.id)
        return (Problem(key, Damage.HASH.value, incomplete.problem),)
    return ()
