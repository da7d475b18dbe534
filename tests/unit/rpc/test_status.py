"""What is recorded of why an operation failed, and the codes of errors of operations."""

import grpc
import pytest

from dbopsd.errors import DbopsError, InvalidField
from dbopsd.operations import errors
from dbopsd.operations.record import Failure
from dbopsd.rpc.status import code_of, failure_of

ERRORS = [
    (errors.OperationNotFound("x"), "NOT_FOUND"),
    (errors.ScheduleNotFound("x"), "NOT_FOUND"),
    (errors.OperationInTheWay("k", "d", "o"), "ABORTED"),
    (errors.RequestIdReused("r", "o"), "ALREADY_EXISTS"),
    (errors.OperationDone("o", "FAILED"), "FAILED_PRECONDITION"),
    (errors.OperationNotDone("o", "QUEUED"), "FAILED_PRECONDITION"),
    (errors.OperationCancelled("o"), "CANCELLED"),
    (errors.OperationTimedOut("o", 5), "DEADLINE_EXCEEDED"),
    (errors.WorkersLost("o", 3, "copying"), "ABORTED"),
    (errors.UnknownKind("k"), "UNIMPLEMENTED"),
    (errors.DutyLost("databases/main/duties/receive-wal"), "ABORTED"),
    (errors.ChildNotStarted("pg_dump", "it is not installed"), "FAILED_PRECONDITION"),
    (errors.ChildOutputTooLarge("pg_dump", 10), "RESOURCE_EXHAUSTED"),
    (errors.FailedWithResult(errors.OperationTimedOut("o", 5), None), "DEADLINE_EXCEEDED"),
    (errors.CleanUpFailed("o", "was cancelled", "disk full"), "FAILED_PRECONDITION"),
    (errors.ControlStoreUnavailable("x.db", "disk full"), "UNAVAILABLE"),
    (errors.ControlStoreNewer("x.db", "version 2"), "UNAVAILABLE"),
]


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: type(value).__name__)
def test_each_error_has_its_code(error, code):
    assert code_of(error).name == code
    assert failure_of(error) == Failure(code, error.reason, error.message, error.metadata)


def test_no_error_of_operations_is_left_out():
    named = {type(error) for error, _ in ERRORS}
    defined = {
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, DbopsError) and each is not DbopsError
    }
    assert defined == named


def test_a_long_message_is_cut():
    assert len(failure_of(InvalidField("field", "x" * 10_000)).message) < 600


class Unmapped(DbopsError):
    @property
    def message(self) -> str:
        return "the secret is squirrel"


@pytest.mark.parametrize(
    "error", [RuntimeError("the secret is squirrel"), Unmapped(), KeyboardInterrupt("squirrel")]
)
def test_an_unforeseen_one_keeps_its_text_to_the_log(error):
    failure = failure_of(error)
    assert (failure.code, failure.reason) == (grpc.StatusCode.INTERNAL.name, "INTERNAL")
    assert "the log of the worker" in failure.message
    assert "squirrel" not in f"{failure.message}{failure.metadata}{failure.reason}"
    assert type(error).__name__ not in failure.message
