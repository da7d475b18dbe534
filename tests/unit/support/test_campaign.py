"""The campaign's judge finds what it is there to find."""

from typing import Any

import pytest
from dbops.v1 import operations_pb2
from google.longrunning import operations_pb2 as longrunning_pb2

from tests.support.campaign import Asked, judge_operation
from tests.support.demo.generated import demo_pb2
from tests.support.demo.ledger import BEGIN, CLEANED, END, Entry

State = operations_pb2.OperationMetadata
REQUEST = demo_pb2.RunDemoRequest(request_id="one", steps=2)


def entries(*lines: tuple[int, int, str]) -> list[Entry]:
    return [Entry("op", attempt, step, what, 1) for attempt, step, what in lines]


def done(state: Any, attempt: int, *step_attempts: int) -> Any:
    operation = longrunning_pb2.Operation(name="operations/op", done=True)
    operation.metadata.Pack(State(request_id="one", state=state, attempt=attempt))
    if state == State.SUCCEEDED:
        operation.response.Pack(
            demo_pb2.DemoResponse(steps_done=2, attempts=attempt, step_attempts=step_attempts)
        )
    if state == State.CANCELLED:
        operation.error.code = 1
    return operation


FIRST = [(1, 1, BEGIN), (1, 1, END)]
SECOND = [(1, 2, BEGIN), (1, 2, END)]
SECOND_LIFE = [(2, step, what) for step in (1, 2) for what in (BEGIN, END)]


@pytest.mark.parametrize(
    ("attempt", "step_attempts", "lines"),
    [
        (1, (1, 1), [*FIRST, *SECOND]),
        (2, (1, 2), [*FIRST, (1, 2, BEGIN), (2, 2, BEGIN), (2, 2, END)]),
        # It died between doing the step and recording it.
        (2, (1, 2), [*FIRST, *SECOND, (2, 2, BEGIN), (2, 2, END)]),
    ],
)
def test_a_life_that_keeps_the_promises_passes(
    attempt: int, step_attempts: tuple[int, ...], lines: list[tuple[int, int, str]]
) -> None:
    operation = done(State.SUCCEEDED, attempt, *step_attempts)
    assert judge_operation(Asked(REQUEST), operation, entries(*lines)) == "SUCCEEDED"


@pytest.mark.parametrize(
    ("attempt", "step_attempts", "lines", "complaint"),
    [
        (1, (1, 1), FIRST, "step 2: "),
        (1, (1, 1), [*FIRST, *FIRST, *SECOND], "step 1: "),
        (2, (2, 2), [*FIRST, *SECOND, *SECOND_LIFE], "though the next had begun"),
        (2, (1, 1), [*FIRST, *SECOND, (2, 2, BEGIN)], "done again when it was done"),
        (1, (1, 1), [*FIRST, *SECOND, (2, 1, BEGIN)], "an attempt after the last one"),
        (2, (1, 2), [(2, 2, BEGIN), *FIRST, (2, 2, END)], "two attempts side by side"),
    ],
)
def test_a_life_that_breaks_one_does_not(
    attempt: int,
    step_attempts: tuple[int, ...],
    lines: list[tuple[int, int, str]],
    complaint: str,
) -> None:
    operation = done(State.SUCCEEDED, attempt, *step_attempts)
    with pytest.raises(AssertionError, match=complaint):
        judge_operation(Asked(REQUEST), operation, entries(*lines))


def test_one_that_was_cancelled_has_cleaned_up_and_was_asked_to() -> None:
    cancelled = done(State.CANCELLED, 1)
    asked = Asked(REQUEST, cancelled=True)
    assert judge_operation(asked, cancelled, entries(*FIRST, (1, 0, CLEANED))) == "CANCELLED"
    with pytest.raises(AssertionError):
        judge_operation(asked, cancelled, entries(*FIRST))
    with pytest.raises(AssertionError):
        judge_operation(Asked(REQUEST), cancelled, entries(*FIRST, (1, 0, CLEANED)))


def test_one_that_shows_as_running_is_not_at_its_end() -> None:
    with pytest.raises(AssertionError, match="RUNNING"):
        judge_operation(Asked(REQUEST), done(State.RUNNING, 1), entries(*FIRST))
