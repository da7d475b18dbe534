"""Write tokens as TOML, and to a file that the daemon reads."""

import fcntl
import json
import os
import re
import tempfile
from pathlib import Path

from dbopsd.config import TokenConfig
from dbopsd.errors import ConfigurationError
from dbopsd.security.tokens import read_tokens

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(name: str, token: TokenConfig) -> str:
    """The `[auth.tokens.NAME]` table of a token, as the configuration and its file have it."""
    key = name if _BARE_KEY.fullmatch(name) else json.dumps(name)
    lines = [f"[auth.tokens.{key}]", f'hash = "{token.hash}"']
    if token.role is not None:
        lines.append(f'role = "{token.role}"')
    if token.databases:
        entries = [f'{database} = "{role}"' for database, role in sorted(token.databases.items())]
        lines.append(f"databases = {{ {', '.join(entries)} }}")
    if token.expire_time is not None:
        lines.append(f"expire_time = {token.expire_time.isoformat(timespec='seconds')}")
    return "\n".join(lines) + "\n"


def append_token(path: Path, name: str, token: TokenConfig) -> None:
    """Add a token to the file, which is then 0600; whoever reads it sees all of it or nothing.

    Raises `ConfigurationError` for a file that is none of tokens, or has one of that name.
    """
    try:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Of two who add at once one waits, or the other's token would be lost.
            fcntl.flock(directory, fcntl.LOCK_EX)
            _append(path, name, token)
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as exc:
        cause = (exc.strerror or "unknown").lower()
        raise ConfigurationError(str(path), f"cannot be written: {cause}") from None


def _append(path: Path, name: str, token: TokenConfig) -> None:
    text = ""
    if path.exists():
        if name in read_tokens(path):
            raise ConfigurationError(str(path), f"has a token '{name}' already: take it out first")
        text = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n"
    # 0600 from the beginning.
    descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text.lstrip("\n") + to_toml(name, token))
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            # The daemon's account, say, where root adds to its file.
            owner = path.stat()
            os.chown(written, owner.st_uid, owner.st_gid)
        Path(written).replace(path)
    except BaseException:
        Path(written).unlink()
        raise
