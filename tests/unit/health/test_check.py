"""A check's judgement, the registry of checks, and thresholds from the configuration."""

import dataclasses
import math
import re
from importlib import resources

import pytest

from dbopsd.config import ThresholdConfig
from dbopsd.errors import ConfigurationError
from dbopsd.health import checks as checks_package
from dbopsd.health.check import Check, Measurement, Subject, load_checks, with_thresholds
from dbopsd.health.prober import REACHABLE_CHECK
from dbopsd.health.report import State, Thresholds


async def _measure(_subject: Subject) -> Measurement:
    return Measurement(None, "")


CHECK = Check(
    name="sample",
    unit="s",
    about="a sample",
    reason="TOO_MUCH",
    measure=_measure,
    thresholds=Thresholds(1, 5),
)


@pytest.mark.parametrize(
    ("found", "state", "reason"),
    [
        (Measurement(0.5, "m"), State.HEALTHY, ""),
        (Measurement(1.0, "m"), State.DEGRADED, "TOO_MUCH"),
        (Measurement(9.0, "m"), State.UNHEALTHY, "TOO_MUCH"),
        (Measurement(None, "m"), State.HEALTHY, ""),
        (Measurement(None, "m", State.DEGRADED, "OWN"), State.DEGRADED, "OWN"),
        (Measurement(2.0, "m", State.DEGRADED, "OWN"), State.DEGRADED, "OWN"),
        (Measurement(9.0, "m", State.DEGRADED, "OWN"), State.UNHEALTHY, "TOO_MUCH"),
        (Measurement(2.0, "m", State.UNHEALTHY, "OWN"), State.UNHEALTHY, "OWN"),
        (Measurement.not_permitted(), State.UNKNOWN, "PERMISSION_MISSING"),
    ],
)
def test_the_worse_of_what_the_check_says_and_what_its_thresholds_say(
    found: Measurement, state: State, reason: str
) -> None:
    result = CHECK.result(found, at=12.5)
    assert (result.check, result.unit, result.measured_at) == ("sample", "s", 12.5)
    assert (result.state, result.reason, result.value) == (state, reason, found.value)
    assert result.thresholds == Thresholds(1, 5)


def test_a_message_is_one_line_whatever_names_are_in_it() -> None:
    result = CHECK.result(Measurement(0.0, "database 'a\nb'\thas\r\n room"), at=0)
    assert result.message == "database 'a b' has room"


def test_a_check_that_could_not_be_made_has_no_value_and_no_time() -> None:
    result = CHECK.not_measured("LOCK_TIMEOUT", "why")
    assert (result.state, result.reason, result.message) == (State.UNKNOWN, "LOCK_TIMEOUT", "why")
    assert (result.value, result.measured_at) == (None, None)


def test_every_file_in_checks_is_a_check_of_the_same_name() -> None:
    files = [file.name for file in resources.files(checks_package).iterdir()]
    modules = {name.removesuffix(".py") for name in files if name.endswith(".py")} - {"__init__"}
    found = {check.name: check for check in load_checks()}
    assert set(found) == modules
    assert len(found) >= 10
    for name, check in found.items():
        assert (f"{name}.sql" in files) == check.needs_server
        assert check.about
        assert check.reason == check.reason.upper()
        assert re.fullmatch(r"s|By|1|\{[a-z]+\}", check.unit)
        assert check.every_s >= 1


def test_the_thresholds_that_people_rely_on() -> None:
    found = {check.name: check.thresholds for check in (REACHABLE_CHECK, *load_checks())}
    assert found["reachable"] == Thresholds(1, 5)
    assert found["connections"] == Thresholds(0.70, 0.90)
    assert found["storage"] == Thresholds(0.80, 0.95)


def test_a_configured_threshold_goes_over_the_checks_own_one_by_one() -> None:
    other = dataclasses.replace(CHECK, name="other")
    changed, untouched = with_thresholds(
        (CHECK, other), {"sample": ThresholdConfig(warning=2)}, where="here"
    )
    assert changed.thresholds == Thresholds(2, 5)
    assert untouched is other
    (changed,) = with_thresholds((CHECK,), {"sample": ThresholdConfig(critical=3)}, where="here")
    assert changed.thresholds == Thresholds(1, 3)


@pytest.mark.parametrize(
    ("name", "override", "problem"),
    [
        ("sampel", ThresholdConfig(warning=1), "unknown check; there are sample"),
        ("sample", ThresholdConfig(warning=6), "warning 6 is above critical 5"),
        ("sample", ThresholdConfig(critical=0.5), "warning 1 is above critical 0.5"),
    ],
)
def test_a_wrong_override_is_one_line_that_names_the_key(
    name: str, override: ThresholdConfig, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        with_thresholds((CHECK,), {name: override}, where="databases.main.health.thresholds")
    assert str(caught.value) == f"databases.main.health.thresholds.{name}: {problem}"


def test_a_threshold_may_be_out_of_reach() -> None:
    (check,) = with_thresholds(
        (CHECK,), {"sample": ThresholdConfig(critical=math.inf)}, where="here"
    )
    assert check.result(Measurement(1e300, ""), at=0).state is State.DEGRADED
