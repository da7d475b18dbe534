"""After how many migrations of a plan the schema's fingerprint is taken, by what each takes."""

import pytest

from dbopsd.migrate.versions.apply.fingerprint_budget import FingerprintBudget


def taken(migrations: int, migration_s: float, fingerprint_s: float) -> tuple[int, float]:
    """How many fingerprints before the last one, and what they take of the migrations' time."""
    budget, plan_s, number = FingerprintBudget(migrations), 0.0, 0
    for _ in range(migrations - 1):
        plan_s += migration_s
        if budget.allows(plan_s):
            budget.spend(fingerprint_s)
            plan_s += fingerprint_s
            number += 1
    return number, number * fingerprint_s / (migrations * migration_s)


@pytest.mark.parametrize(
    ("migrations", "fingerprint_s", "number"),
    [
        *((2, 3.0, 1), (3, 0.2, 2), (20, 0.02, 19), (50, 0.01, 49)),
        # There is no time for all of them: the share alone.
        *((20, 0.2, 1), (4, 0.24, 1), (51, 0.005, 3), (1000, 0.005, 53)),
    ],
)
def test_a_short_plan_has_one_after_each_migration(
    migrations: int, fingerprint_s: float, number: int
) -> None:
    assert taken(migrations, 0.005, fingerprint_s)[0] == number


def test_a_long_plan_pays_a_twentieth() -> None:
    number, share = taken(1000, 0.006, 0.2)
    assert number > 1
    assert share < 0.06 + 0.2 / 6


def test_one_that_took_long_for_once_does_not_end_it() -> None:
    budget = FingerprintBudget(5)
    for took_s in (0.01, 0.3, 0.01):
        assert budget.allows(0.0)
        budget.spend(took_s)
    assert budget.allows(0.0)
