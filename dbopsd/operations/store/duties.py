"""The leases of duties. Each write names the token that it goes by, so that no two can succeed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from dbopsd.operations.duty import DutyKey
from dbopsd.operations.record import DutyInfo
from dbopsd.operations.store.notifications import Topic
from dbopsd.operations.store.requests import insert
from dbopsd.operations.store.store import ControlStore
from dbopsd.operations.store.tables import duties


@dataclass(frozen=True, slots=True)
class Lease:
    """A duty's lease as the control store has it."""

    key: DutyKey
    holder: str
    """Empty: nobody's."""
    token: int
    """Grows each time that the duty is taken."""
    renewals: int
    """Grows each time that the lease is renewed or the duty is taken; no clock is in it."""
    age_s: float | None
    """Since the last renewal, by the store's clock; None before the first."""


def declare(store: ControlStore, wanted: Collection[DutyKey]) -> None:
    """Have these duties be known, and forget those that nobody wants or holds any more.

    Tokens begin with the time in ms: those of a duty that was forgotten are not given again.
    """
    with store.transaction() as connection:
        for key in wanted:
            connection.execute(
                insert(store, duties)
                .values(database=key.database, name=key.name, token=store.now())
                .on_conflict_do_nothing()
            )
        unwanted = [duties.c.holder == ""]
        if wanted:
            unwanted.append(sa.not_(_any_of(wanted)))
        connection.execute(sa.delete(duties).where(*unwanted))


def renew(
    store: ControlStore, holder: str, held: Mapping[DutyKey, int], watched: Collection[DutyKey]
) -> tuple[set[DutyKey], list[Lease]]:
    """Renew the leases that the holder has by these tokens; those that it has still.

    And, as they are now, the leases of the duties that are `watched`. One statement for each of
    the two, where there is something to ask.
    """
    renewed: set[DutyKey] = set()
    leases: list[Lease] = []
    with store.transaction() as connection:
        if held:
            by_token = sa.or_(
                *(sa.and_(_is(key), duties.c.token == token) for key, token in held.items())
            )
            rows = connection.execute(
                sa.update(duties)
                .where(duties.c.holder == holder, by_token)
                .values(renewals=duties.c.renewals + 1, heartbeat_time=store.now())
                .returning(duties.c.database, duties.c.name)
            )
            renewed = {DutyKey(row.database, row.name) for row in rows}
        if watched:
            found = connection.execute(
                sa.select(
                    duties.c.database,
                    duties.c.name,
                    duties.c.holder,
                    duties.c.token,
                    duties.c.renewals,
                    (store.now() - duties.c.heartbeat_time).label("age_ms"),
                ).where(_any_of(watched))
            )
            leases = [
                Lease(
                    DutyKey(row.database, row.name),
                    row.holder,
                    row.token,
                    row.renewals,
                    None if row.age_ms is None else max(row.age_ms, 0) / 1000,
                )
                for row in found
            ]
    return renewed, leases


def acquire(store: ControlStore, holder: str, seen: Lease) -> int | None:
    """Take the duty; the token to hold it by, or None where its lease is not as it was seen."""
    with store.transaction() as connection:
        now = store.now()
        token: int | None = connection.execute(
            sa.update(duties)
            .where(
                _is(seen.key),
                duties.c.holder == seen.holder,
                duties.c.token == seen.token,
                duties.c.renewals == seen.renewals,
            )
            .values(
                holder=holder,
                token=duties.c.token + 1,
                renewals=duties.c.renewals + 1,
                acquire_time=now,
                heartbeat_time=now,
            )
            .returning(duties.c.token)
        ).scalar()
        return token


def release(
    store: ControlStore, holder: str, key: DutyKey, token: int, *, problem: str = ""
) -> None:
    """Let others take the duty. Only once its work has ended; `problem`: why it ended by itself."""
    with store.transaction() as connection:
        connection.execute(
            sa.update(duties)
            .where(_is(key), duties.c.holder == holder, duties.c.token == token)
            .values(holder="", **({"problem": problem} if problem else {}))
        )
        store.publish(connection, Topic.DUTIES)


def list_duties(store: ControlStore) -> list[DutyInfo]:
    """Every duty that is known, by name."""
    with store.transaction() as connection:
        rows = connection.execute(sa.select(duties))
        found = [
            DutyInfo(
                name=str(DutyKey(row.database, row.name)),
                database=row.database,
                holder=row.holder,
                token=row.token,
                acquire_time=_seconds(row.acquire_time),
                heartbeat_time=_seconds(row.heartbeat_time),
                last_problem=row.problem,
            )
            for row in rows
        ]
    return sorted(found, key=lambda duty: duty.name)


def _is(key: DutyKey) -> sa.ColumnElement[bool]:
    return sa.and_(duties.c.database == key.database, duties.c.name == key.name)


def _any_of(keys: Collection[DutyKey]) -> sa.ColumnElement[bool]:
    return sa.or_(*(_is(key) for key in keys))


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
