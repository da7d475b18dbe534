"""Which databases a request is about, and which role its method needs, as the protos say."""

import pytest
from dbops.v1 import health_pb2, operations_pb2
from google.longrunning import operations_pb2 as longrunning_pb2
from grpc_health.v1 import health_pb2 as grpc_health_pb2

from dbopsd.rpc.database_names import compile_naming
from dbopsd.rpc.methods import describe
from dbopsd.security.caller import Role
from tests.unit.rpc.probe import SERVICE, ProbeInner, ProbeRequest, ProbeText


@pytest.mark.parametrize(
    ("request_", "databases"),
    [
        (health_pb2.GetHealthRequest(name="databases/main"), {"main"}),
        (health_pb2.GetHealthRequest(name="databases/main/x"), {"main"}),
        (health_pb2.GetHealthRequest(name="nonsense"), set()),
        (health_pb2.GetHealthRequest(), set()),
        (operations_pb2.ListSchedulesRequest(parent="databases/-"), set()),
        (operations_pb2.ListSchedulesRequest(parent="databases/a"), {"a"}),
        (operations_pb2.RunScheduleRequest(name="databases/a/schedules/b"), {"a"}),
        (longrunning_pb2.GetOperationRequest(name="operations/x"), set()),
        (grpc_health_pb2.HealthCheckRequest(service="databases/a"), {"a"}),
        (
            ProbeRequest(
                text="databases/not-a-name",
                optional_name="databases/a",
                names=["databases/b", "databases/c"],
                inner=ProbeInner(name="databases/d"),
                inners=[ProbeInner(name="databases/e"), ProbeInner(name="databases/f")],
            ),
            set("abcdef"),
        ),
    ],
)
def test_what_a_request_names(request_, databases):
    find = compile_naming(request_.DESCRIPTOR)
    assert find is not None
    assert find(request_) == databases


def test_a_type_that_names_nothing_costs_nothing():
    assert compile_naming(ProbeText.DESCRIPTOR) is None
    assert compile_naming(health_pb2.ListDatabasesRequest.DESCRIPTOR) is None


def test_roles_stand_in_the_protos():
    methods = describe(
        [
            SERVICE,
            longrunning_pb2.DESCRIPTOR.services_by_name["Operations"],
            grpc_health_pb2.DESCRIPTOR.services_by_name["Health"],
        ]
    )
    probe = "/dbops.v1.ProbeService/"
    assert methods[f"{probe}Ask"].role is Role.OPERATOR
    assert methods[f"{probe}NoRole"].refused
    assert methods[f"{probe}Chat"].streams_requests
    delete = methods["/google.longrunning.Operations/DeleteOperation"]
    assert (delete.role, delete.own, delete.by_operation) == (Role.OPERATOR, True, True)
    check = methods["/grpc.health.v1.Health/Check"]
    assert (check.role, check.own, check.standard) == (Role.VIEWER, False, "health")
