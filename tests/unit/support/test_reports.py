"""Failures are described, whatever the garbage collector finds meanwhile."""

import subprocess
import sys
from pathlib import Path

from tests.support.daemon import ROOT

# Parses deeper in the stack than pytest does, as a warning of an unclosed file would.
FAILING = """
import ast
import gc


def parse(depth):
    if depth:
        parse(depth - 1)
    else:
        ast.parse("1 + 1")


def test_fails():
    gc.set_threshold(50)
    gc.callbacks.append(lambda phase, info: parse(60))
    assert 1 == 2
"""


def test_a_failure_is_one_though_the_collector_parses_meanwhile(tmp_path: Path) -> None:
    # Enough to parse that the garbage collector would begin.
    (tmp_path / "test_failing.py").write_text(FAILING + "\nLONG = [1, 2, 3]" * 500)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"),
            *("--rootdir", str(tmp_path), "--noconftest", "-q", str(tmp_path / "test_failing.py")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, f"{done.stdout}{done.stderr}"
    assert "INTERNALERROR" not in done.stdout
    assert "assert 1 == 2" in done.stdout
