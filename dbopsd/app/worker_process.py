"""A worker process: its components, start and stop."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

from dbopsd.app.allocator import give_memory_back, return_free_memory
from dbopsd.app.components import (
    TELEMETRY_SHUTDOWN_S,
    check_state_dir,
    control_store,
    make_databases,
    scratch_directory,
)
from dbopsd.app.descriptors import raise_descriptor_limit
from dbopsd.app.errors import LostWorker
from dbopsd.app.feature import Feature, duties_of, kinds_of, roles_of
from dbopsd.app.schedules import schedules_of
from dbopsd.app.signals import StopSignals
from dbopsd.config import Config, DatabaseConfig
from dbopsd.config.values import is_loopback
from dbopsd.errors import ConfigurationError
from dbopsd.operations.metrics import DutyMetrics, OperationMetrics
from dbopsd.operations.supervisor import PULSE_S, new_process_id
from dbopsd.operations.worker import Parts, Worker
from dbopsd.rpc.status import failure_of
from dbopsd.telemetry.setup import start_telemetry

_log = logging.getLogger(__name__)


async def work(
    config: Config,
    *,
    features: Sequence[Feature] = (),
    worker_id: str = "",
    replaces: str = "",
    embedded_dsn: str = "",
    supervised: bool = False,
) -> None:
    """Run operations until SIGTERM or SIGINT; hand over what is unfinished then.

    `embedded_dsn`: of the PostgreSQL that `serve` runs, if it runs one. `supervised`: stop at the
    end of standard input, and say on standard output that the event loop turns. Raises
    `LostWorker`, `ConfigurationError`.
    """
    raise_descriptor_limit()
    give_memory_back()
    signals = StopSignals()
    worker_id = worker_id or new_process_id("w")
    lost = asyncio.Event()

    def on_lost() -> None:
        lost.set()
        signals.ask()

    if config.embedded_name is not None and not embedded_dsn:
        raise ConfigurationError(
            f"databases.{config.embedded_name}",
            "has no dsn, and only `dbopsd serve` has workers for its embedded PostgreSQL: "
            "give it a dsn",
        )
    check_state_dir(config.server.state_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(contextlib.suppress(asyncio.CancelledError))
        stack.push_async_callback(_cancel, asyncio.create_task(return_free_memory()))
        if supervised:
            stack.push_async_callback(_cancel, asyncio.create_task(_pulse()))
            _end_with_standard_input(signals)
        telemetry = start_telemetry(config.telemetry, version=version("dbopsd"))
        stack.push_async_callback(telemetry.shutdown, TELEMETRY_SHUTDOWN_S)
        databases = make_databases(
            {
                name: _for_work(config, database, supervised=supervised)
                for name, database in config.databases.items()
            },
            telemetry,
            embedded_dsn=embedded_dsn,
        )
        for database in databases.values():
            await database.open()
            stack.push_async_callback(database.close)
        threads = control_store(config, telemetry)
        stack.callback(threads.close)
        parts = Parts(
            threads=threads,
            config=config.operations,
            kinds=kinds_of(features),
            roles=roles_of(features),
            databases=databases,
            schedules=schedules_of(config, features),
            scratch=scratch_directory(config),
            state_dir=config.server.state_dir,
            tracer=telemetry.tracer,
            metrics=OperationMetrics(telemetry.meter),
            duties=duties_of(features, config),
            duty_metrics=DutyMetrics(telemetry.meter),
            failure_of=failure_of,
            version=version("dbopsd"),
        )
        worker = Worker(worker_id, parts, on_lost=on_lost)
        stack.push_async_callback(worker.stop, config.server.shutdown_grace_s)
        await worker.start(replaces=replaces)
        signals.started()
        _log.info("worker %s works; process %d", worker_id, os.getpid())
        await signals.stop.wait()
        _log.info("worker %s stops: others go on with what it runs", worker_id)
    if lost.is_set():
        raise LostWorker(worker_id)
    _log.info("stopped")


def _for_work(config: Config, database: DatabaseConfig, *, supervised: bool) -> DatabaseConfig:
    """The configuration of a database as a worker has it."""
    # It may have nothing to do for days: it keeps no connection open for it.
    changes: dict[str, object] = {"pool": database.pool.model_copy(update={"min_size": 0})}
    # One that nobody supervises may work for others, whose listeners are not in its configuration.
    if supervised and is_loopback(config.server.grpc_listen):
        anywhere = (Path("/"),)
        if not database.import_roots:
            changes["import_roots"] = anywhere
        backup = database.backup
        if backup is not None and not backup.restore_roots:
            changes["backup"] = backup.model_copy(update={"restore_roots": anywhere})
    return database.model_copy(update=changes)


def _end_with_standard_input(signals: StopSignals) -> None:
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            _log.warning("the process that started this worker is gone")
            signals.ask()

    loop.add_reader(0, read)


async def _pulse() -> None:
    while True:
        with contextlib.suppress(OSError):
            os.write(sys.stdout.fileno(), b".")
        await asyncio.sleep(PULSE_S)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
