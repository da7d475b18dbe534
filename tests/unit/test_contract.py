"""What the protos promise beyond what `buf lint` looks at, and that the code keeps to it."""

import importlib
import pkgutil
import re
from pathlib import Path

import dbops.v1
import grpc
import pytest
from dbops.v1 import health_pb2, options_pb2, resources_pb2
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

import dbopsd
from dbopsd.errors import DatabaseNotFound, DbopsError, StatusCode
from dbopsd.health.report import CheckResult, Report, ServerRole, State, summarise
from dbopsd.migrate.importer.processes.errors import TaskFailed
from dbopsd.migrate.versions.model.errors import BackupBeforeFailed
from dbopsd.operations.attempt import StepFailed
from dbopsd.operations.errors import FailedWithResult
from dbopsd.operations.record import Failure
from dbopsd.rpc.encode import encode_health

PROTOS = Path(__file__).parents[2] / "protos" / "dbops" / "v1"
MODULES = [
    importlib.import_module(f"dbops.v1.{module.name}")
    for module in pkgutil.iter_modules(dbops.v1.__path__)
    if module.name.endswith("_pb2")
]
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
# Not paged: what costs most is another list at each moment.
TOPS = ("ListStatements",)
LISTS = [method for method in METHODS if method.name.startswith("List") and method.name not in TOPS]
# AIP-133 and 134: what creates or updates a resource says it back, with what was asked for.
RESOURCES = {
    field.message_type
    for method in METHODS
    if method.name.startswith(("Create", "Update"))
    for field in method.input_type.fields
    if field.message_type is not None
}
# Times that people know by these names.
TIMES = {
    "dbops.v1.Backup.held_until",
    "dbops.v1.Backup.last_drill",
    "dbops.v1.Backup.last_verified",
    "dbops.v1.CreateBackupRequest.hold_until",
    "dbops.v1.ReachedMoment.time",
    "dbops.v1.RecoveryTarget.time",
}
MESSAGES = [
    message for module in MODULES for message in module.DESCRIPTOR.message_types_by_name.values()
]


def each(methods: list[MethodDescriptor]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("method", methods, ids=[method.full_name for method in methods])


def behaviours(field: FieldDescriptor) -> set[str]:
    values = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return {field_behavior_pb2.FieldBehavior.Name(value) for value in values}


def errors(base: type[DbopsError] = DbopsError) -> set[type[DbopsError]]:
    """Every error of the package."""
    for module in pkgutil.walk_packages(dbopsd.__path__, "dbopsd."):
        if not module.name.endswith(("__main__", "exec_as")):
            importlib.import_module(module.name)
    found, waiting = set(), [base]
    while waiting:
        error = waiting.pop()
        if error.__module__.startswith("dbopsd."):
            found.add(error)
        waiting += error.__subclasses__()
    return found


def test_every_proto_is_here() -> None:
    generated = {module.DESCRIPTOR.name for module in MODULES}
    assert generated == {f"dbops/v1/{path.name}" for path in PROTOS.glob("*.proto")}
    assert len(METHODS) >= 3


@each(METHODS)
def test_a_method_declares_its_role(method: MethodDescriptor) -> None:
    role = method.GetOptions().Extensions[options_pb2.role]
    assert role in (options_pb2.VIEWER, options_pb2.OPERATOR, options_pb2.ADMIN)


@each(METHODS)
def test_a_method_that_only_reads_says_so(method: MethodDescriptor) -> None:
    options = method.GetOptions()
    reads = re.match("(Get|List|Watch|Query|Explain)", method.name) is not None
    assert reads == (options.idempotency_level == options.NO_SIDE_EFFECTS)
    assert (method.name.startswith("Watch")) == method.server_streaming
    assert not method.client_streaming


@each(METHODS)
def test_a_request_is_the_methods_own_and_says_what_it_needs(method: MethodDescriptor) -> None:
    request = method.input_type
    assert request.name == f"{method.name}Request"
    assert request.file.package == "dbops.v1"
    for field in request.fields:
        assert len(behaviours(field) & {"REQUIRED", "OPTIONAL"}) == 1, field.full_name


@each([method for method in METHODS if method not in LISTS])
def test_an_answer_is_output_only(method: MethodDescriptor) -> None:
    if method.output_type.full_name == "google.longrunning.Operation":
        return  # Google's own, as it is
    asked = {"REQUIRED", "OPTIONAL"} if method.output_type in RESOURCES else set()
    for field in method.output_type.fields:
        assert behaviours(field) & {"OUTPUT_ONLY", "IDENTIFIER", *asked}, field.full_name


@each(LISTS)
def test_a_list_is_paged(method: MethodDescriptor) -> None:
    request, response = method.input_type.fields_by_name, method.output_type.fields_by_name
    assert request["page_size"].type == FieldDescriptor.TYPE_INT32
    assert request["page_token"].type == FieldDescriptor.TYPE_STRING
    assert {*behaviours(request["page_size"]), *behaviours(request["page_token"])} == {"OPTIONAL"}
    assert response["next_page_token"].type == FieldDescriptor.TYPE_STRING
    items, *others = [field for field in method.output_type.fields if field.is_repeated]
    assert items.number == 1
    # What is beside the items is the same on each page, and says that it is no item.
    for field in others:
        assert "OUTPUT_ONLY" in behaviours(field), field.full_name


@pytest.mark.parametrize("message", MESSAGES, ids=[message.name for message in MESSAGES])
def test_names_tell_types(message: Descriptor) -> None:
    for field in message.fields:
        kind = field.message_type.full_name if field.message_type else ""
        is_time = field.name.endswith("_time") or field.full_name in TIMES
        assert is_time == (kind == "google.protobuf.Timestamp"), field.full_name
        assert field.name not in ("status", "timestamp"), field.full_name


def test_every_reason_that_a_proto_names_is_an_errors_with_that_code() -> None:
    named = [
        found
        for path in PROTOS.glob("*.proto")
        for found in re.findall(r"// - ([A-Z_]+), `([A-Z_]+)`", path.read_text())
    ]
    assert len(named) >= 4
    by_reason = {error.reason: error for error in errors()}
    for code, reason in named:
        assert reason in by_reason, reason
        assert by_reason[reason].code.name == code, reason


def test_reasons_are_of_one_error_each() -> None:
    reasons = [error.reason for error in errors() if "reason" in vars(error)]
    assert sorted(reasons) == sorted(set(reasons))
    assert all(re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", reason) for reason in reasons)
    unnamed = [
        error for error in errors() if error.__dataclass_fields__ and "reason" not in vars(error)
    ]
    assert unnamed == []


def test_every_error_says_its_code_which_is_not_internal() -> None:
    """Callers are told nothing of an error whose code is INTERNAL."""
    found = errors()
    assert len(found) > 100
    silent = {
        error.__qualname__
        for error in found - {DbopsError}
        if not any("code" in vars(base) for base in error.__mro__ if base is not DbopsError)
        # It has the code of the error that it stands for.
        and error not in (BackupBeforeFailed, FailedWithResult, StepFailed)
    }
    assert silent == set()
    internal = {error.__qualname__ for error in found if error.code is StatusCode.INTERNAL}
    assert internal == {"BackupBeforeFailed", "DbopsError", "FailedWithResult", "StepFailed"}


def test_an_error_that_stands_for_another_has_its_code() -> None:
    cause = DatabaseNotFound("main")
    assert FailedWithResult(cause, None).code is StatusCode.NOT_FOUND
    assert BackupBeforeFailed(cause).code is StatusCode.NOT_FOUND
    assert StepFailed(Failure("DATA_LOSS", "R", "m")).code is StatusCode.DATA_LOSS
    assert TaskFailed("R", "NOT_FOUND", "m").code is StatusCode.NOT_FOUND


def test_codes_are_grpcs() -> None:
    numbers = {code.name: code.value[0] for code in grpc.StatusCode if code.value[0]}
    assert {code.name: code.value for code in StatusCode} == numbers


def test_a_reason_that_the_contract_gives_as_an_example_is_real() -> None:
    (example,) = re.findall(r"such as `([A-Z_]+)`", (PROTOS / "health.proto").read_text())
    assert example in {error.reason for error in errors()}


def test_states_and_roles_are_those_of_the_proto() -> None:
    states = set(resources_pb2.Database.State.keys()) - {"STATE_UNSPECIFIED"}
    assert {state.value for state in State} == {state.name for state in State} == states
    roles = set(resources_pb2.Database.ServerRole.keys()) - {"SERVER_ROLE_UNSPECIFIED"}
    assert {role.value for role in ServerRole} == {role.name for role in ServerRole} == roles


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("role", [None, *ServerRole])
def test_each_state_and_role_is_sent_as_itself(state: State, role: ServerRole | None) -> None:
    check = CheckResult("reachable", state, "s", message="m")
    report: Report = summarise(
        "main", [check], server_role=role, server_version="18.6", answered_at=None
    )
    sent = encode_health(report, now=0.0)
    assert resources_pb2.Database.State.Name(sent.state) == state.name
    assert resources_pb2.Database.State.Name(sent.checks[0].state) == state.name
    name = resources_pb2.Database.ServerRole.Name(sent.server_role)
    assert name == (role.name if role else "SERVER_ROLE_UNSPECIFIED")
    assert isinstance(sent, health_pb2.DatabaseHealth)
