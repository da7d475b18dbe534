"""Which modules a program has loaded once it has run."""

import subprocess
import sys
from collections.abc import Mapping


def loaded_modules(program: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """The modules that a fresh Python has loaded after `program`, by their full names."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())
