"""Have every data key wrapped by another key. What is encrypted stays as it is."""

from dbopsd.backup.model.reports import RotateReport
from dbopsd.backup.model.requests import RotateKeysRequest
from dbopsd.backup.repository import repository_of
from dbopsd.backup.wal.first_use import prepare_store
from dbopsd.operations.kind import Run


async def rotate_keys(run: Run, request: RotateKeysRequest) -> RotateReport:
    """Wrap all data keys by the key `to`, and delete the wraps by other keys.

    A data key always has a wrap that opens: its new one is read back before an old one goes. So
    it may end anywhere, and be begun again. Raises `KeyMissing` and `KeyWrong`.
    """
    async with repository_of(run) as repository:
        await prepare_store(repository, run.database, run.state_dir)

        def progress(done: int, total: int) -> None:
            run.progress("wrapping data keys", done, total, "{key}")

        done = await repository.keys.rotate(request.to, progress)
    return RotateReport(done.rewrapped, request.to)
