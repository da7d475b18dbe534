"""Which store it is: an object in it says so, and a file on this machine which one it was.

A disk that is no longer mounted leaves an empty directory, which lists as a store without backups
and takes new ones. restic and Borg have the identity in the repository, too, and Borg keeps it
beside the client (https://borgbackup.readthedocs.io/en/stable/internals/security.html).
"""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

# No database is called so.
MARKER: Final = "_store.json"
"""The object that has the identity of the store."""

_MOST_BYTES: Final = 4096
_FORMAT: Final = 1


def new_marker() -> bytes:
    """The marker of a store that is used from now on."""
    return _written({"format": _FORMAT, "id": secrets.token_hex(16)})


def read_marker(content: bytes) -> str:
    """The identity in a marker; of one that is none, its hash, which is none of another store."""
    try:
        return str(json.loads(content)["id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return hashlib.sha256(content).hexdigest()


class KnownStores:
    """The identities of the stores that this machine has used, in files of `folder`.

    Processes of one state directory share it. Its methods block.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, url: str) -> Path:
        """The file about the store at a URL."""
        return self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    def recall(self, url: str) -> str:
        """The identity of the store that was at a URL; empty: none that is known of."""
        try:
            with self.path(url).open("rb") as file:
                return read_marker(file.read(_MOST_BYTES))
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def remember(self, url: str, id_: str) -> None:
        """Keep in mind which store is at a URL."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path(url)
        draft = path.with_suffix(f".{secrets.token_hex(4)}")
        try:
            with draft.open("xb") as file:
                file.write(_written({"url": url, "id": id_}))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _written(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, indent=1).encode() + b"\n"
