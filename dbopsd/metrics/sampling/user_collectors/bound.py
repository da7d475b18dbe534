"""Runs one user collector on a session, within limits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.db.session import Row, Session
from dbopsd.db.statement import load_sql
from dbopsd.metrics.errors import (
    AnswerTooLarge,
    CollectorMismatch,
    UserRoleRefused,
)
from dbopsd.metrics.model import Sample
from dbopsd.metrics.sampling.user_collectors.load import (
    MOST_LABEL_CHARACTERS,
    MOST_NUMBER_CHARACTERS,
    UserCollector,
)
from dbopsd.metrics.statement_timeout import set_statement_timeout

_READ_ROLE: Final = load_sql(__package__, "read_role.sql").statement
_BOOLEANS: Final = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may answer."""

    rows: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Role:
    name: str
    is_superuser: bool
    dangerous: Sequence[str]


async def require_harmless(session: Session) -> None:
    """Raise `UserRoleRefused` if the session's role can become more than a reader of tables."""
    (role,) = await session.fetch_all_as(_Role, _READ_ROLE)
    if role.is_superuser:
        raise UserRoleRefused(role.name, "it is a superuser")
    if role.dangerous:
        raise UserRoleRefused(role.name, f"it is a member of {', '.join(role.dangerous)}")


async def run_bounded(
    session: Session, user: UserCollector, limits: Limits, at: float
) -> tuple[Sample, ...]:
    """The samples at the time `at`. Raises `DatabaseError`, `CollectorMismatch`, `AnswerTooLarge`.

    The transaction is read-only, which nothing in it can change once a query runs, and is rolled
    back: no setting of it reaches the next collector.
    """
    async with session.trial(read_only=True):
        await set_statement_timeout(session, user.collector.header.timeout_s)
        await session.execute(user.parsed, single=True)
        rows = await session.fetch_all(
            user.bounded, {"rows": limits.rows, "bytes": limits.size_bytes}
        )
    if rows and rows[0][-1] > limits.rows:
        raise AnswerTooLarge(user.name, f"more than {limits.rows} rows")
    if rows and len(rows) < rows[0][-1]:
        raise AnswerTooLarge(user.name, f"more than {limits.size_bytes} bytes")
    return tuple(user.collector.samples(user.columns, list(_typed(user, rows)), at))


def _typed(user: UserCollector, rows: Sequence[Row]) -> Iterator[Row]:
    for row in rows:
        yield tuple(
            _label(user, name, cell) if name in user.labels else _number(user, name, cell)
            for name, cell in zip(user.columns, row, strict=False)
        )


def _label(user: UserCollector, name: str, cell: str | None) -> str | None:
    if cell is not None and len(cell) > MOST_LABEL_CHARACTERS:
        raise CollectorMismatch(
            user.name, f"its label '{name}' is longer than {MOST_LABEL_CHARACTERS} characters"
        )
    return cell


def _number(user: UserCollector, name: str, cell: str | None) -> float | None:
    if cell is None:
        return None
    if cell in _BOOLEANS:
        return _BOOLEANS[cell]
    if len(cell) > MOST_NUMBER_CHARACTERS:
        raise CollectorMismatch(
            user.name, f"its column '{name}' is longer than {MOST_NUMBER_CHARACTERS} characters"
        )
    try:
        return float(cell)
    except ValueError:
        raise CollectorMismatch(
            user.name,
            f"its column '{name}' is no number; of a time, take extract(EPOCH FROM {name})",
        ) from None
