"""The system account that a server runs as. PostgreSQL refuses to run as root."""

import asyncio
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from dbopsd.db.server.errors import DataDirectoryUnusable, ServerAccountUnavailable

CREATED_ACCOUNT = "dbopsd"
PREFERRED_ACCOUNTS = ("postgres", CREATED_ACCOUNT)


@dataclass(frozen=True)
class ServerAccount:
    """An account by name and numbers; `foreign` when it is not the one this process runs as."""

    name: str
    uid: int
    gid: int

    @property
    def foreign(self) -> bool:
        return self.uid != os.geteuid()


async def server_account(data_dir: Path) -> ServerAccount:
    """The account for the server of `data_dir`.

    Ours, unless we are root. As root: the owner of an existing data directory, else `postgres`,
    else `dbopsd`, which is created if need be. Raises `ServerAccountUnavailable`, and
    `DataDirectoryUnusable` if the directory belongs to an account that we cannot act for.
    """
    owner = await asyncio.to_thread(_owner, data_dir)
    if os.geteuid() != 0:
        return _own_account(data_dir, owner)
    if owner == 0:
        raise DataDirectoryUnusable(
            directory=str(data_dir),
            problem="it belongs to root, and PostgreSQL does not run as root",
            remedy="give it to the account that it was made by (chown -R postgres)",
        )
    if owner is not None:
        return _account(pwd.getpwuid(owner)) if _known(owner) else _nameless(owner)
    for name in PREFERRED_ACCOUNTS:
        account = await asyncio.to_thread(_named, name)
        if account is not None:
            return account
    return await create_account(CREATED_ACCOUNT)


async def create_account(name: str) -> ServerAccount:
    """Create a system account without home and shell, and return it."""
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise ServerAccountUnavailable(
            account=name, problem="it does not exist, and there is no useradd to create it with"
        )
    process = await asyncio.create_subprocess_exec(
        useradd,
        *("--system", "--user-group", "--no-create-home"),
        *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    account = await asyncio.to_thread(_named, name)
    # Another daemon may have created it in between: what counts is that it is there.
    if account is None:
        raise ServerAccountUnavailable(
            account=name,
            problem=f"useradd failed ({output.decode(errors='replace').strip()})",
        )
    return account


def _owner(directory: Path) -> int | None:
    try:
        return directory.stat().st_uid
    except OSError:  # not there, or not ours to see: making it will tell
        return None


def _own_account(data_dir: Path, owner: int | None) -> ServerAccount:
    uid = os.geteuid()
    if owner is not None and owner != uid:
        raise DataDirectoryUnusable(
            directory=str(data_dir),
            problem=f"it belongs to the account with number {owner}, and dbopsd runs as {uid}",
            remedy="start dbopsd as its owner",
        )
    if not _known(uid):
        # initdb looks its own name up and ends without one; containers with a random account
        # number meet this.
        raise ServerAccountUnavailable(
            account=str(uid), problem="this account number has no entry in /etc/passwd"
        )
    return _account(pwd.getpwuid(uid))


def _nameless(uid: int) -> ServerAccount:
    """An owner without an entry: a server runs as such an account, only initdb would not."""
    return ServerAccount(name=str(uid), uid=uid, gid=uid)


def _known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _named(name: str) -> ServerAccount | None:
    try:
        return _account(pwd.getpwnam(name))
    except KeyError:
        return None


def _account(entry: pwd.struct_passwd) -> ServerAccount:
    return ServerAccount(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)
