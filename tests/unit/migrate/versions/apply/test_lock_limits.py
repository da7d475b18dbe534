"""How long a migration may wait for locks, and what is said of who is in its way."""

import pytest

from dbopsd.config.migrations import DatabaseMigrationsConfig
from dbopsd.migrate.versions.apply.attempts import LockLimits, LockNotAcquired
from dbopsd.migrate.versions.apply.blockers import AUTOVACUUM, waited_for
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.model.reports import Blocker

CLIENT = Blocker(
    pid=4711,
    application="billing",
    user="shop",
    state="idle in transaction",
    age_s=12.34,
    query="UPDATE orders SET paid = true",
    relation="public.orders",
    mode="RowExclusiveLock",
)


@pytest.mark.parametrize(
    ("configured", "own_ms", "lock_wait_s", "limits"),
    [
        ({}, None, None, LockLimits(500, 500, 60.0)),
        ({"lock_timeout_ms": 100}, None, None, LockLimits(100, 500, 60.0)),
        ({"lock_timeout_ms": 900}, None, None, LockLimits(500, 500, 60.0)),
        ({"lock_budget_ms": 900, "lock_wait_s": 5.0}, None, 7.0, LockLimits(500, 900, 7.0)),
        # A file's own value is meant, also above the budget.
        ({}, 200, None, LockLimits(200, 500, 60.0)),
        ({}, 2000, None, LockLimits(2000, 2000, 60.0)),
        # No longer than all attempts.
        ({}, 2000, 0.3, LockLimits(300, 300, 0.3)),
        ({}, None, 0.0001, LockLimits(1, 1, 0.0001)),
    ],
)
def test_limits(
    configured: dict[str, float], own_ms: int | None, lock_wait_s: float | None, limits: LockLimits
) -> None:
    config = DatabaseMigrationsConfig.model_validate(configured)
    script = Script("001.sql", "", lock_timeout_ms=own_ms)
    assert LockLimits.of(config, script, lock_wait_s) == limits


def test_concurrently_only_all_attempts_are_limited() -> None:
    assert LockLimits(500, 500, 60.0).concurrently == LockLimits(0, 500, 60.0, patient=True)


@pytest.mark.parametrize(
    ("blockers", "said"),
    [
        (
            (CLIENT,),
            (
                "in the way: pid 4711 (application 'billing', user 'shop', idle in transaction, "
                "begun 12.3 s ago, RowExclusiveLock on public.orders); let it finish, or end it: "
                "`dbops sessions terminate main 4711`"
            ),
        ),
        (
            (Blocker(pid=1), Blocker(pid=2), Blocker(pid=3), Blocker(pid=4)),
            (
                "in the way: pid 1, pid 2, 2 more; let it finish, or end it: "
                "`dbops sessions terminate main 1`"
            ),
        ),
        (
            (Blocker(pid=9, state=AUTOVACUUM, relation="public.a", mode="ShareLock"),),
            "in the way: autovacuum, pid 9 (ShareLock on public.a); let it finish, and apply again",
        ),
        (
            (Blocker(pid=0, state="prepared transaction"),),
            (
                "in the way: a prepared transaction; end it with COMMIT PREPARED or ROLLBACK "
                "PREPARED, see pg_prepared_xacts"
            ),
        ),
        ((), "deadlock detected; apply again later"),
    ],
)
def test_an_error_says_who_is_in_the_way_and_what_to_do(
    blockers: tuple[Blocker, ...], said: str
) -> None:
    error = LockNotAcquired("main", "003_a.sql", 2, 61.25, "deadlock detected", blockers)
    assert error.message == (
        f"003_a.sql of database 'main' did not get its locks within 61.2 s (2 attempts): {said}"
    )


@pytest.mark.parametrize(
    ("blockers", "said"),
    [
        ((CLIENT,), "process 4711 (billing, idle in transaction)"),
        ((Blocker(pid=7), CLIENT), "process 7 and 1 more"),
        ((), "a lock"),
    ],
)
def test_progress_names_the_first(blockers: tuple[Blocker, ...], said: str) -> None:
    assert waited_for(blockers) == said
