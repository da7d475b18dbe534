"""The key of the advisory lock of migrations."""

import hashlib
from dataclasses import dataclass

_HALF_BITS = 32
_HALF = (1 << _HALF_BITS) - 1


@dataclass(frozen=True)
class LockKey:
    """A key of 64 bits, with a sign. PostgreSQL keeps the locks of each database apart."""

    value: int

    @classmethod
    def of(cls, schema: str) -> "LockKey":
        """The key of a ledger in a schema, for ever the same."""
        digest = hashlib.sha256(f"dbopsd migrations {schema}".encode()).digest()
        return cls(int.from_bytes(digest[:8], "big", signed=True))

    @property
    def parameters(self) -> dict[str, int]:
        """The halves as `pg_locks` has them: `classid` and `objid`."""
        return {"high": self.value >> _HALF_BITS & _HALF, "low": self.value & _HALF}
