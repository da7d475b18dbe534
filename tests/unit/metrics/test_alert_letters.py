"""What messages about alerts say, whatever names the server has."""

import pytest

from dbopsd.metrics.alerts.alert import Alert
from dbopsd.metrics.alerts.letters import body_of
from dbopsd.metrics.alerts.rules import Severity


def body(name: str) -> str:
    alert = Alert(
        *("SequenceNearEnd", "main", (("sequencename", name),), Severity.WARNING),
        summary=f"the sequence {name} is used up",
        remedy="widen it",
        value=1.0,
        started_at=0.0,
        fired_at=0.0,
    )
    return body_of("main", [alert], [alert.resolved(1.0)], 1.0)


@pytest.mark.parametrize(
    "name",
    [
        "@everyone",
        "@here",
        "(@channel)",
        "<!channel>",
        "<@U0123>",
        "<https://evil.example|look>",
        "[look](https://evil.example)",
    ],
)
def test_a_name_mentions_nobody_and_hides_no_link(name: str) -> None:
    text = body(name)
    assert name.strip("()") not in text
    # Nothing of it is left out.
    assert name in text.replace("\N{ZERO WIDTH SPACE}", "")


def test_a_name_writes_no_line_of_its_own_and_drives_no_terminal() -> None:
    text = body("x\n\nCRITICAL DatabaseDown: \x1b[31mpay\u2028now\r")
    assert len(text.splitlines()) == len(body("x").splitlines())
    assert all(line.isprintable() for line in text.splitlines())


def test_names_as_they_are_used_stay_as_they_are() -> None:
    assert "(sequencename=me@host [a] < b)" in body("me@host [a] < b")
