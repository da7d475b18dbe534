"""Driver errors, translated once, by SQLSTATE."""

import psycopg
import pytest

from dbopsd.db import errors
from dbopsd.db.errors import translate


@pytest.mark.parametrize(
    ("sqlstate", "kind", "transient"),
    [
        ("40001", errors.SerializationFailure, True),
        ("40P01", errors.DeadlockDetected, True),
        ("55P03", errors.LockTimeout, False),
        ("57014", errors.QueryCanceled, False),
        ("57P01", errors.ConnectionLost, True),
        ("08006", errors.ConnectionLost, True),
        ("25006", errors.ReadOnlyServer, True),
        ("23505", errors.UniqueViolation, False),
        ("23503", errors.ConstraintViolation, False),
        ("22P02", errors.InvalidData, False),
        ("42501", errors.PermissionMissing, False),
        ("42P01", errors.InvalidStatement, False),
        ("53100", errors.ServerResourcesExhausted, False),
        ("54000", errors.ProgramLimitExceeded, False),
        ("XX000", errors.StatementFailed, False),
    ],
)
def test_each_sqlstate_has_its_error(sqlstate: str, kind: type, transient: bool) -> None:
    error = translate(
        psycopg.errors.lookup(sqlstate)("the server's\nwords"), database="main", statement="SELECT"
    )
    assert type(error) is kind
    assert error.transient is transient
    assert error.metadata["sqlstate"] == sqlstate
    assert str(error) == "'SELECT' failed on database 'main': the server's words"


def test_without_a_sqlstate_the_connection_broke_or_the_driver_refused() -> None:
    lost = translate(psycopg.OperationalError("gone"), database="main", statement="SELECT")
    assert isinstance(lost, errors.ConnectionLost)
    assert not lost.left_nothing
    refused = translate(psycopg.ProgrammingError("no"), database="main", statement="SELECT")
    assert type(refused) is errors.StatementFailed


def test_every_error_has_a_reason_of_its_own_and_one_line() -> None:
    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.DatabaseError)
    ]
    reasons = [kind.reason for kind in kinds]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.isupper() for reason in reasons)
    assert "\n" not in str(errors.PoolExhausted("main", 1.5, 20))
    assert "\n" not in str(errors.QueryTimeout("main", "SELECT", 1))
