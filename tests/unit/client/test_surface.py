"""What others may rely on, and what the client may rely on."""

import ast
import inspect
import pkgutil
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import dbops.v1
import dbops_client
import pytest
from dbops_client import AsyncDbopsClient, AsyncOperation, DbopsClient, Operation
from dbops_client.cli.result_views import has_view
from google.longrunning import operations_pb2 as longrunning_pb2
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass

from tests.support.loaded_modules import loaded_modules
from tests.unit.client.real_server import CLIENT_PATH

CALL = ["timeout_s", "metadata"]
PAGES = ["page_size", *CALL]
WATCH = ["reconnect_for_s", *CALL]
WAIT = ["within_s", *WATCH]
# The sub-clients, their methods and the parameters of these; `**` takes the options of the request.
SUB_CLIENTS = {
    "alerts": {
        "list": ["database", "states", *PAGES],
        "watch": ["database", *WATCH],
        "silence": [
            *("rule", "for_s", "reason", "database", "labels", "request_id", "validate_only"),
            *CALL,
        ],
        "unsilence": ["silence", *CALL],
        "silences": PAGES,
        "test": ["channels", *CALL],
    },
    "backups": {
        "create": ["database", "**"],
        "get": ["database", "backup", *CALL],
        "list": ["database", "kind", "show_expired", *PAGES],
        "hold": ["database", "backup", "until", "validate_only", *CALL],
        "release": ["database", "backup", "validate_only", *CALL],
        "label": ["database", "backup", "label", "validate_only", *CALL],
        "verify": ["database", "backups", "**"],
        "delete": ["database", "backup", "**"],
        "restore": ["database", "**"],
        "drill": ["database", "**"],
        "windows": ["database", *CALL],
        "apply_retention": ["database", "**"],
        "rotate_keys": ["database", "to", "**"],
        "wal_status": ["database", *CALL],
    },
    "databases": {"list": PAGES},
    "health": {"get": ["database", *CALL], "watch": ["database", "every_probe", *WATCH]},
    "imports": {
        "plan": ["database", "source", "**"],
        "run": ["database", "source", "**"],
        "verify": ["database", "operation", "**"],
        "revert": ["database", "operation", "**"],
    },
    "metrics": {
        "list": ["database", *PAGES],
        "get": ["database", "metrics", "labels", *CALL],
        "watch": ["database", "metrics", "labels", "interval_s", "changes_only", *WATCH],
        "trends": ["database", "page_size", *CALL],
        "history": [
            *("database", "metric", "labels", "start", "end"),
            *("step_s", "aggregation", "quantile", *CALL),
        ],
    },
    "migrations": {
        "list": ["database", "set", "states", *PAGES],
        "check": ["database", "**"],
        "apply": ["database", "**"],
        "rollback": ["database", "**"],
        "baseline": ["database", "to", "reason", "**"],
        "adopt": ["database", "tool", "**"],
        "resolve": [
            *("database", "version", "resolution", "reason", "set", "request_id"),
            *("validate_only", *CALL),
        ],
    },
    "operations": {
        "get": ["operation", "result_type", *CALL],
        "list": ["filter", *PAGES],
        "wait": ["operation", *WAIT],
        "watch": ["operation", *WATCH],
        "cancel": ["operation", *CALL],
        "delete": ["operation", *CALL],
    },
    "schedules": {
        "list": ["database", *PAGES],
        "run": ["schedule", "request_id", "validate_only", *CALL],
        "pause": ["schedule", *CALL],
        "resume": ["schedule", *CALL],
    },
    "sessions": {
        "list": ["database", "blocked", "active", "background", *PAGES],
        "cancel": ["database", "pid", "start_time", "validate_only", *CALL],
        "terminate": ["database", "pid", "start_time", "validate_only", *CALL],
    },
    "settings": {"list": ["database", "changed", *PAGES]},
    "advice": {
        "list": ["database", "kinds", *CALL],
        "get": ["database", "advice", *CALL],
    },
    "statements": {
        "list": ["database", "order", "limit", "window_s", "running", *CALL],
        "explain": ["database", "query_id", "search_path", *CALL],
    },
    "workers": {"list": PAGES},
    "duties": {"list": PAGES},
}
OPERATION = {
    "name": None,
    "done": None,
    "metadata": None,
    "error": None,
    "partial_result": None,
    "message": None,
    "refresh": CALL,
    "wait": WAIT,
    "result": WAIT,
    "watch": WATCH,
    "cancel": CALL,
}


def parameters(function):
    """The names of its parameters; `**` for keywords."""
    found = list(inspect.signature(function).parameters.values())
    return ["**" if each.kind is each.VAR_KEYWORD else each.name for each in found]


def public(thing):
    return {name: getattr(thing, name) for name in dir(thing) if not name.startswith("_")}


@pytest.mark.parametrize("client_class", [DbopsClient, AsyncDbopsClient])
def test_a_client_has_these_sub_clients_with_these_methods(client_class):
    client = client_class("localhost")
    sub_clients = public(client)
    assert parameters(sub_clients.pop("close")) == []
    assert {
        name: {method: parameters(function) for method, function in public(sub_client).items()}
        for name, sub_client in sub_clients.items()
    } == SUB_CLIENTS
    asked = [parameters(client_class), parameters(client_class.__init__)[1:]]
    assert asked == 2 * [
        ["target", "token", "tls", "ca", "certificate", "key", "timeout_s", "channel"]
    ]


@pytest.mark.parametrize("operation_class", [Operation, AsyncOperation])
def test_an_operation_has_these_attributes_and_methods(operation_class):
    assert {
        name: None if isinstance(found, property) else parameters(found)[1:]
        for name, found in public(operation_class).items()
    } == OPERATION


def services():
    """The services of the contract."""
    for module in pkgutil.iter_modules(dbops.v1.__path__):
        if module.name.endswith("_pb2"):
            yield from import_module(f"dbops.v1.{module.name}").DESCRIPTOR.services_by_name.values()
    yield longrunning_pb2.DESCRIPTOR.services_by_name["Operations"]


def test_every_method_of_the_contract_is_called_by_a_sub_client():
    called = {
        node.attr
        for module in Path(dbops_client.__file__).parent.joinpath("_async").glob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert {method.name for each in services() for method in each.methods} - called == set()


def test_every_result_of_an_operation_has_a_view():
    for service in services():
        for method in service.methods:
            info = method.GetOptions().Extensions[longrunning_pb2.operation_info]
            named = info.response_type
            # Any is what a schedule starts: one of the others.
            if named and named != "google.protobuf.Any":
                name = named if "." in named else f"{service.file.package}.{named}"
                result = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))()
                assert has_view(result), f"{method.name}: {name}"


def test_the_public_surface_is_this_and_no_more():
    assert dbops_client.__all__ == [
        "AbortedError",
        "AlreadyExistsError",
        "AsyncDbopsClient",
        "AsyncOperation",
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
    loaded = loaded_modules("import dbops_client.cli.root", {"PYTHONPATH": str(CLIENT_PATH)})
    unwanted = {
        "dbopsd",
        "opentelemetry",
        "pydantic",
        "psycopg",
        "aiohttp",
        "stamina",
        "grpc_status",
    }
    assert "dbops_client.cli.root" in loaded
    assert {name.partition(".")[0] for name in loaded} & unwanted == set()


def test_a_command_is_imported_when_it_is_used():
    names = loaded_modules(
        "from dbops_client.cli.root import cli\n"
        "assert cli.get_command(None, 'workers').name == 'workers'",
        {"PYTHONPATH": str(CLIENT_PATH)},
    )
    commands = "dbops_client.cli."
    loaded = {name.removeprefix(commands) for name in names if name.startswith(commands)}
    assert "workers" in loaded
    assert not loaded & {"databases", "health", "imports", "import_views", "schedules"}
