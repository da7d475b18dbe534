"""Starting operations through a method of a service."""

import grpc
import pytest
from dbops.v1 import operations_pb2
from google.protobuf.duration_pb2 import Duration

from tests.unit.rpc.answers import refused
from tests.unit.rpc.api import Api, metadata_of

M = operations_pb2.OperationMetadata


async def count(api: Api) -> int:
    return len((await api.list()).operations)


async def test_it_is_there_at_once(api):
    started = await api.run_demo(request_id="r-1")
    found = metadata_of(started)
    assert not started.done
    assert (found.state, found.kind, found.requester) == (M.QUEUED, "demo", "admin")
    assert len(found.trace_id) == 32
    assert (await api.get(started.name)).name == started.name


async def test_the_same_request_id_is_one_operation(api, operations_channel):
    first = await api.run_demo(request_id="r-1")
    assert (await api.run_demo(request_id="r-1")).name == first.name
    assert (await api.run_demo()).name != first.name
    other = Api(operations_channel, "main-operator")
    assert (await other.run_demo(request_id="r-1")).name != first.name


async def test_a_deadline_is_shown(api):
    found = metadata_of(await api.run_demo(timeout=Duration(seconds=60)))
    assert found.deadline_time.ToSeconds() - found.create_time.ToSeconds() == 60


@pytest.mark.parametrize("validate_only", [False, True])
class TestRefused:
    """Where starting fails, validating does, in the same way; and nothing is left of either."""

    async def test_a_request_id_of_another_request(self, api, validate_only):
        first = await api.run_demo(request_id="r-1")
        answer = await refused(api.run_demo(request_id="r-1", steps=7, validate_only=validate_only))
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.ALREADY_EXISTS,
            "REQUEST_ID_REUSED",
        )
        assert first.name in answer.text
        assert await count(api) == 1

    async def test_one_in_the_way(self, api, validate_only):
        first = await api.run_exclusive_demo()
        answer = await refused(api.run_exclusive_demo(validate_only=validate_only))
        assert (answer.code, answer.reason) == (grpc.StatusCode.ABORTED, "OPERATION_IN_THE_WAY")
        assert answer.metadata["operation"] == first.name
        assert await count(api) == 1

    @pytest.mark.parametrize("request_id", ["x" * 65, "é", "a\tb", "\x7f", "\0"])
    async def test_a_request_id_that_is_none(self, api, validate_only, request_id):
        answer = await refused(api.run_demo(request_id=request_id, validate_only=validate_only))
        assert (answer.code, answer.metadata["field"]) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "request_id",
        )
        assert await count(api) == 0

    @pytest.mark.parametrize(
        "timeout", [Duration(), Duration(seconds=-1), Duration(seconds=2**62), Duration(nanos=-5)]
    )
    async def test_a_time_that_is_none(self, api, validate_only, timeout):
        answer = await refused(api.run_demo(timeout=timeout, validate_only=validate_only))
        assert (answer.code, answer.metadata["field"]) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "timeout",
        )
        assert await count(api) == 0

    @pytest.mark.parametrize(
        ("caller", "method"),
        [
            ("viewer", "run_demo"),
            ("other-viewer", "run_demo"),
            ("operator", "run_exclusive_demo"),
            ("main-operator", "run_exclusive_demo"),
        ],
    )
    async def test_who_may_not(self, api, operations_channel, validate_only, caller, method):
        start = getattr(Api(operations_channel, caller), method)
        answer = await refused(start(validate_only=validate_only))
        assert answer.code is grpc.StatusCode.PERMISSION_DENIED
        assert await count(api) == 0


class TestValidateOnly:
    async def test_nothing_starts(self, api):
        answer = await api.run_exclusive_demo(request_id="r 1", validate_only=True)
        assert (answer.name, answer.done, answer.WhichOneof("result")) == ("", True, None)
        found = metadata_of(answer)
        assert (found.database, found.kind) == ("databases/main", "demo-exclusive")
        assert (found.requester, found.request_id) == ("admin", "r 1")
        assert (found.state, found.HasField("create_time")) == (M.STATE_UNSPECIFIED, False)
        assert await count(api) == 0
        assert (await api.run_exclusive_demo(request_id="r 1")).name

    async def test_one_that_was_asked_for_before_would_be_found(self, api):
        await api.run_exclusive_demo(request_id="r-1")
        answer = await api.run_exclusive_demo(request_id="r-1", validate_only=True)
        assert (answer.name, answer.done) == ("", True)
