"""Waiting ends with the answer, or with a reason."""

import pytest

from tests.support.patience import eventually, eventually_blocking


async def test_it_returns_the_first_true_answer() -> None:
    answers = iter([0, "", "done"])

    async def probe() -> object:
        return next(answers)

    assert await eventually(probe) == "done"
    answers = iter([0, 7])
    assert eventually_blocking(lambda: next(answers)) == 7


async def test_it_fails_with_the_last_answer() -> None:
    with pytest.raises(AssertionError, match=r"not within 0.05 s: the moon; last: None"):
        await eventually(lambda: None, timeout=0.05, what="the moon")


def test_an_exception_counts_as_not_yet() -> None:
    def probe() -> bool:
        raise ValueError("broken")

    with pytest.raises(AssertionError, match=r"last: ValueError\('broken'\)"):
        eventually_blocking(probe, timeout=0.05)
