"""Silences, what channels were told, and the outbox: the same for every replica."""

import json
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from dbopsd.operations.alert_records import Labels, Message, NewMessage, Notice, Silence
from dbopsd.operations.errors import RequestIdReused
from dbopsd.operations.store.requests import insert
from dbopsd.operations.store.store import ControlStore
from dbopsd.operations.store.tables import alert_notices, alert_outbox, silences


def create_silence(store: ControlStore, new: Silence, request_id: str) -> Silence:
    """Keep a silence; the one there is, if it was asked for before. Raises `RequestIdReused`."""
    with store.transaction() as connection:
        # Those that have ended are of no use to anybody.
        connection.execute(sa.delete(silences).where(silences.c.end_time <= store.now()))
        row = connection.execute(
            insert(store, silences)
            .values(
                id=new.id,
                rule=new.rule,
                database=new.database,
                labels=json.dumps(new.labels),
                end_time=round(new.end * 1000),
                comment=new.comment,
                creator=new.creator,
                create_time=store.now(),
            )
            .on_conflict_do_nothing()
            .returning(*silences.c)
        ).first()
        if row is None:
            found = connection.execute(sa.select(silences).where(silences.c.id == new.id)).one()
            before = _silence(found)
            if not before.same_request(new):
                raise RequestIdReused(request_id, f"silences/{new.id}")
            return before
        return _silence(row)


def find_silence(store: ControlStore, silence_id: str) -> Silence | None:
    """A silence that is in force."""
    with store.transaction() as connection:
        row = connection.execute(
            sa.select(silences).where(
                silences.c.id == silence_id, silences.c.end_time > store.now()
            )
        ).first()
        return None if row is None else _silence(row)


def delete_silence(store: ControlStore, silence_id: str) -> bool:
    """End a silence. Whether there was one in force."""
    with store.transaction() as connection:
        row = connection.execute(
            sa.delete(silences)
            .where(silences.c.id == silence_id, silences.c.end_time > store.now())
            .returning(silences.c.id)
        ).first()
        return row is not None


def list_silences(store: ControlStore) -> list[Silence]:
    """Those that are in force, the one that ends first first."""
    with store.transaction() as connection:
        rows = connection.execute(
            sa.select(silences)
            .where(silences.c.end_time > store.now())
            .order_by(silences.c.end_time, silences.c.id)
        )
        return [_silence(row) for row in rows]


def list_notices(store: ControlStore) -> list[Notice]:
    """What channels were told of alerts that fire."""
    with store.transaction() as connection:
        rows = connection.execute(sa.select(alert_notices))
        return [
            Notice(
                row.channel,
                row.alert_key,
                row.database,
                row.rule,
                row.notify_time / 1000,
                row.alert,
            )
            for row in rows
        ]


def enqueue(store: ControlStore, messages: Sequence[NewMessage]) -> None:
    """Put messages into the outbox and note what their channels know: all of it, or nothing."""
    with store.transaction() as connection:
        for message in messages:
            connection.execute(
                insert(store, alert_outbox).values(
                    channel=message.channel,
                    title=message.title,
                    body=message.body,
                    severity=message.severity,
                    alert_keys=json.dumps(message.alert_keys),
                    create_time=store.now(),
                    due_time=store.now(),
                )
            )
            gone = [*message.over, *(notice.alert_key for notice in message.told)]
            connection.execute(
                sa.delete(alert_notices).where(
                    alert_notices.c.channel == message.channel,
                    alert_notices.c.alert_key.in_(gone),
                )
            )
            for notice in message.told:
                connection.execute(
                    insert(store, alert_notices).values(
                        channel=notice.channel,
                        alert_key=notice.alert_key,
                        database=notice.database,
                        rule=notice.rule,
                        notify_time=store.now(),
                        alert=notice.alert,
                    )
                )


def forget_notices(store: ControlStore, channel: str, alert_keys: Collection[str]) -> None:
    """Forget what a channel was told of alerts that are over, and that it need not be told."""
    with store.transaction() as connection:
        connection.execute(
            sa.delete(alert_notices).where(
                alert_notices.c.channel == channel, alert_notices.c.alert_key.in_(alert_keys)
            )
        )


def waiting(store: ControlStore, channels: Collection[str]) -> list[Message]:
    """The oldest message of each of these channels, whenever it is due.

    A channel's messages go out in their order, or "resolved" could come before "fires".
    """
    first = (
        sa.select(sa.func.min(alert_outbox.c.id))
        .where(alert_outbox.c.channel.in_(channels))
        .group_by(alert_outbox.c.channel)
    )
    with store.transaction() as connection:
        rows = connection.execute(
            sa.select(alert_outbox, store.now().label("now"))
            .where(alert_outbox.c.id.in_(first))
            .order_by(alert_outbox.c.id)
        )
        return [
            Message(
                row.id,
                row.channel,
                row.title,
                row.body,
                row.severity,
                tuple(json.loads(row.alert_keys)),
                row.create_time / 1000,
                row.attempts,
                (row.due_time - row.now) / 1000,
            )
            for row in rows
        ]


def sent(store: ControlStore, message_id: int) -> None:
    """A message has arrived, or is given up: it leaves the outbox."""
    with store.transaction() as connection:
        connection.execute(sa.delete(alert_outbox).where(alert_outbox.c.id == message_id))


def not_sent(store: ControlStore, message_id: int, problem: str, retry_after_s: float) -> None:
    """A message has not arrived: it is due again later."""
    with store.transaction() as connection:
        connection.execute(
            sa.update(alert_outbox)
            .where(alert_outbox.c.id == message_id)
            .values(
                attempts=alert_outbox.c.attempts + 1,
                due_time=store.now() + round(retry_after_s * 1000),
                problem=problem,
            )
        )


def forget_channels(store: ControlStore, known: Collection[str]) -> int:
    """Delete everything for channels outside `known`. Returns how many messages that were."""
    with store.transaction() as connection:
        connection.execute(sa.delete(alert_notices).where(alert_notices.c.channel.not_in(known)))
        rows = connection.execute(
            sa.delete(alert_outbox)
            .where(alert_outbox.c.channel.not_in(known))
            .returning(alert_outbox.c.id)
        )
        return len(rows.all())


def _silence(row: sa.Row[tuple[object, ...]]) -> Silence:
    labels: Labels = tuple((name, value) for name, value in json.loads(row.labels))
    return Silence(
        row.id,
        row.rule,
        row.database,
        labels,
        row.end_time / 1000,
        row.comment,
        row.creator,
        row.create_time / 1000,
    )
