"""The `dbops` command."""

import os
from typing import NoReturn


def main() -> NoReturn:
    """Run the command with the process's arguments, and exit."""
    # gRPC logs handshakes and retries to standard error by itself, beside the one line that says
    # what failed. Who looks for more sets the variable. gRPC reads it when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from dbops_client.cli.root import cli  # noqa: PLC0415  # after the line above

    cli.main(prog_name="dbops")
