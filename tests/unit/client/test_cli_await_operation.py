"""An awaited operation on a real terminal, and Ctrl-C there and elsewhere."""

import asyncio
import json
import signal

import pytest
from dbops.v1 import resources_pb2

from tests.support.patience import eventually, eventually_blocking
from tests.unit.client.messages import State, operation, progressing
from tests.unit.client.real_server import end_of, run_dbops
from tests.unit.client.terminal import CTRL_C, TerminalSession

RESULT = resources_pb2.Database(name="databases/copy")
QUESTION = "go on watching? [c/l/w]"
GOES_ON = (
    "operations/7f3a is still running. To watch it run 'dbops operations watch operations/7f3a'"
)


@pytest.fixture
def on_terminal(operations_server):
    """Start the command on a terminal, with an operation that runs."""
    started = []

    def start(*args):
        running = {"state": State.RUNNING, "stage": "copying"}
        operations_server.put(operation(**running, progress=progressing(512, 2048)))
        started.append(TerminalSession("--server", operations_server.target, *args))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_a_bar_shows_stage_progress_and_attempt_and_goes_away(operations_server, on_terminal):
    terminal = on_terminal("operations", "wait", "7f3a")
    terminal.wait_for("create-backup main: copying")
    terminal.wait_for("512 B of 2.0 KiB")
    verifying = {"state": State.RUNNING, "stage": "verifying [x]", "attempt": 2}
    operations_server.put(operation(**verifying))
    terminal.wait_for("create-backup main: verifying [x]")
    terminal.wait_for("attempt 2, the worker was lost")
    operations_server.put(operation(response=RESULT))
    code, stdout, shown = terminal.end()
    assert code == 0
    assert '"name": "databases/copy"' in stdout
    assert shown.rstrip("\r\n").endswith("\x1b[2K")  # the bar's line is cleared


def test_ctrl_c_and_c_cancel_it(operations_server, on_terminal):
    operations_server.ends_cancelled = False
    terminal = on_terminal("operations", "wait", "7f3a")
    terminal.wait_for("copying")
    terminal.type(CTRL_C)
    terminal.wait_for(QUESTION)
    terminal.type("c\n")
    terminal.wait_for("create-backup main: cancelling")  # and it is awaited still
    operations_server.put(operation(error=("CANCELLED", "operations/7f3a was cancelled", "")))
    code, stdout, shown = terminal.end()
    assert (code, stdout) == (1, "")
    assert (
        "dbops: operations/7f3a was cancelled (CANCELLED). For details run 'dbops operations get"
        in shown
    )


@pytest.mark.parametrize("answer", ["l\n", "leave\n", CTRL_C, "\x04"])
def test_ctrl_c_and_l_or_ctrl_c_again_leave_it_running(operations_server, on_terminal, answer):
    terminal = on_terminal("operations", "wait", "7f3a", "--output", "json")
    terminal.wait_for("copying")
    terminal.type(CTRL_C)
    terminal.wait_for(QUESTION)
    terminal.type(answer)
    code, stdout, shown = terminal.end()
    assert (code, stdout) == (3, "")
    assert GOES_ON in shown
    assert operations_server.named("CancelOperation") == []


def test_ctrl_c_and_w_go_on_watching(operations_server, on_terminal):
    terminal = on_terminal("operations", "wait", "7f3a")
    terminal.wait_for("copying")
    terminal.type(CTRL_C)
    terminal.wait_for(QUESTION)
    terminal.type("what\n")
    terminal.wait_for(QUESTION)  # neither one nor another: it asks again
    terminal.type("w\n")
    terminal.wait_for("copying")
    operations_server.put(operation(state=State.RUNNING, stage="verifying"))
    terminal.wait_for("verifying")
    operations_server.put(operation(response=RESULT))
    assert terminal.end()[0] == 0
    assert operations_server.named("CancelOperation") == []


def test_what_ends_during_the_question_has_ended(operations_server, on_terminal):
    terminal = on_terminal("operations", "wait", "7f3a")
    terminal.wait_for("copying")
    terminal.type(CTRL_C)
    terminal.wait_for(QUESTION)
    operations_server.put(operation(response=RESULT))
    terminal.wait_for("it has ended in the meantime")
    assert terminal.end()[0] == 0


def test_cancelling_that_is_refused_is_said_and_the_watch_goes_on(operations_server, on_terminal):
    operations_server.fail("CancelOperation", ("PERMISSION_DENIED", "OPERATOR is needed"))
    terminal = on_terminal("operations", "wait", "7f3a")
    terminal.wait_for("copying")
    terminal.type(CTRL_C)
    terminal.wait_for(QUESTION)
    terminal.type("c\n")
    terminal.wait_for("it could not be cancelled")
    terminal.wait_for("OPERATOR is needed")
    terminal.wait_for("copying")
    operations_server.put(operation(response=RESULT))
    assert terminal.end()[0] == 0


def test_a_lost_connection_is_said_after_a_while_and_taken_up_again(operations_server, on_terminal):
    terminal = on_terminal("operations", "wait", "7f3a")
    terminal.wait_for("512 B of 2.0 KiB")
    operations_server.stop()
    terminal.wait_for("dbopsd has been away for")
    operations_server.start()
    terminal.wait_for("512 B of 2.0 KiB")
    operations_server.put(operation(response=RESULT))
    assert terminal.end()[0] == 0


async def test_elsewhere_ctrl_c_leaves_it_running_and_says_how_to_watch(operations_server):
    operations_server.put(operation(state=State.RUNNING, stage="copying"))
    process = await run_dbops("--server", operations_server.target, "operations", "wait", "7f3a")
    line = await asyncio.wait_for(process.stderr.readline(), 20)
    assert line.rstrip().endswith(b"create-backup main: copying")
    process.send_signal(signal.SIGINT)
    stdout, stderr = await end_of(process)
    assert (process.returncode, stdout) == (3, b"")
    assert stderr.decode() == f"dbops: {GOES_ON}\n"
    assert operations_server.named("CancelOperation") == []


async def test_an_operation_that_the_command_started_is_left_running_too(operations_server):
    server = ("--server", operations_server.target)
    process = await run_dbops(*server, "import", "run", "/srv/app.db", "--database", "main")
    await asyncio.wait_for(process.stderr.readline(), 20)
    process.send_signal(signal.SIGINT)
    stdout, stderr = await end_of(process)
    assert (process.returncode, stdout) == (3, b"")
    assert b"is still running. To watch it run 'dbops operations watch" in stderr
    assert operations_server.named("CancelOperation") == []


async def go_away(process):
    """Read its standard error no more."""
    pipe = process._transport.get_pipe_transport(2)
    pipe.close()
    while not pipe.get_extra_info("pipe").closed:
        await asyncio.sleep(0.01)


async def test_a_reader_of_the_progress_that_goes_away_does_not_end_it(operations_server):
    operations_server.put(operation(state=State.RUNNING, stage="copying"))
    process = await run_dbops("--server", operations_server.target, "operations", "wait", "7f3a")
    await asyncio.wait_for(process.stderr.readline(), 20)
    await go_away(process)
    operations_server.put(operation(state=State.RUNNING, stage="verifying"))
    operations_server.put(operation(response=RESULT))
    stdout = await asyncio.wait_for(process.stdout.read(), 20)
    assert await process.wait() == 0
    assert b"databases/copy" in stdout


async def test_a_failure_that_nobody_is_there_to_read_has_its_exit_code(operations_server):
    operations_server.put(operation(state=State.RUNNING, stage="copying"))
    process = await run_dbops("--server", operations_server.target, "operations", "wait", "7f3a")
    await asyncio.wait_for(process.stderr.readline(), 20)
    await go_away(process)
    operations_server.put(operation(error=("INTERNAL", "odd", "ODD")))
    await asyncio.wait_for(process.stdout.read(), 20)
    assert await process.wait() == 1


async def test_elsewhere_a_lost_connection_is_a_line_when_it_lasts(operations_server):
    operations_server.put(operation(state=State.RUNNING, stage="copying"))
    process = await run_dbops(
        *("--server", operations_server.target, "operations", "wait", "7f3a", "--output", "json")
    )
    await eventually(lambda: operations_server.named("WatchOperation"), 20)
    await asyncio.to_thread(operations_server.stop)
    said = []
    while not said or b"away" not in said[-1]:
        said.append(await asyncio.wait_for(process.stderr.readline(), 20))
    await asyncio.to_thread(operations_server.start)
    assert b"reconnected" in await asyncio.wait_for(process.stderr.readline(), 20)
    operations_server.put(operation(response=RESULT))
    stdout, _ = await end_of(process)
    assert process.returncode == 0
    assert json.loads(stdout)["response"]["name"] == "databases/copy"


def test_the_token_is_shown_nowhere(operations_server, on_terminal, tmp_path):
    file = tmp_path / "token"
    file.write_text("t0ken\n")
    terminal = on_terminal("operations", "wait", "7f3a", "--token-file", str(file))
    terminal.wait_for("copying")
    sent = eventually_blocking(lambda: operations_server.calls)[0][2]
    assert sent["authorization"] == "Bearer t0ken"
    operations_server.put(operation(error=("INTERNAL", "odd", "ODD")))
    code, stdout, shown = terminal.end()
    assert code == 1
    assert "t0ken" not in stdout + shown
