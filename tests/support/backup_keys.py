"""Keys for tests of backups, always the same: what they wrote can be read by later versions."""

from typing import Final

from dbopsd.backup.codec.key_files import KeyEncryptionKeys

KEYS: Final = {name: bytes([number]) * 32 for number, name in enumerate(("k1", "k2", "k3"), 1)}
RECIPIENT: Final = "age1z0k5598z7dtvtuwtg4mvz0vzzruqpy284dlp2pv4zljk08d56ynshlxy3e"
IDENTITY: Final = "AGE-SECRET-KEY-1HR9P5MG2554H0QM0L52LWMKT9MEMAL62JV2CMU0T6SR3SC7U2C3S68FALZ"


def keys(
    current: str = "k1", *names: str, recipient: str = "", accepts_unencrypted: bool = False
) -> KeyEncryptionKeys:
    """`current` and the keys of these names; without names, it alone."""
    found = {name: KEYS[name] for name in names or (current,)}
    return KeyEncryptionKeys(current, found, recipient, accepts_unencrypted)
