"""Progress in a file or a pipe: lines."""

import io

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
