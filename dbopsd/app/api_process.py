"""The API process: its components, start and stop."""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

from dbopsd.app.components import (
    TELEMETRY_SHUTDOWN_S,
    check_state_dir,
    control_store,
    make_databases,
)
from dbopsd.app.config_check import checks_of
from dbopsd.app.descriptors import reserve_descriptors
from dbopsd.app.feature import Daemon, Feature, duties_of, kinds_of
from dbopsd.app.garbage_collector import spare_what_stays
from dbopsd.app.schedules import schedules_of
from dbopsd.app.signals import StopSignals
from dbopsd.app.user_collectors import check_user_collectors
from dbopsd.config import Config
from dbopsd.db.database import Database
from dbopsd.db.server.embedded import EmbeddedServer
from dbopsd.health.backup_overview import BackupBoard
from dbopsd.health.board import DatabaseInfo, HealthBoard
from dbopsd.health.check import Check
from dbopsd.health.prober import Prober
from dbopsd.http.server import HttpServer
from dbopsd.operations.async_store import AsyncControlStore
from dbopsd.operations.duty import DutyRun, Place
from dbopsd.operations.duty_holder import DutyHolder
from dbopsd.operations.metrics import DutyMetrics, OperationMetrics
from dbopsd.operations.notification_listener import NotificationListener
from dbopsd.operations.process_deadline import ProcessDeadline
from dbopsd.operations.service import Operations
from dbopsd.operations.supervisor import Supervisor, new_process_id
from dbopsd.rpc.listen import require_bindable
from dbopsd.rpc.server import RpcServer
from dbopsd.security.access import Access
from dbopsd.security.audit.factory import configured_journal
from dbopsd.telemetry.setup import Telemetry, start_telemetry

_log = logging.getLogger(__name__)

# Of a worker that has handed over its work: to close its connections and end.
_WORKER_EXIT_S = 5.0
_DUTY_GRACE_S = 5.0
_SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True, slots=True)
class Serving:
    """A daemon whose listeners are open: where they are."""

    grpc_port: int
    http_port: int
    board: HealthBoard
    databases: dict[str, Database]


async def serve(
    config: Config,
    *,
    features: Sequence[Feature] = (),
    worker_command: Sequence[str] = (),
) -> None:
    """Run the daemon until SIGTERM or SIGINT, then stop gracefully; a second signal hurries it.

    `worker_command` starts a worker, to which options are added; none: no worker is started. Raises
    a `DbopsError` when it cannot start.
    """
    config = reserve_descriptors(config)
    # A thread that loads what is first used would keep each step of an answer waiting for 5 ms.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    signals = StopSignals()
    try:
        async with (
            AsyncExitStack() as stack,
            running(
                config, hurry=signals.hurry, features=features, worker_command=worker_command
            ) as serving,
        ):
            signals.started()
            sparing = asyncio.create_task(spare_what_stays())
            stack.callback(sparing.cancel)
            _log.info(
                "serving gRPC on port %d and HTTP on port %d; databases: %s",
                serving.grpc_port,
                serving.http_port,
                ", ".join(serving.databases),
            )
            await signals.stop.wait()
            _log.info("stopping: running calls have %g s to end", config.server.shutdown_grace_s)
    except asyncio.CancelledError:
        if not signals.stop.is_set():
            raise
    _log.info("stopped")


@asynccontextmanager
async def running(
    config: Config,
    *,
    telemetry: Telemetry | None = None,
    hurry: asyncio.Event | None = None,
    features: Sequence[Feature] = (),
    worker_command: Sequence[str] = (),
) -> AsyncIterator[Serving]:
    """Everything of the daemon, up for the time of the context.

    Left, it first says so by its readiness for `server.shutdown_delay_s`. `hurry`, once set, ends
    that and the wait for running calls. Raises a `DbopsError` when a part cannot
    start; what had started is stopped then.
    """
    checks = checks_of(config)
    schedules_of(config, features)
    check_user_collectors(config)
    access = Access.load(config.server, config.auth)
    check_state_dir(config.server.state_dir)
    # Before anything is started, which would say so in the log, and may take a while.
    for address in (config.server.grpc_listen, config.server.http_listen):
        await require_bindable(address)
    async with AsyncExitStack() as stack:
        own = telemetry or start_telemetry(
            config.telemetry, version=version("dbopsd"), logs=config.audit.otlp
        )
        if telemetry is None:
            stack.push_async_callback(own.shutdown, TELEMETRY_SHUTDOWN_S)
        embedded_dsn = "" if config.embedded_name is None else await _start_embedded(config, stack)
        # After the embedded server, which makes the state directory so that its account may enter.
        journal = configured_journal(config.audit, config.server.state_dir, own.logger)
        if journal is not None:
            await journal.start()
            stack.push_async_callback(journal.stop)
        databases = make_databases(config.databases, own, embedded_dsn=embedded_dsn)
        backups = BackupBoard()
        board = await _start_health(databases, checks, config, backups, stack)
        control = control_store(config, own)
        operations = Operations(
            control,
            kinds_of(features),
            databases,
            metrics=OperationMetrics(own.meter),
        )
        stack.push_async_callback(operations.close)
        daemon = Daemon(config, databases, board, operations, control, own, backups)
        served = [await stack.enter_async_context(each.running(daemon)) for each in features]
        # After the features, whose work it is, and so ended before them.
        works = {name: work for each in served for name, work in each.duties.items()}
        await _hold_duties(features, works, config, control, databases, own, stack)
        access.start()
        stack.push_async_callback(access.close)
        rpc = RpcServer(
            config.server,
            board,
            own,
            services=[service for each in served for service in each.services],
            access=access,
            journal=journal,
            operations=operations,
            operation_methods=[method for feature in features for method in feature.methods],
        )
        http = HttpServer(
            config.server,
            board,
            own,
            access=access,
            routes=[route for each in served for route in each.routes],
        )
        workers = _workers(config, worker_command, embedded_dsn)
        stack.push_async_callback(
            _stop,
            [board.drain, operations.drain, *(each.drain for each in served)],
            rpc,
            http,
            workers,
            config.server.shutdown_grace_s,
            hurry,
        )
        serving = Serving(await rpc.start(), await http.start(), board, databases)
        board.accept()
        # Last: what loads a worker would be in the way of the start.
        workers.start()
        try:
            yield serving
        finally:
            await _leave(board, config.server.shutdown_delay_s, hurry)


async def _start_embedded(config: Config, stack: AsyncExitStack) -> str:
    server = EmbeddedServer(config.server.state_dir)
    # Registered first: a start that is interrupted leaves no server behind either.
    stack.push_async_callback(server.stop)
    dsn = await server.start()
    _log.info('the embedded PostgreSQL runs: psql "%s"; its log: %s', dsn, server.log_path)
    return dsn


async def _hold_duties(
    features: Sequence[Feature],
    works: Mapping[str, Callable[[DutyRun], Awaitable[None]]],
    config: Config,
    control: AsyncControlStore,
    databases: dict[str, Database],
    telemetry: Telemetry,
    stack: AsyncExitStack,
) -> None:
    """Hold what duties there are for a daemon; without any, the control store is not opened."""
    duties = [
        replace(duty, run=works[duty.name]) if duty.name in works else duty
        for duty in duties_of(features, config)
    ]
    if not any(duty.place is Place.SERVER for duty in duties):
        return
    server_id = new_process_id("s")
    holder = DutyHolder(
        control,
        f"servers/{server_id}",
        duties,
        place=Place.SERVER,
        config=config.operations,
        databases=databases,
        state_dir=config.server.state_dir,
        tracer=telemetry.tracer,
        metrics=DutyMetrics(telemetry.meter),
        deadline=ProcessDeadline(suspended=control.shared_by_machines),
    )
    listener = NotificationListener(control, server_id, lambda _topic: holder.wake())
    tasks = [
        asyncio.create_task(holder.run(), name="duties"),
        asyncio.create_task(listener.run(), name="duty-notifications"),
    ]
    stack.push_async_callback(_cancel, tasks)
    stack.push_async_callback(holder.close, _DUTY_GRACE_S)


async def _start_health(
    databases: dict[str, Database],
    checks: dict[str, tuple[Check, ...]],
    config: Config,
    backups: BackupBoard,
    stack: AsyncExitStack,
) -> HealthBoard:
    stack.push_async_callback(_close, databases)
    for database in databases.values():
        await database.open()
    probers = {
        name: Prober(database, checks[name], backups=partial(backups.of, name))
        for name, database in databases.items()
    }
    board = HealthBoard(
        [
            DatabaseInfo(
                name=database.name,
                hosts=database.dsn.hosts,
                postgres_database=database.dsn.postgres_database,
                embedded=database.embedded,
            )
            for database in databases.values()
        ],
        {name: prober.report() for name, prober in probers.items()},
        readiness_requires=config.health.readiness_requires,
    )
    tasks = [
        asyncio.create_task(prober.run(board.publish), name=f"{name}-prober")
        for name, prober in probers.items()
    ]
    stack.push_async_callback(_cancel, tasks)
    return board


def _workers(config: Config, command: Sequence[str], embedded_dsn: str) -> Supervisor:
    if not command:
        return Supervisor((), 0)
    # It names a password file, and holds no password: the process list may show it.
    embedded = ("--embedded-dsn", embedded_dsn) if embedded_dsn else ()
    return Supervisor((*command, "--supervised", *embedded), config.server.workers)


async def _stop(
    drains: Sequence[Callable[[], None]],
    rpc: RpcServer,
    http: HttpServer,
    workers: Supervisor,
    grace_s: float,
    hurry: asyncio.Event | None,
) -> None:
    for drain in drains:
        drain()
    async with asyncio.TaskGroup() as tasks:
        hurrying = tasks.create_task(_hurry(rpc, hurry))
        await asyncio.gather(
            _stop_listeners(rpc, http, grace_s, hurry), workers.stop(grace_s + _WORKER_EXIT_S)
        )
        hurrying.cancel()


async def _leave(board: HealthBoard, delay_s: float, hurry: asyncio.Event | None) -> None:
    """Say by readiness that this one stops, and give those that ask the time to learn it."""
    board.leave()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay_s):
            await (hurry or asyncio.Event()).wait()


async def _stop_listeners(
    rpc: RpcServer, http: HttpServer, grace_s: float, hurry: asyncio.Event | None
) -> None:
    # HTTP last: while a call runs, probes must still get "alive" and "not ready".
    until = time.monotonic() + grace_s
    await rpc.stop(grace_s)
    hurried = hurry is not None and hurry.is_set()
    await http.stop(0.0 if hurried else max(0.0, until - time.monotonic()))


async def _close(databases: dict[str, Database]) -> None:
    # Side by side: each may wait for a server that hangs.
    await asyncio.gather(*(database.close() for database in databases.values()))


async def _hurry(rpc: RpcServer, hurry: asyncio.Event | None) -> None:
    if hurry is not None:
        await hurry.wait()
        await rpc.stop(0)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
