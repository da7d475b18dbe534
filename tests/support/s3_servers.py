"""Real S3 servers, each a process with a bucket, and what is left on them."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from dbopsd.config.backup import DatabaseBackupConfig
from tests.support.patience import eventually_blocking

BUCKET: Final = "backups"

_BIN: Final = Path(sys.executable).parent
_START_S: Final = 30.0
_KEY: Final = "test"


@dataclass(frozen=True)
class S3Server:
    """A server that listens, with the bucket `BUCKET`."""

    name: str
    port: int
    root: Path
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def config(self, prefix: str, **more: object) -> DatabaseBackupConfig:
        """The configuration of backups below `prefix`."""
        fields = {
            "store": f"s3://{BUCKET}/{prefix}",
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key_id": _KEY,
            "secret_access_key": _KEY,
        }
        return DatabaseBackupConfig.model_validate({**fields, **more})

    def unfinished_uploads(self) -> list[str]:
        """The keys of multipart uploads that were begun and neither completed nor aborted."""
        if self.name == "localbucket":
            return [path.name for path in (self.root / ".localbucket-uploads").glob("*")]
        answer = httpx.get(f"{self.endpoint}/{BUCKET}", params={"uploads": ""})
        found = ET.fromstring(answer.raise_for_status().content)
        return [each.text or "" for each in found.iterfind(".//{*}Upload/{*}Key")]


def _moto(port: int, _root: Path) -> list[str]:
    return ["moto_server", "-H", "127.0.0.1", "-p", str(port)]


def _localbucket(port: int, root: Path) -> list[str]:
    return ["localbucket", str(root), "--port", str(port)]


def _pys3local(port: int, root: Path) -> list[str]:
    listen = f"127.0.0.1:{port}"
    options = ["--path", str(root), "--listen", listen, "--no-auth", "--allow-bucket-creation"]
    return ["pys3local", "serve", *options]


_COMMANDS: Final[Mapping[str, Callable[[int, Path], list[str]]]] = {
    "moto": _moto,
    "localbucket": _localbucket,
    "pys3local": _pys3local,
}


@contextlib.contextmanager
def s3_server(name: str, root: Path) -> Iterator[S3Server]:
    """Run `moto`, `localbucket` or `pys3local`, which overwrites what was to be created."""
    root.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    command = _COMMANDS[name](port, root)
    # A home of its own: pys3local looks for a configuration there.
    environment = {"PATH": os.environ["PATH"], "HOME": str(root)}
    with (root.parent / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(_BIN / command[0]), *command[1:]], env=environment, stdout=log, stderr=log
        )
    server = S3Server(name, port, root, process)

    def bucket_is_there() -> bool:
        if process.poll() is not None:
            raise ChildProcessError(Path(log.name).read_text())
        return httpx.put(f"{server.endpoint}/{BUCKET}").is_success

    try:
        eventually_blocking(bucket_is_there, _START_S, f"{name} answers")
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(root, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
