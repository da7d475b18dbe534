"""Audit logs to look at: made by the real writer, in a directory of the test's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dbopsd.security.audit.files import LogFiles
from dbopsd.security.audit.record import Call, Record, Refused, Result, now
from dbopsd.security.audit.retention import Retention
from dbopsd.security.audit.writer import Writer

ROTATE_BYTES = 64 * 1024 * 1024


def call(number: int = 0, **fields: Any) -> Call:
    return Call(**_fields(number, fields))


def result(number: int = 0, **fields: Any) -> Result:
    return Result(**_ended({"status": "OK", **_fields(number, fields)}))


def refused(number: int = 0, **fields: Any) -> Refused:
    return Refused(**_ended({"status": "PERMISSION_DENIED", **_fields(number, fields)}))


def writer(
    path: Path, *, rotate_bytes: int = ROTATE_BYTES, retention: Retention | None = None
) -> Writer:
    return Writer(LogFiles(path), rotate_bytes=rotate_bytes, retention=retention or Retention())


def write(path: Path, *batches: Sequence[Record], **options: Any) -> None:
    """Append `batches` as a daemon would that starts, writes them and stops."""
    one = writer(path, **options)
    one.open()
    try:
        one.append([])
        for batch in batches:
            one.append(batch)
    finally:
        one.close()


def files_of(path: Path) -> list[Path]:
    """The files of the log with records in them, oldest first."""
    full = [full for _, full in LogFiles(path).all_full()]
    return [*full, path] if path.exists() else full


def lines_of(path: Path) -> list[bytes]:
    """Every line of the log, with its break."""
    return [line for file in files_of(path) for line in file.read_bytes().splitlines(True)]


def _fields(number: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "time": now(),
        "call": f"{number:032x}",
        "caller": "ann",
        "authenticated": "token",
        "peer": "127.0.0.1:5000",
        "method": "dbops.v1.BackupService/CreateBackup",
        "resource": (("parent", "databases/main"),),
        "request_id": "",
        "validate_only": False,
        "trace_id": "",
        **fields,
    }


def _ended(fields: dict[str, Any]) -> dict[str, Any]:
    return {"reason": "", "operation": "", **fields}
