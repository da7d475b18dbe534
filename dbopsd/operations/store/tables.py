"""The control store's tables. DBOS's own stand beside them, in a schema of their own."""

from typing import Final

import sqlalchemy as sa

VERSION: Final = 3
"""Of these tables and of DBOS's. A store of a higher one is a newer dbopsd's and left alone."""

SCHEMA: Final = "dbopsd"
"""In PostgreSQL; SQLite has none."""

metadata = sa.MetaData(schema=SCHEMA)

_TIME = sa.BigInteger
"""Milliseconds since 1970, by the store's own clock: no other is the same for every process."""

store_version = sa.Table(
    "store_version",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("database", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("requester", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("role", sa.Integer, nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("create_time", _TIME, nullable=False),
    sa.Column("update_time", _TIME, nullable=False),
    sa.Column("start_time", _TIME),
    sa.Column("end_time", _TIME),
    sa.Column("cancel_time", _TIME),
    sa.Column("deadline", _TIME),
    sa.Column("stage", sa.Text, nullable=False, server_default=""),
    sa.Column("progress", sa.Text),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    # JSON: by stage, how many workers vanished while they ran it in that stage.
    sa.Column("lost_by_stage", sa.Text, nullable=False, server_default="{}"),
    # The last of them ran nothing else.
    sa.Column("lost_alone", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("worker", sa.Text, nullable=False, server_default=""),
    sa.Column("traceparent", sa.Text, nullable=False, server_default=""),
    sa.Column("result", sa.Text),
    sa.Column("failure", sa.Text),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"),
)
sa.Index("operations_by_time", operations.c.create_time.desc(), operations.c.id.desc())
sa.Index("operations_by_state", operations.c.state, operations.c.end_time)

# What an operation holds from its request to its end; nobody else may hold it meanwhile.
locks = sa.Table(
    "locks",
    metadata,
    sa.Column("database", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, nullable=False),
)
sa.Index("locks_by_operation", locks.c.operation)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("start_time", _TIME, nullable=False),
    sa.Column("heartbeat_time", _TIME, nullable=False),
)

# What came of the last time that a schedule was due; the schedules themselves are DBOS's.
schedule_runs = sa.Table(
    "schedule_runs",
    metadata,
    sa.Column("schedule", sa.Text, primary_key=True),
    # Times up to this one are dealt with, or not to be made up for.
    sa.Column("due_after", _TIME, nullable=False),
    sa.Column("time", _TIME),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
)

# Who holds each duty. Only `renewals` and `token` decide; the times are for people.
duties = sa.Table(
    "duties",
    metadata,
    sa.Column("database", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False, server_default=""),
    sa.Column("token", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("renewals", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("acquire_time", _TIME),
    sa.Column("heartbeat_time", _TIME),
    # Why its work last ended by itself.
    sa.Column("problem", sa.Text, nullable=False, server_default=""),
)

# Times in which nobody is notified of some alerts.
silences = sa.Table(
    "silences",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("database", sa.Text, nullable=False),
    # JSON: pairs of name and value.
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("end_time", _TIME, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("creator", sa.Text, nullable=False),
    sa.Column("create_time", _TIME, nullable=False),
)

# The alerts that fire as far as a channel knows.
alert_notices = sa.Table(
    "alert_notices",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("alert_key", sa.Text, primary_key=True),
    sa.Column("database", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("notify_time", _TIME, nullable=False),
    # JSON, for the message that it is over.
    sa.Column("alert", sa.Text, nullable=False),
)

# Messages that a channel has yet to take, in the order of their ids.
alert_outbox = sa.Table(
    "alert_outbox",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    # JSON: the keys of its alerts.
    sa.Column("alert_keys", sa.Text, nullable=False),
    sa.Column("create_time", _TIME, nullable=False),
    sa.Column("due_time", _TIME, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("problem", sa.Text, nullable=False, server_default=""),
)
sa.Index("alert_outbox_by_channel", alert_outbox.c.channel, alert_outbox.c.id)
