"""A feature: its services and its kinds of operations."""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dbopsd.config import Config
from dbopsd.operations.duty import Duty, DutyRun
from dbopsd.operations.kind import Kind
from dbopsd.rpc.operation_methods import OperationMethod, by_kind

if TYPE_CHECKING:
    # A worker needs no server, which takes long to load.
    from aiohttp import web

    from dbopsd.db.database import Database
    from dbopsd.health.backup_overview import BackupBoard
    from dbopsd.health.board import HealthBoard
    from dbopsd.operations.async_store import AsyncControlStore
    from dbopsd.operations.service import Operations
    from dbopsd.rpc.server import Service
    from dbopsd.telemetry.setup import Telemetry


@dataclass(frozen=True)
class Daemon:
    """What the API process has for its features."""

    config: Config
    databases: "Mapping[str, Database]"
    board: "HealthBoard"
    operations: "Operations"
    control: "AsyncControlStore"
    telemetry: "Telemetry"
    backups: "BackupBoard"


def _nothing() -> None:
    return


@dataclass(frozen=True)
class Served:
    """What a feature serves while it runs."""

    services: "Sequence[Service]" = ()
    """Its gRPC services with methods that start nothing. Others are served without."""

    routes: "Sequence[web.RouteDef]" = ()
    """Its HTTP paths."""

    duties: "Mapping[str, Callable[[DutyRun], Awaitable[None]]]" = field(default_factory=dict)
    """The work of its duties whose place is SERVER, by name: it needs what is here."""

    drain: Callable[[], None] = _nothing
    """Ends its streams; called when the daemon stops, before the listeners close."""


@asynccontextmanager
async def _serves_nothing(_daemon: Daemon) -> AsyncIterator[Served]:
    yield Served()


def _no_duties(_config: Config) -> Sequence[Duty]:
    return ()


@dataclass(frozen=True)
class Feature:
    """A worker needs only the kinds of its methods and the duties, the API all of it."""

    methods: Sequence[OperationMethod[Any, Any]] = ()
    """The methods that start operations, each joined with its kind: a line for each."""

    running: Callable[[Daemon], AbstractAsyncContextManager[Served]] = _serves_nothing
    """The feature in the API process, for the time of the context."""

    duties: Callable[[Config], Sequence[Duty]] = _no_duties
    """The duties that the configuration asks for, most often one of each database."""


def loaded_to_run(
    module: str, name: str
) -> Callable[[Daemon], AbstractAsyncContextManager[Served]]:
    """`Feature.running` that is loaded when it is called: workers and commands start without it."""

    def running(daemon: Daemon) -> AbstractAsyncContextManager[Served]:
        loaded: Callable[[Daemon], AbstractAsyncContextManager[Served]] = getattr(
            importlib.import_module(module), name
        )
        return loaded(daemon)

    return running


def roles_of(features: Sequence[Feature]) -> dict[str, int]:
    """The role that starting each kind of operation needs, by the kind's name."""
    return {
        method.kind.name: int(method.role) for feature in features for method in feature.methods
    }


def methods_of(features: Sequence[Feature]) -> dict[str, OperationMethod[Any, Any]]:
    """Every method that starts an operation, by its kind. Raises ValueError where two start one."""
    return by_kind([method for feature in features for method in feature.methods])


def kinds_of(features: Sequence[Feature]) -> dict[str, Kind[Any, Any]]:
    """Every kind of operation, by its name. Raises ValueError where two have the same."""
    return {name: method.kind for name, method in methods_of(features).items()}


def duties_of(features: Sequence[Feature], config: Config) -> tuple[Duty, ...]:
    """Every duty that the configuration asks for. Raises ValueError where two are the same."""
    duties = [duty for feature in features for duty in feature.duties(config)]
    keys = {duty.key for duty in duties}
    if len(keys) < len(duties):
        raise ValueError(f"two duties have the same name: {sorted(str(key) for key in keys)}")
    return tuple(duties)
