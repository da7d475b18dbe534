"""The `dbops` command, as users run it."""

import os
import subprocess
import sys
from pathlib import Path

_TIMEOUT_S = 1200.0


def dbops(target: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it against a daemon, and have it answer as JSON."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DBOPS_")}
    return subprocess.run(
        [str(Path(sys.executable).with_name("dbops")), *arguments, "--output", "json"],
        env={**environment, "DBOPS_SERVER": target},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
