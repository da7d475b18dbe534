"""The keys of the advisory locks of migrations."""

import hashlib
import zlib
from dataclasses import dataclass

_HALF_BITS = 32
_HALF = (1 << _HALF_BITS) - 1

NO_MIGRATION = 0
"""The mark of a transaction that runs no migration for good."""


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

    def marking(self, mark: int) -> tuple[int, int]:
        """The two keys of a lock that tells others which migration a transaction runs."""
        return self.value >> _HALF_BITS, mark - (mark >> (_HALF_BITS - 1) << _HALF_BITS)


def mark_of(set_: str, key: str) -> int:
    """What stands for a migration in `pg_locks`, as `objid`; two may have the same."""
    return zlib.crc32(f"{set_}\0{key}".encode())
