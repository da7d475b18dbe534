"""Requests to the control store: create, get, list, cancel and delete operations."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa
from dbos._error import DBOSWorkflowIDInUseError
from sqlalchemy.dialects import postgresql, sqlite

from dbopsd.operations.errors import (
    ControlStoreUnavailable,
    OperationCancelled,
    OperationDone,
    OperationInTheWay,
    OperationNotDone,
    OperationNotFound,
    RequestIdReused,
)
from dbopsd.operations.record import (
    DONE,
    Comparison,
    Condition,
    Failure,
    NewOperation,
    Operation,
    State,
)
from dbopsd.operations.store.notifications import Topic
from dbopsd.operations.store.rows import as_json, operation_of
from dbopsd.operations.store.store import ControlStore
from dbopsd.operations.store.tables import locks, operations

QUEUE: Final = "operations"
WORKFLOW: Final = "operation"

_TRIES: Final = 5


class Vanished(Exception):
    """What stood in the way of a statement was gone when it was looked for."""


def insert(store: ControlStore, table: sa.Table) -> Any:
    """An INSERT that can say what a conflict does."""
    return sqlite.insert(table) if store.is_sqlite else postgresql.insert(table)


def create(
    store: ControlStore,
    new: NewOperation,
    *,
    first: Callable[[sa.Connection], None] = lambda _connection: None,
) -> Operation:
    """Record the operation and enqueue it, both or neither; the one there is, if asked for before.

    `first` is called at the begin of the same transaction, perhaps in several tries; nothing is
    recorded where it raises. Raises `OperationInTheWay`, `RequestIdReused`, and what `first` does.
    """
    operation_id = new.id  # the same in each try
    leftover = False
    for _ in range(_TRIES):
        try:
            with store.transaction() as connection:
                first(connection)
                if leftover:
                    forget_work(store, connection, [operation_id])
                return _create(store, connection, operation_id, new)
        except DBOSWorkflowIDInUseError:
            # The work of one of that id that was deleted, and its work was not.
            leftover = True
        except Vanished:
            pass
    raise ControlStoreUnavailable(
        store.where, f"what stands in the way of operations/{operation_id} comes and goes"
    )


def _create(
    store: ControlStore, connection: sa.Connection, operation_id: str, new: NewOperation
) -> Operation:
    now = store.now()
    deadline = None if new.timeout_s is None else now + int(new.timeout_s * 1000)
    row = connection.execute(
        insert(store, operations)
        .values(
            id=operation_id,
            kind=new.kind,
            database=new.database,
            state=State.QUEUED.value,
            requester=new.requester,
            request_id=new.request_id,
            role=new.role,
            request=new.request,
            create_time=now,
            update_time=now,
            deadline=deadline,
            traceparent=new.traceparent,
        )
        .on_conflict_do_nothing()
        .returning(*operations.c)
    ).first()
    if row is None:
        found = _find(connection, operation_id)
        if found is None:
            raise Vanished
        return _made_before(found, new)
    take_locks(store, connection, operation_id, new.kind, new.database, new.locks)
    # In the same transaction: an operation without its work, or work without its operation,
    # cannot be.
    store.client.enqueue_in_transaction(
        connection,
        {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": operation_id,
            # Or where there is work of that id, which is done perhaps, this would do nothing.
            "workflow_id_reuse_policy": "reject",
        },
        operation_id,
    )
    store.publish(connection, Topic.WORK)
    return operation_of(row)


def check(store: ControlStore, new: NewOperation) -> None:
    """Fail as `create` would, and change nothing."""
    with store.transaction() as connection:
        found = _find(connection, new.id)
        if found is not None:
            _made_before(found, new)
            return
        holder = connection.execute(
            sa.select(locks.c.operation)
            .where(locks.c.database == new.database, locks.c.name.in_(new.locks))
            .limit(1)
        ).scalar()
        if holder is not None:
            raise OperationInTheWay(new.kind, new.database, holder)


def _made_before(found: Operation, new: NewOperation) -> Operation:
    if (found.database, found.request) != (new.database, new.request):
        raise RequestIdReused(new.request_id, f"operations/{found.id}")
    return found


def take_locks(
    store: ControlStore,
    connection: sa.Connection,
    operation_id: str,
    kind: str,
    database: str,
    names: Collection[str],
) -> None:
    """Have the operation hold the locks of `kind`; those that it has stay its own.

    Raises `OperationInTheWay`, and `Vanished` where it is to be tried again.
    """
    # In one order, so that two operations with several locks do not wait for each other.
    for name in sorted(names):
        # Not `rowcount`, which SQLAlchemy does not tell of an INSERT into PostgreSQL.
        taken = connection.execute(
            insert(store, locks)
            .values(database=database, name=name, operation=operation_id)
            .on_conflict_do_nothing()
            .returning(locks.c.name)
        ).first()
        if taken is None:
            holder = connection.execute(
                sa.select(locks.c.operation).where(
                    locks.c.database == database, locks.c.name == name
                )
            ).scalar()
            if holder is None:
                raise Vanished
            if holder != operation_id:
                raise OperationInTheWay(kind, database, holder)


def _find(connection: sa.Connection, operation_id: str) -> Operation | None:
    row = connection.execute(sa.select(operations).where(operations.c.id == operation_id)).first()
    return None if row is None else operation_of(row)


def get(store: ControlStore, operation_id: str) -> Operation:
    """The operation. Raises `OperationNotFound`."""
    with store.transaction() as connection:
        found = _find(connection, operation_id)
    if found is None:
        raise OperationNotFound(operation_id)
    return found


def get_newer(store: ControlStore, revisions: dict[str, int]) -> tuple[list[Operation], set[str]]:
    """Those of the operations whose revision is another than the one given, and those deleted."""
    with store.transaction() as connection:
        found = connection.execute(
            sa.select(operations.c.id, operations.c.revision).where(operations.c.id.in_(revisions))
        )
        newest = {row.id: row.revision for row in found}
        changed = [each for each, revision in newest.items() if revision != revisions[each]]
        rows = connection.execute(sa.select(operations).where(operations.c.id.in_(changed)))
        return [operation_of(row) for row in rows], revisions.keys() - newest.keys()


def list_page(
    store: ControlStore,
    conditions: Sequence[Condition],
    *,
    databases: Collection[str] | None,
    after: tuple[float, str] | None,
    limit: int,
) -> list[Operation]:
    """At most `limit` operations that meet every condition, the newest first."""
    query = sa.select(operations).where(*(_where(condition) for condition in conditions))
    if databases is not None:
        query = query.where(operations.c.database.in_(databases))
    if after is not None:
        create_time = round(after[0] * 1000)
        query = query.where(
            sa.or_(
                operations.c.create_time < create_time,
                sa.and_(operations.c.create_time == create_time, operations.c.id < after[1]),
            )
        )
    query = query.order_by(operations.c.create_time.desc(), operations.c.id.desc()).limit(limit)
    with store.transaction() as connection:
        return [operation_of(row) for row in connection.execute(query)]


def count_by_state(store: ControlStore) -> dict[str, dict[tuple[str, str], int]]:
    """How many operations each database has, by kind and state."""
    named = (operations.c.database, operations.c.kind, operations.c.state)
    counted: dict[str, dict[tuple[str, str], int]] = {}
    with store.transaction() as connection:
        query = sa.select(*named, sa.func.count(operations.c.id)).group_by(*named)
        for database, kind, state, count in connection.execute(query):
            counted.setdefault(database, {})[kind, state] = count
    return counted


def _where(condition: Condition) -> sa.ColumnElement[bool]:
    if condition.field == "done":
        done = operations.c.state.in_([state.value for state in DONE])
        wanted = bool(condition.value) == (condition.comparison is Comparison.EQUAL)
        return done if wanted else sa.not_(done)
    column = operations.c[condition.field]
    value: Any = condition.value
    if condition.field == "create_time":
        value = round(float(value) * 1000)
    operator = "<>" if condition.comparison is Comparison.NOT_EQUAL else condition.comparison.value
    compared: sa.ColumnElement[bool] = column.op(operator, is_comparison=True)(value)
    return compared


def request_cancel(store: ControlStore, operation_id: str) -> Operation:
    """Have the operation end; one that no worker has begun with ends at once.

    Raises `OperationNotFound`, `OperationDone`.
    """
    failure = failure_of_cancel(operation_id)
    with store.transaction() as connection:
        now = store.now()
        row = connection.execute(
            sa.update(operations)
            .where(operations.c.id == operation_id)
            .where(operations.c.state == State.QUEUED.value)
            .values(
                state=State.CANCELLED.value,
                cancel_time=now,
                update_time=now,
                end_time=now,
                failure=as_json(failure),
                revision=operations.c.revision + 1,
            )
            .returning(*operations.c)
        ).first()
        if row is not None:
            release_locks(connection, operation_id)
            return operation_of(row)
        row = connection.execute(
            sa.update(operations)
            .where(operations.c.id == operation_id)
            .where(operations.c.state == State.RUNNING.value)
            .values(
                state=State.CANCELLING.value,
                cancel_time=now,
                update_time=now,
                revision=operations.c.revision + 1,
            )
            .returning(*operations.c)
        ).first()
        if row is not None:
            return operation_of(row)
        found = _find(connection, operation_id)
    if found is None:
        raise OperationNotFound(operation_id)
    if found.state.done:
        raise OperationDone(operation_id, found.state.value)
    return found  # it is being cancelled already


def failure_of_cancel(operation_id: str) -> Failure:
    """What a cancelled operation ends with."""
    error = OperationCancelled(operation_id)
    return Failure("CANCELLED", error.reason, error.message, error.metadata)


def release_locks(
    connection: sa.Connection, operation_id: str, names: Collection[str] | None = None
) -> None:
    """Let others have what the operation held, or these of its locks."""
    held = sa.delete(locks).where(locks.c.operation == operation_id)
    connection.execute(held if names is None else held.where(locks.c.name.in_(names)))


def delete(store: ControlStore, operation_id: str) -> None:
    """Forget an operation that has ended. Raises `OperationNotFound`, `OperationNotDone`."""
    with store.transaction() as connection:
        deleted = connection.execute(
            sa.delete(operations)
            .where(operations.c.id == operation_id)
            .where(operations.c.state.in_([state.value for state in DONE]))
        ).rowcount
        if deleted:
            forget_work(store, connection, [operation_id])
            return
        found = _find(connection, operation_id)
    if found is None:
        raise OperationNotFound(operation_id)
    raise OperationNotDone(operation_id, found.state.value)


def forget_work(
    store: ControlStore, connection: sa.Connection, operation_ids: Sequence[str]
) -> None:
    """Delete DBOS's records of operations in the transaction that deletes the operations.

    Were one there without the other, the next operation of the same id would find it.
    """
    # DBOS deletes workflows in a transaction of its own only. These are the tables that it names;
    # the rows of its others go with the status.
    tables = engine_tables(store, connection)
    for table in (
        tables.workflow_input,
        tables.workflow_output,
        tables.operation_outputs,
        tables.workflow_status,
    ):
        connection.execute(sa.delete(table).where(table.c.workflow_uuid.in_(operation_ids)))


def engine_tables(store: ControlStore, connection: sa.Connection) -> Any:
    """DBOS's own tables, for use in a transaction of ours on that connection."""
    database = store.client._sys_db  # noqa: SLF001
    translations = connection.get_execution_options().get("schema_translate_map") or {}
    own_schema = {database.tables.workflow_status.schema: database.schema}
    connection.execution_options(schema_translate_map={**translations, **own_schema})
    return database.tables
