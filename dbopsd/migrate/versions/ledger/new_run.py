"""A run of a migration before the ledger has it."""

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.migration_file import MigrationFile

SHA256: Final = "sha256"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class NewRun:
    """A run of one direction of a migration, as it is to be recorded.

    Its fields are those of `LedgerRun`; the ledger itself adds the id and the backend.
    """

    set: str
    key: str
    version: str
    name: str
    direction: Direction
    result: Result = Result.DONE
    checksum: str = ""
    checksum_algorithm: str = ""
    normalised_checksum: str = ""
    started_at: datetime | None = None
    """None: now."""
    finished_at: datetime | None = None
    """None: now, unless it is RUNNING."""
    statements: int = 0
    statements_done: int = 0
    operation: str = ""
    who: str = ""
    fingerprint: str = ""
    reason: str = ""
    backup: str = ""
    problem: str = ""
    request_id: str = ""
    done_digest: str = ""

    @classmethod
    def of(
        cls,
        file: MigrationFile,
        direction: Direction,
        *,
        operation: str = "",
        who: str = "",
        statements: int = 0,
        reason: str = "",
        backup: str = "",
    ) -> "NewRun":
        """A run of what a folder has. Raises ValueError for a rollback that there is not."""
        return cls(
            set=file.set,
            key=file.key,
            version=file.version,
            name=file.name,
            direction=direction,
            checksum=checksum_of(file, direction),
            checksum_algorithm=SHA256,
            normalised_checksum=normalised_checksum(_content(file, direction)),
            statements=statements,
            operation=operation,
            who=who,
            reason=reason,
            backup=backup,
        )

    @classmethod
    def like(cls, run: LedgerRun, direction: Direction) -> "NewRun":
        """A run of the same file as another one, which the folder may no longer have."""
        return cls(
            set=run.set,
            key=run.key,
            version=run.version,
            name=run.name,
            direction=direction,
            checksum=run.checksum,
            checksum_algorithm=run.checksum_algorithm,
            normalised_checksum=run.normalised_checksum,
        )

    def preview(self, id_: int, now: datetime) -> LedgerRun:
        """The row that recording it now would make."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values |= {"started_at": self.started_at or now, "finished_at": self.finished_at or now}
        return LedgerRun(id=id_, **values)


def checksum_of(file: MigrationFile, direction: Direction) -> str:
    """SHA-256 of what runs in a direction, in hexadecimal: of the file, or the rollback's SQL."""
    if direction is not Direction.DOWN:
        return file.checksum
    return hashlib.sha256(_content(file, direction)).hexdigest()


def normalised_checksum(content: bytes) -> str:
    """SHA-256 of a file whatever its line ends are, and whether it has a byte order mark."""
    text = content.removeprefix(_BYTE_ORDER_MARK).replace(b"\r\n", b"\n")
    return hashlib.sha256(text).hexdigest()


def _content(file: MigrationFile, direction: Direction) -> bytes:
    if direction is not Direction.DOWN:
        return file.content
    if file.down is None:
        raise ValueError(f"migration {file.key} has no rollback")
    return file.down.text.encode()
