"""`dbops.v1.MigrateService`: the methods that start no operation."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dbops.v1 import migrations_pb2

from dbopsd.errors import DatabaseNotFound, InvalidField
from dbopsd.migrate.versions.model.migration import (
    Migration,
    MigrationProblem,
    MigrationSet,
    State,
)
from dbopsd.migrate.versions.model.requests import Resolution, check_reason, check_version
from dbopsd.rpc.codec import Codec
from dbopsd.rpc.codec_values import enum_numbers
from dbopsd.rpc.encode import database_id
from dbopsd.rpc.operation_start import check_request_id
from dbopsd.rpc.paging import MAX_PAGE_SIZE, checked_size, foreign_token, read_token, write_token
from dbopsd.security.caller import current_caller

if TYPE_CHECKING:
    # It brings the layouts, which a daemon without migrations does without.
    from dbopsd.migrate.versions.reader import MigrationReader

T = TypeVar("T")

_MIGRATIONS: Final = Codec(migrations_pb2.Migration.DESCRIPTOR, Migration)
_PROBLEMS: Final = Codec(migrations_pb2.MigrationProblem.DESCRIPTOR, MigrationProblem)
_SETS: Final = Codec(migrations_pb2.MigrationSet.DESCRIPTOR, MigrationSet)
_STATES: Final = {
    number: state
    for state, number in enum_numbers(State, migrations_pb2.Migration.State.DESCRIPTOR).items()
}
_RESOLUTIONS: Final = {
    number: resolution
    for resolution, number in enum_numbers(
        Resolution, migrations_pb2.ResolveMigrationRequest.Resolution.DESCRIPTOR
    ).items()
}


class MigrateService:
    """Reads files and ledger at each call. `load` makes the reader, in a thread."""

    def __init__(self, databases: Collection[str], load: "Callable[[], MigrationReader]") -> None:
        self._databases = databases
        self._load = load
        self._reader: MigrationReader | None = None

    async def ListMigrations(  # noqa: N802 - gRPC's names
        self, request: migrations_pb2.ListMigrationsRequest, context: Any
    ) -> migrations_pb2.ListMigrationsResponse:
        """A page of the migrations of a database, in the order in which they apply."""
        database = database_id(request.parent)
        wanted = {_state(number) for number in request.states}
        reader = await self._read(database)
        found = await reader.list(database, request.set)
        page, token = _page(found.migrations, wanted, request)
        return migrations_pb2.ListMigrationsResponse(
            migrations=_encoded(_MIGRATIONS, page),
            current_version=found.current_version,
            pending=found.pending,
            problems=_encoded(_PROBLEMS, found.problems),
            fingerprint=found.fingerprint,
            drifted=found.drifted,
            sets=_encoded(_SETS, found.sets),
            next_page_token=token,
        )

    async def ResolveMigration(  # noqa: N802
        self, request: migrations_pb2.ResolveMigrationRequest, context: Any
    ) -> Any:
        """Record what is so of a migration whose end is not known."""
        database = database_id(request.name)
        resolution = _RESOLUTIONS.get(request.resolution)
        if resolution is None:
            problem = f"has the value {request.resolution}, which is not known here"
            raise InvalidField("resolution", problem)
        check_reason("reason", request.reason)
        check_version("version", request.version)
        check_request_id(request.request_id)
        reader = await self._read(database)
        resolved = await reader.resolve(
            database,
            request.set,
            request.version,
            resolution,
            reason=request.reason,
            who=current_caller.get().name,
            validate_only=request.validate_only,
            request_id=request.request_id,
        )
        return _MIGRATIONS.encode(resolved)

    async def _read(self, database: str) -> "MigrationReader":
        """The reader, for one of its databases. Raises `DatabaseNotFound`."""
        if database not in self._databases:
            raise DatabaseNotFound(database)
        if self._reader is None:
            self._reader = await asyncio.to_thread(self._load)
        return self._reader


def _encoded(codec: Codec[T], values: Iterable[T]) -> list[Any]:
    return [codec.encode(value) for value in values]


def _state(number: int) -> State:
    state: State | None = _STATES.get(number)
    if state is None:
        raise InvalidField("states", f"has the value {number}, which is not known here")
    return state


def _page(
    migrations: Sequence[Migration],
    wanted: Collection[State],
    request: migrations_pb2.ListMigrationsRequest,
) -> tuple[Sequence[Migration], str]:
    """The migrations of a page that are in a wanted state, and the token of the next page.

    A token has the last migration of its page, not a number: what is added before it moves none.
    """
    of = f"ListMigrations {request.parent} {request.set}"
    size = checked_size(request.page_size) if request.page_size else MAX_PAGE_SIZE
    if request.page_token:
        after = read_token(request.page_token, of)
        keys = [_key(each) for each in migrations]
        if after not in keys:
            raise foreign_token()
        migrations = migrations[keys.index(after) + 1 :]
    found = [each for each in migrations if not wanted or each.state in wanted]
    more = len(found) > size
    return found[:size], write_token(_key(found[size - 1]), of) if more else ""


def _key(migration: Migration) -> str:
    return f"{migration.set}/{migration.version}/{migration.name if migration.repeatable else ''}"
