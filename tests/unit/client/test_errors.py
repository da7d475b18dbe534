"""How gRPC's errors become ours."""

import pickle

import dbops_client
import grpc
import grpc.aio
import pytest
from dbops_client._errors import error_from_rpc

from tests.unit.client.messages import database_not_found, status_details

NOT_FOUND = grpc.StatusCode.NOT_FOUND


def rpc_error(code, message="", trailing_metadata=()):
    trailing = grpc.aio.Metadata(*trailing_metadata)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=message)


def test_error_info_is_read_from_the_trailing_metadata():
    error = error_from_rpc(rpc_error(*database_not_found("shop")))
    assert type(error) is dbops_client.NotFoundError
    assert error.code is NOT_FOUND
    assert error.reason == "DATABASE_NOT_FOUND"
    assert error.metadata == {"database": "shop"}
    assert error.message == "no database 'shop' is configured"
    assert str(error) == "no database 'shop' is configured (NOT_FOUND, DATABASE_NOT_FOUND)"


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.name != "OK"])
def test_every_code_has_a_class_of_its_own(code):
    error = error_from_rpc(rpc_error(code, "why"))
    name = {"CANCELLED": "CallCancelled"}.get(code.name, code.name.title().replace("_", ""))
    assert type(error).__name__ == f"{name}Error"
    assert type(error) is getattr(dbops_client, type(error).__name__)
    assert (error.code, error.message, error.reason, error.metadata) == (code, "why", "", {})


@pytest.mark.parametrize(
    "trailing_metadata",
    [
        (),
        (("grpc-status-details-bin", b"\xff\xff\xff"),),
        (("grpc-status-details-bin", b""),),
        (("other-bin", b"x"),),
        status_details(NOT_FOUND, "m", "NOT_OURS", domain="proxy.example"),
    ],
    ids=["none", "garbage", "empty", "another key", "another domain"],
)
def test_without_our_error_info_code_and_message_stand(trailing_metadata):
    error = error_from_rpc(rpc_error(NOT_FOUND, "gone", trailing_metadata))
    assert isinstance(error, dbops_client.NotFoundError)
    assert (error.message, error.reason, error.metadata) == ("gone", "", {})


def test_a_missing_message_is_said():
    error = error_from_rpc(rpc_error(grpc.StatusCode.INTERNAL))
    assert "INTERNAL" in error.message


def test_an_error_survives_the_way_between_processes():
    error = error_from_rpc(rpc_error(*database_not_found("shop")))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (copy.code, copy.message, copy.reason, copy.metadata) == (
        error.code,
        error.message,
        error.reason,
        error.metadata,
    )
