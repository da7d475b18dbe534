"""Small objects of JSON: with a format, and a hash that binds fields and name."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from dbopsd.backup.codec.errors import BackupDamaged, Damage

_FORMAT: Final = 1


def seal_json(key: str, fields: Mapping[str, Any]) -> bytes:
    """The object `key` with these fields, which JSON can write."""
    content = {"format": _FORMAT, "fields": dict(fields)}
    sealed = {**content, "sha256": _hash(key, content)}
    return json.dumps(sealed, indent=1, sort_keys=True).encode() + b"\n"


def open_json(key: str, stored: bytes) -> Mapping[str, Any]:
    """The fields. Raises `BackupDamaged` where they are not those of this object."""
    try:
        content = json.loads(stored)
        sealed = content.pop("sha256")
        if content["format"] != _FORMAT:
            detail = f"it has format {content['format']}, and this version reads {_FORMAT}"
            raise BackupDamaged(key, Damage.FOREIGN, f"{detail}: update dbopsd")
        if sealed != _hash(key, content):
            detail = "it is not as it was written, or another object"
            raise BackupDamaged(key, Damage.HASH, detail)
        fields: Mapping[str, Any] = content["fields"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if not stored.strip():
            raise BackupDamaged(key, Damage.TRUNCATED, "it is empty") from error
        raise BackupDamaged(key, Damage.HASH, "it is none of dbopsd's objects") from error
    return fields


def _hash(key: str, content: Mapping[str, Any]) -> str:
    canonical = json.dumps([key, content], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
