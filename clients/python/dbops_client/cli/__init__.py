"""The `dbops` command."""

import os
from typing import NoReturn


def main() -> NoReturn:
    """Run the command with the process's arguments, and exit."""
    # By default gRPC logs handshakes and retries to standard error. The command prints one line
    # that says what failed; to see more, set the variable. gRPC reads it when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from dbops_client.cli.root import cli  # noqa: PLC0415  # not before the line above

    cli.main(prog_name="dbops")
