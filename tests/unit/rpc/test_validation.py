"""Checks that are read from the protos."""

import pytest
from dbops.v1 import health_pb2, options_pb2
from google.api import resource_pb2
from google.protobuf import descriptor_pb2, descriptor_pool

from dbopsd.errors import InvalidField
from dbopsd.rpc.methods import describe
from dbopsd.rpc.validation import compile_validator
from tests.unit.rpc.answers import refused
from tests.unit.rpc.probe import SERVICE, ProbeInner, ProbeRequest

MAIN = ProbeInner(name="databases/main")


def request(**fields):
    return ProbeRequest(**{"text": "x", "must": MAIN, **fields})


validate = compile_validator(ProbeRequest.DESCRIPTOR)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"optional_name": "databases/main"},
        {"names": ["databases/a", "databases/a-1", "databases/" + "a" * 63]},
        {"inner": MAIN, "inners": [MAIN, MAIN]},
    ],
)
def test_good_requests_pass(fields):
    validate(request(**fields))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": " \t"}, "text"),
        ({"must": None}, "must"),
        ({"must": ProbeInner()}, "must.name"),
        ({"optional_name": "main"}, "optional_name"),
        ({"names": ["databases/a", "databases/-"]}, "names[1]"),
        ({"names": [""]}, "names[0]"),
        ({"names": ["databases/" + "a" * 64]}, "names[0]"),
        ({"names": ["databases/a-"]}, "names[0]"),
        ({"names": ["databases/a\n"]}, "names[0]"),
        ({"names": ["/databases/a"]}, "names[0]"),
        ({"inner": ProbeInner()}, "inner.name"),
        ({"inners": [MAIN, ProbeInner(name="nope")]}, "inners[1].name"),
    ],
)
def test_bad_ones_name_the_field(fields, field):
    with pytest.raises(InvalidField) as caught:
        validate(request(**fields))
    assert caught.value.field == field


def test_a_type_without_annotations_costs_nothing():
    assert compile_validator(health_pb2.ListDatabasesRequest.DESCRIPTOR) is None


def test_a_reference_to_nothing_is_found_at_start():
    file = descriptor_pb2.FileDescriptorProto(name="tests/lost.proto", package="lost")
    file.dependency.append("google/api/resource.proto")
    field = file.message_type.add(name="Lost").field.add(name="name", number=1, type=9, label=1)
    field.options.Extensions[resource_pb2.resource_reference].type = "dbops.v1/Lost"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    with pytest.raises(ValueError, match=r"dbops\.v1/Lost"):
        compile_validator(pool.FindMessageTypeByName("lost.Lost"))


async def test_the_server_validates(channel):
    call = channel.unary_unary("/dbops.v1.ProbeService/Validate")
    assert await call(request().SerializeToString()) == b"\x0a\x01x"
    answer = await refused(call(request(names=["nope"]).SerializeToString()))
    assert answer.violations == [("names[0]", "is not of the form databases/{database}")]


class TestMethods:
    def test_roles_are_read_from_the_proto(self):
        methods = describe([health_pb2.DESCRIPTOR.services_by_name["HealthService"], SERVICE])
        assert methods["/dbops.v1.HealthService/GetHealth"].role == options_pb2.VIEWER
        assert methods["/dbops.v1.ProbeService/Ask"].role == options_pb2.OPERATOR
        assert not methods["/dbops.v1.ProbeService/Ask"].refused
        assert methods["/dbops.v1.ProbeService/NoRole"].refused

    def test_every_method_of_the_contract_declares_one(self):
        for method in describe([health_pb2.DESCRIPTOR.services_by_name["HealthService"]]).values():
            assert method.role is not None, method.path
