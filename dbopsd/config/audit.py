"""`[audit]`."""

from pathlib import Path
from typing import Annotated

from pydantic import ByteSize, Field, field_validator

from dbopsd.config.values import Section


class AuditConfig(Section):
    """`[audit]`: the log of calls that change something.

    These are the methods that need the role `OPERATOR` or `ADMIN`; refused calls are logged too.
    """

    enabled: bool = True
    """Write the audit log. While it cannot be written, calls that change something are rejected."""

    path: Path | None = None
    """The path of the log, such as `/var/log/dbopsd/audit.jsonl`.

    Unset: `audit/audit.jsonl` in the state directory. Rotated files, the anchor and the lock are in
    the same directory.
    """

    rotate_bytes: ByteSize = Field(default=ByteSize(64 * 1024 * 1024), ge=4096)
    """The size at which the file is rotated, such as "64MiB"."""

    keep_files: Annotated[int, Field(ge=1)] | None = None
    """How many rotated files are kept. Unset: all. The log records each removal."""

    keep_days: Annotated[float, Field(gt=0, le=36_500)] | None = None
    """How many days a rotated file is kept, checked at each rotation. Unset: for ever."""

    otlp: bool = False
    """Also send each record to `telemetry.otlp_endpoint` as an OTLP log record."""

    @field_validator("path")
    @classmethod
    def _a_file_of_its_own(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError(f"'{value}' depends on where the daemon is started: name it from / on")
        if value is not None and value.suffix in ("", ".head", ".lock"):
            raise ValueError(f"'{value}' has no ending such as .jsonl")
        return value

    def path_in(self, state_dir: Path) -> Path:
        """Where the log is, for a daemon with that state directory."""
        return self.path or state_dir / "audit" / "audit.jsonl"
