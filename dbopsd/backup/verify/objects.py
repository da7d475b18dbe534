"""The objects of a backup: each is read, opened and compared with the commit record."""

from collections.abc import Callable, Sequence
from typing import Final

from dbopsd.backup.catalog.commit import CommitRecord, check_commit, read_commit
from dbopsd.backup.codec.errors import BackupDamaged, Damage, KeyMissing
from dbopsd.backup.codec.whole_object import MOST_RECORD_BYTES, read_whole
from dbopsd.backup.model.reports import Problem
from dbopsd.backup.parts import StoredObject, read_object
from dbopsd.backup.repository import Repository
from dbopsd.backup.store.errors import ObjectMissing
from dbopsd.operations.gather_or_cancel import gather_or_cancel

_READ_AT_ONCE: Final = 2
"""Each is held in memory, once as it is stored and some frames of it plain."""

_NO_WRAP: Final = "its data key is gone: no wrap of it is in the store"

Done = Callable[[int], None]
"""Takes the stored bytes of an object that has been read."""


def problem_of(error: BackupDamaged) -> Problem:
    """The error as a report has it."""
    return Problem(error.object, error.problem.value, error.detail)


async def verify_record(
    repository: Repository, key: str
) -> tuple[CommitRecord | None, tuple[Problem, ...]]:
    """The commit record, where it can be read, and what is wrong with it.

    Its seal is checked by the data key that it names. Raises `KeyMissing`, `KeyWrong` and what the
    store does.
    """
    record: CommitRecord | None = None
    try:
        content = await read_whole(repository.store, key, MOST_RECORD_BYTES)
        record = read_commit(key, content)
        if record.data_key:
            data_key = await repository.keys.load(bytes.fromhex(record.data_key))
            check_commit(key, content, data_key)
    except ObjectMissing:
        return None, (Problem(key, Damage.MISSING.value, "it is not in the store"),)
    except KeyMissing as error:
        if error.keys:
            raise
        return record, (Problem(key, Damage.MISSING.value, _NO_WRAP),)
    except BackupDamaged as error:
        return record, (problem_of(error),)
    return record, ()


async def verify_objects(
    repository: Repository, objects: Sequence[StoredObject], done: Done
) -> tuple[Problem, ...]:
    """What is wrong with these objects, in their order; two are read at once.

    Raises `KeyMissing`, `KeyWrong` and what the store does.
    """
    found: dict[int, Problem] = {}
    waiting = iter(enumerate(objects))

    async def work() -> None:
        for number, described in waiting:
            try:
                frames = read_object(repository.store, repository.keys, described.path, described)
                async for _ in frames:
                    pass
            except BackupDamaged as error:
                found[number] = problem_of(error)
            except KeyMissing as error:
                if error.keys:
                    raise
                found[number] = Problem(described.path, Damage.MISSING.value, _NO_WRAP)
            done(described.stored_bytes)

    await gather_or_cancel(work() for _ in range(_READ_AT_ONCE))
    return tuple(found[number] for number in sorted(found))
