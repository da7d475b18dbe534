"""Which store it is: an object in it says so, and a file on this machine which one it was.

A disk that is no longer mounted leaves an empty directory, which lists as a store without backups
and takes new ones. restic and Borg have the identity in the repository, too, and Borg keeps it
beside the client (https://borgbackup.readthedocs.io/en/stable/internals/security.html).
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

# No database is called so.
MARKER: Final = "_store.json"
"""The object that has the identity of the store."""

MOST_MARKER_BYTES: Final = 4096
"""What a marker can have, and a file about one."""

_ID: Final = re.compile(r"[0-9a-f]{32}")
_FORMAT: Final = 1


def new_marker() -> bytes:
    """The marker of a store that is used from now on."""
    return _written({"format": _FORMAT, "id": secrets.token_hex(16)})


def read_marker(content: bytes) -> str:
    """The identity in a marker. Raises ValueError unless dbopsd wrote the marker."""
    return _id(_fields(content))


@dataclass(frozen=True, slots=True)
class KnownStore:
    """A store that this machine has used, and since when (ISO 8601)."""

    id: str
    since: str


class KnownStores:
    """The identities of the stores that this machine has used for a database, a file for each URL.

    Who wants another store to take the place empties the file: an empty one says that whatever is
    there is wanted. Processes of one state directory share them. The methods block.
    """

    def __init__(self, folder: Path, database: str) -> None:
        self.database = database
        self.folder = folder / database

    def path(self, url: str) -> Path:
        """The file about the store at a URL."""
        return self.folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    def any(self) -> bool:
        """Whether anything is known of a store of the database, at whatever URL. Raises OSError."""
        try:
            return any(each.suffix == ".json" for each in self.folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def recall(self, url: str) -> KnownStore | None:
        """The store that was at a URL; None where none is known of, or any is wanted.

        Raises OSError, and ValueError unless dbopsd wrote the file.
        """
        try:
            with self.path(url).open("rb") as file:
                content = file.read(MOST_MARKER_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not content.strip():
            return None
        fields = _fields(content)
        return KnownStore(_id(fields), str(fields.get("since", "")))

    def remember(self, url: str, id_: str) -> None:
        """Keep in mind which store is at a URL. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path(url)
        draft = path.with_suffix(f".{secrets.token_hex(4)}")
        since = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            with draft.open("xb") as file:
                file.write(_written({"url": url, "id": id_, "since": since}))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _written(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, indent=1).encode() + b"\n"


def _fields(content: bytes) -> Mapping[str, Any]:
    try:
        fields: Mapping[str, Any] = dict(json.loads(content))
    except (ValueError, TypeError, RecursionError):
        raise ValueError("it is no JSON object") from None
    return fields


def _id(fields: Mapping[str, Any]) -> str:
    found = fields.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise ValueError("it has no id of a store")
    return found
