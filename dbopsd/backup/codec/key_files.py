"""Key-encryption keys as the configuration names them: in files and environment variables."""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyrage

from dbopsd.backup.codec.errors import KeyUnreadable

_KEY_BYTES: Final = 32
_MOST_FILE_BYTES: Final = 4096


@dataclass(frozen=True)
class KeyEncryptionKeys:
    """The keys that data keys are wrapped by. `repr()` shows none.

    `current`: the name of the one that new data keys are wrapped by; empty: nothing is encrypted.
    `recipient`: an age recipient, whose identity the daemon does not have. `accepts_unencrypted`:
    whether what is not encrypted is read although there are keys; whoever can write to the store
    could otherwise have a cluster of his own restored.
    """

    current: str = ""
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    recipient: str = ""
    accepts_unencrypted: bool = False


def read_keys(
    current: str,
    sources: Mapping[str, str],
    recipient: str = "",
    *,
    accepts_unencrypted: bool = False,
) -> KeyEncryptionKeys:
    """Read every key, `file:PATH` or `env:NAME`. Raises `KeyUnreadable`."""
    keys = {name: _read(name, source) for name, source in sources.items()}
    if recipient:
        try:
            pyrage.x25519.Recipient.from_str(recipient)
        except pyrage.RecipientError:
            raise KeyUnreadable(
                "recovery", "is no recipient of age (`age-keygen` prints one, age1…);"
            ) from None
    return KeyEncryptionKeys(current, keys, recipient, accepts_unencrypted)


def _read(name: str, source: str) -> bytes:
    kind, _, place = source.partition(":")
    if kind == "env":
        text = os.environ.get(place)
        if text is None:
            raise KeyUnreadable(name, f"is in the variable {place}, which is not set;")
    else:
        try:
            with Path(place).open("rb") as opened:
                content = opened.read(_MOST_FILE_BYTES)
        except OSError as error:
            raise KeyUnreadable(
                name, f"is in {place}, which cannot be read: {error.strerror};"
            ) from error
        if len(content) == _KEY_BYTES:
            return content
        text = content.decode("ascii", "replace")
    try:
        key = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise KeyUnreadable(name, f"in {place} is no key;")
    return key
