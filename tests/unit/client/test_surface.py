"""What others may rely on, and what the client may rely on."""

import subprocess
import sys
from importlib.resources import files

import dbops_client
import pytest

from tests.unit.client.real_server import CLIENT_PATH


def test_the_public_surface_is_this_and_no_more():
    assert dbops_client.__all__ == [
        "AbortedError",
        "AlreadyExistsError",
        "AsyncDbopsClient",
        "AsyncWatch",
        "CallCancelledError",
        "ConfigurationError",
        "DataLossError",
        "DbopsClient",
        "DbopsError",
        "DeadlineExceededError",
        "FailedPreconditionError",
        "InternalError",
        "InvalidArgumentError",
        "Metadata",
        "NotFoundError",
        "Operation",
        "OutOfRangeError",
        "PermissionDeniedError",
        "ResourceExhaustedError",
        "Token",
        "UnauthenticatedError",
        "UnavailableError",
        "UnimplementedError",
        "UnknownError",
        "Watch",
    ]
    assert dir(dbops_client) == dbops_client.__all__
    for name in dbops_client.__all__:
        found = getattr(dbops_client, name)
        assert name in {"Metadata", "Token"} or found.__name__ == name
    with pytest.raises(AttributeError):
        _ = dbops_client.endpoint


def test_the_package_is_typed():
    assert files("dbops_client").joinpath("py.typed").is_file()


def test_the_client_and_the_command_need_five_distributions_only():
    program = (
        "import sys\n"
        "import dbops_client.cli.root\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted({r for r in roots if r in {'dbopsd', 'opentelemetry', 'pydantic', 'psycopg',"
        " 'aiohttp', 'stamina', 'grpc_status'}}))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(CLIENT_PATH)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == []
