"""The directories of one server: who owns them, who may enter them, and files in them.

Directories are 0700 and files 0600. Only where the server's account has to pass through a
directory of ours is that 0711. Nothing above the state directory is ever changed.
"""

import errno
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from dbopsd.db.server.account import ServerAccount
from dbopsd.db.server.errors import StateDirectoryUnreachable, StateDirectoryUnusable
from dbopsd.db.server.process import run

# Asked by the account itself: mode bits alone do not know of access control lists.
_FIRST_BARRIER = 'for d; do [ -x "$d" ] || { printf %s "$d"; exit 1; }; done'


@dataclass(frozen=True)
class Layout:
    """Where things are below a server's directory."""

    directory: Path

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def initialising(self) -> Path:
        """Holds a data directory in the making; rubbish if found at a start."""
        return self.directory / "initialising"

    @property
    def log(self) -> Path:
        return self.directory / "log" / "postgresql.log"

    @property
    def sockets(self) -> Path:
        return self.directory / "run"

    @property
    def passfile(self) -> Path:
        return self.directory / "pgpass"

    @property
    def port(self) -> Path:
        return self.directory / "port"

    @property
    def copies(self) -> Path:
        return self.directory / "installation"


def make_directory(path: Path, account: ServerAccount) -> None:
    """A directory that the server's account may pass through, with its missing parents.

    One that exists keeps its mode, but for the passage of the server's account. Raises
    `StateDirectoryUnusable`.
    """
    mode = 0o711 if account.foreign else 0o700
    try:
        for missing in [each for each in (*reversed(path.parents), path) if not each.exists()]:
            missing.mkdir(mode=mode, exist_ok=True)
            missing.chmod(mode)  # whatever the umask made of it
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if account.foreign:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o011)
    except OSError as error:
        problem = error.strerror or str(error)
        raise StateDirectoryUnusable(directory=str(path), problem=problem) from error


def make_own_directory(path: Path, account: ServerAccount) -> None:
    """As `make_directory`, for one in which we trust what we find: nobody else may have made it."""
    make_directory(path, account)
    owner = path.stat().st_uid
    if owner != os.geteuid():
        raise StateDirectoryUnusable(
            directory=str(path), problem=f"it belongs to account number {owner}, not to dbopsd's"
        )


def make_private(path: Path, account: ServerAccount | None = None) -> None:
    """A 0700 directory, of the server's account if given."""
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    if account is not None and account.foreign:
        os.chown(path, account.uid, account.gid)


async def check_reachable(directory: Path, account: ServerAccount) -> None:
    """Raise `StateDirectoryUnreachable`, naming the barrier, if the account cannot enter."""
    if not account.foreign:
        return
    path = [*reversed(directory.parents), directory]
    answer = await run(
        Path("/bin/sh"),
        *("-c", _FIRST_BARRIER, "sh"),
        *(str(parent) for parent in path),
        account=account,
    )
    if answer.exit_status != 0:
        raise StateDirectoryUnreachable(
            directory=str(directory), barrier=answer.output, account=account.name
        )


def empty(path: Path) -> None:
    """Remove the files in a directory."""
    for file in path.iterdir():
        file.unlink()


def write_private(path: Path, text: str, account: ServerAccount | None = None) -> None:
    """Replace a file, 0600, at once or not at all, also across a power failure.

    `account` owns it if given. Never follows a link that the server's account may have planted.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(descriptor, 0o600)
        if account is not None and account.foreign:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.rename(path)
    sync(path.parent)


def read_text(path: Path) -> str | None:
    """The file's text; None if there is no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def sync(path: Path) -> None:
    """Make a file's content, or a directory's entries, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a directory and all below it, if it is there."""
    if path.exists():
        shutil.rmtree(path)
