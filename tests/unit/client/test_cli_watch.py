"""`--watch`: lines, JSON lines, and a display that is redrawn."""

import io
import json
import threading

import grpc
import pytest
from dbops_client.cli import watch_health
from rich.console import Console

from tests.unit.client.messages import Database, check, database, health, watched


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal():
    return Console(file=Terminal(), force_terminal=True, width=120, height=40, _environ={})


@pytest.fixture
def play(played):
    """Play the server's side of the watches while the command runs."""
    threads = []

    def start(*steps):
        def run():
            for step in steps:
                step()

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(10)


def broken(played):
    """End the next watch with an error that is not waited out."""
    return lambda: played.end_stream(grpc.StatusCode.INTERNAL, "broken")


def sent(played, *responses):
    return lambda: played.send_and_end(*responses)


def test_without_a_terminal_each_change_is_a_line(played, play, dbops):
    unhealthy = watched(state=Database.UNHEALTHY, explanation="no\nanswer")
    # The second stream starts with what the first ended with: nothing changed.
    play(sent(played, watched(), unhealthy), sent(played, unhealthy, watched()), broken(played))
    result = dbops("health", "main", "--watch")
    lines = [line.split(" ", 1) for line in result.stdout.splitlines()]
    assert [rest.rstrip() for _, rest in lines] == [
        "main HEALTHY",
        "main UNHEALTHY no answer",
        "main HEALTHY",
    ]
    assert all("T" in time and ("+" in time or "-" in time[10:]) for time, _ in lines)


def test_a_watch_that_breaks_ends_with_3_and_a_line(played, play, dbops):
    play(broken(played))
    result = dbops("health", "main", "--watch")
    assert result.exit_code == 3
    assert result.stderr == "dbops: dbopsd at 127.0.0.1:50051 refused: broken (INTERNAL)\n"


def test_json_is_one_object_a_line(played, play, dbops):
    play(sent(played, watched(), watched(state=Database.DEGRADED)), broken(played))
    result = dbops("health", "main", "--watch", "--output", "json")
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["state"] for each in objects] == ["HEALTHY", "DEGRADED"]
    assert objects[0]["name"] == "databases/main"


def test_lines_ask_for_changes_and_a_terminal_for_every_probe(played, dbops, terminal):
    for console, every_probe in ((None, False), (terminal, True)):
        running = threading.Thread(
            target=dbops, args=("health", "main", "--watch"), kwargs={"console": console}
        )
        running.start()
        request, _, stream = played.next_stream()
        assert request.every_probe is every_probe
        stream.terminate((), grpc.StatusCode.INTERNAL, "enough")
        running.join(10)


def test_all_databases_are_watched_and_one_that_breaks_ends_it(played, dbops):
    played.databases = [database("main"), database("shop")]
    played.healths = {f"databases/{name}": health(name) for name in ("main", "shop")}
    result = []
    running = threading.Thread(target=lambda: result.append(dbops("health", "--watch")))
    running.start()
    streams = {}
    for _ in range(2):
        request, _, stream = played.next_stream()
        streams[request.name] = stream
    assert set(streams) == {"databases/main", "databases/shop"}
    streams["databases/shop"].terminate((), grpc.StatusCode.INTERNAL, "broken")
    streams["databases/main"].cancelled()  # the others are ended, not left behind
    running.join(10)
    assert result[0].exit_code == 3


def test_a_terminal_shows_what_came_last(played, play, dbops, terminal):
    degraded = watched(
        state=Database.DEGRADED,
        explanation="connections run out",
        checks=[check("connections", Database.DEGRADED, value=0.9)],
    )
    play(sent(played, watched(), degraded), broken(played))
    assert dbops("health", "main", "--watch", console=terminal).exit_code == 3
    shown = terminal.file.getvalue()
    assert shown.index("HEALTHY") < shown.index("DEGRADED")
    assert "connections run out" in shown
    assert "90.0 %" in shown


def test_a_terminals_list_follows_the_states(played, play, dbops, terminal):
    played.databases = [database("main")]
    play(sent(played, watched(state=Database.UNHEALTHY)), broken(played))
    assert dbops("databases", "list", "--watch", console=terminal).exit_code == 3
    shown = terminal.file.getvalue()
    assert shown.index("mHEALTHY") < shown.index("mUNHEALTHY")  # after the m of a colour
    assert "db1.example:5432" in shown


def test_on_a_display_age_goes_on_when_nothing_comes():
    times_s = iter([7.0, 9.5])
    message = health(age_s=5, checks=[check("connections", age_s=1)])
    seen = watch_health._Seen(message, clock=lambda: next(times_s))
    now = seen.now()
    assert now.age.ToMilliseconds() == 7500
    assert now.checks[0].age.ToMilliseconds() == 3500


def test_a_display_says_when_nothing_has_come_for_long(terminal):
    now = [100.0]
    seen = [watch_health._Seen(health(), clock=lambda: now[0])]
    for passed_s, says in ((1, False), (12, True)):
        now[0] = 100.0 + passed_s
        with terminal.capture() as capture:
            terminal.print(watch_health._picture(seen, lambda _: "view"))
        assert ("No message for 12 s" in capture.get()) is says
        assert "view" in capture.get()
