"""Standard error without a reader: what is said there is lost, and nothing else."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("said", ["standard_error().print('note')", "complain('note')"])
def test_the_command_ends_as_if_it_had_been_read(said):
    reader, writer = os.pipe()
    os.close(reader)
    program = f"from dbops_client.cli.terminal import *\n{said}\n{said}\nprint('done')"
    with os.fdopen(writer) as closed:
        ended = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=closed, check=False
        )
    assert (ended.returncode, ended.stdout) == (0, b"done\n")
