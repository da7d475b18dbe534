"""Progress in a file or a pipe: lines."""

import io
from datetime import timedelta

from dbops_client._sync.operations import Operation
from dbops_client.cli.progress_display import LINE_EVERY_S, Lines
from google.protobuf.empty_pb2 import Empty
from rich.console import Console

from tests.unit.client.messages import State, operation


def test_a_line_for_each_stage_and_few_for_one_that_goes_on():
    written = io.StringIO()
    now = [0.0]
    lines = Lines(Console(file=written, width=200), clock=lambda: now[0])

    def show(stage):
        message = operation(state=State.RUNNING, stage=stage)
        lines.show(Operation(message, Empty, None))

    for seconds in range(1, 9):
        show(f"apply 003 (1 of 2), at work, for {seconds} s")
    show("apply 003 (1 of 2), attempt 2, waiting for process 4711")
    show("apply 003 (1 of 2), attempt 3, waiting for process 4711")
    now[0] = LINE_EVERY_S
    show("apply 003 (1 of 2), attempt 4, waiting for process 4711")
    show("apply 004 (2 of 2)")
    shown = [line.partition(": ")[2] for line in written.getvalue().splitlines()]
    assert shown == [
        "apply 003 (1 of 2), at work, for 1 s",
        "apply 003 (1 of 2), attempt 2, waiting for process 4711",
        "apply 003 (1 of 2), attempt 4, waiting for process 4711",
        "apply 004 (2 of 2)",
    ]


def test_how_far_a_long_stage_is_makes_a_line_every_half_minute():
    written = io.StringIO()
    now = [0.0]
    lines = Lines(Console(file=written, width=200), clock=lambda: now[0])

    def show(done, **left):
        how_far = {"done": done, "total": 6, "unit": "{migrations}", **left}
        message = operation(state=State.RUNNING, stage="round trips", progress=how_far)
        lines.show(Operation(message, Empty, None))

    show(0)
    show(1)
    now[0] = LINE_EVERY_S
    show(2, rate=0.1, remaining=timedelta(seconds=40))
    show(3, rate=0.1, remaining=timedelta(seconds=30))
    shown = [line.partition(": ")[2] for line in written.getvalue().splitlines()]
    assert shown == [
        "round trips, 0 of 6 migrations",
        "round trips, 2 of 6 migrations, 0.1 migrations/s, 40 s left",
    ]
