"""The code of `demo.proto`: `demo_pb2` and `demo_pb2_grpc`, generated when first imported."""

import contextlib
import hashlib
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.support.daemon import ROOT

_PROTO = Path(__file__).with_name("demo.proto")
_CACHE = ROOT / ".build" / "demo"


def _generate() -> Path:
    """The directory with the code, made anew when the proto or its compiler is another."""
    # The contract is part of it only by its name: a message's own fields are not copied.
    known = _PROTO.read_bytes() + version("grpcio-tools").encode()
    directory = _CACHE / hashlib.sha256(known).hexdigest()[:16]
    if directory.is_dir():
        return directory
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as temporary:
        new = Path(temporary) / "code"
        new.mkdir()
        subprocess.run(
            [
                *(sys.executable, "-m", "grpc_tools.protoc"),
                *(f"-I{path}" for path in (_PROTO.parent, ROOT / "protos", ROOT / "third_party")),
                *(f"--python_out={new}", f"--grpc_python_out={new}", str(_PROTO)),
            ],
            check=True,
            # "Import is unused": only the server's check of resource names looks at it.
            stderr=subprocess.DEVNULL,
        )
        # Another process may have been faster.
        with contextlib.suppress(OSError):
            new.rename(directory)
    return directory


sys.path.append(str(_generate()))

import demo_pb2  # noqa: E402
import demo_pb2_grpc  # noqa: E402

__all__ = ["demo_pb2", "demo_pb2_grpc"]
