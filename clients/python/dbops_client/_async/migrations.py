"""`client.migrations`: versioned migrations of a schema, by MigrateService."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Unpack

from dbops.v1 import migrate_pb2_grpc, migrations_pb2

from dbops_client._async.operations import AsyncOperation, AsyncOperationStarter
from dbops_client._metadata import Metadata
from dbops_client._names import database_name
from dbops_client._request_id import request_id_or_new
from dbops_client._start_request import StartOptions

if TYPE_CHECKING:
    from dbops.v1.migrate_pb2_grpc import MigrateServiceAsyncStub

MigrationState = Literal[
    "PENDING",
    "APPLIED",
    "CHANGED",
    "MISSING",
    "OUT_OF_ORDER",
    "FAILED",
    "INTERRUPTED",
    "RUNNING",
    "BASELINED",
    "ADOPTED",
]
MigrationTool = Literal[
    "FLYWAY",
    "GOLANG_MIGRATE",
    "DBMATE",
    "RAILS",
    "GOOSE",
    "SQLX",
    "PRISMA",
    "DRIZZLE",
    "ATLAS",
    "DIESEL",
]


class CheckMigrationsOptions(StartOptions, total=False):
    """The options of a check, as the fields of `CheckMigrationsRequest` describe them."""

    set: str
    drift: bool
    roundtrip: bool
    strict: bool
    roundtrip_limit_s: float | None


class _ExtentOptions(StartOptions, total=False):
    set: str
    to: str
    count: int
    lock_wait_s: float | None


class ApplyMigrationsOptions(_ExtentOptions, total=False):
    """The options of an apply, as the fields of `ApplyMigrationsRequest` describe them.

    With `validate_only` an operation starts that runs the whole plan and rolls it back.
    """

    phase: Literal["EXPAND", "CONTRACT"]
    out_of_order: bool
    override_findings: str


class RollbackMigrationsOptions(_ExtentOptions, total=False):
    """The options of a rollback. `validate_only` is as in `ApplyMigrationsOptions`."""


class BaselineMigrationsOptions(StartOptions, total=False):
    """The options of a baseline. With `validate_only` the operation records nothing."""

    set: str


class AdoptMigrationsOptions(StartOptions, total=False):
    """The options of an adoption. With `validate_only` the operation records nothing."""

    set: str
    table: str


class AsyncMigrationsClient(AsyncOperationStarter):
    """Versioned migrations of a schema.

    Their files are on the machine of the daemon and its workers. An option that is not given has
    the default that its request describes.
    """

    @cached_property
    def _stub(self) -> "MigrateServiceAsyncStub":
        return migrate_pb2_grpc.MigrateServiceStub(self._transport.channel)

    async def list(
        self,
        database: str,
        *,
        set: str = "",  # noqa: A002  # the contract's word
        states: Sequence[MigrationState] = (),
        page_size: int = 0,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> migrations_pb2.ListMigrationsResponse:
        """Return the migrations of all pages, and what is the same on each page.

        `timeout_s` is for each page.
        """
        extra = tuple(metadata)
        wanted = [migrations_pb2.Migration.State.Value(state) for state in states]
        whole: migrations_pb2.ListMigrationsResponse | None = None
        token = ""
        while whole is None or token:
            request = migrations_pb2.ListMigrationsRequest(
                parent=database_name(database),
                set=set,
                states=wanted,
                page_size=page_size,
                page_token=token,
            )
            page = await self._transport.call(self._stub.ListMigrations, request, timeout_s, extra)
            token = page.next_page_token
            if whole is None:
                whole = page
            else:
                whole.migrations.extend(page.migrations)
        whole.next_page_token = ""
        return whole

    async def check(
        self, database: str, **options: Unpack[CheckMigrationsOptions]
    ) -> AsyncOperation[migrations_pb2.CheckMigrationsResponse]:
        """Start to check the migrations that are not applied.

        Options: `set`, `drift`, `roundtrip`, `strict`, `roundtrip_limit_s`; and, as of every
        operation, `request_id`, `validate_only`, `operation_timeout_s`, `timeout_s` and `metadata`.
        Findings are no failure: `CheckMigrationsResponse.ok` tells whether any forbids to apply.
        """
        return await self._start(
            self._stub.CheckMigrations,
            migrations_pb2.CheckMigrationsRequest,
            migrations_pb2.CheckMigrationsResponse,
            options,
            name=database_name(database),
        )

    async def apply(
        self, database: str, **options: Unpack[ApplyMigrationsOptions]
    ) -> AsyncOperation[migrations_pb2.MigrationReport]:
        """Start to apply migrations.

        Options: `set`, `to` or `count`, `phase`, `out_of_order`, `override_findings`,
        `lock_wait_s`; and those of every operation, of which `validate_only` tries the plan. The
        report of an apply that failed is the `partial_result` of its operation.
        """
        return await self._start(
            self._stub.ApplyMigrations,
            migrations_pb2.ApplyMigrationsRequest,
            migrations_pb2.MigrationReport,
            options,
            name=database_name(database),
        )

    async def rollback(
        self, database: str, **options: Unpack[RollbackMigrationsOptions]
    ) -> AsyncOperation[migrations_pb2.MigrationReport]:
        """Start to roll migrations back: one, `count`, or every one after the version `to`.

        Options: `set`, `to` or `count`, `lock_wait_s`; and those of every operation, of which
        `validate_only` tries the plan.
        """
        return await self._start(
            self._stub.RollbackMigrations,
            migrations_pb2.RollbackMigrationsRequest,
            migrations_pb2.MigrationReport,
            options,
            name=database_name(database),
        )

    async def baseline(
        self, database: str, to: str, reason: str, **options: Unpack[BaselineMigrationsOptions]
    ) -> AsyncOperation[migrations_pb2.BaselineMigrationsResponse]:
        """Start to record migrations up to the version `to` as applied, without running them.

        Options: `set`, and those of every operation.
        """
        return await self._start(
            self._stub.BaselineMigrations,
            migrations_pb2.BaselineMigrationsRequest,
            migrations_pb2.BaselineMigrationsResponse,
            options,
            name=database_name(database),
            to=to,
            reason=reason,
        )

    async def adopt(
        self, database: str, tool: MigrationTool, **options: Unpack[AdoptMigrationsOptions]
    ) -> AsyncOperation[migrations_pb2.AdoptMigrationsResponse]:
        """Start to take over the history of another tool, whose table is only read.

        Options: `set`, `table` (`schema.table`), and those of every operation.
        """
        return await self._start(
            self._stub.AdoptMigrations,
            migrations_pb2.AdoptMigrationsRequest,
            migrations_pb2.AdoptMigrationsResponse,
            options,
            name=database_name(database),
            tool=tool,
        )

    async def resolve(
        self,
        database: str,
        version: str,
        resolution: Literal["APPLIED", "NOT_APPLIED"],
        reason: str,
        *,
        set: str = "",  # noqa: A002  # the contract's word
        request_id: str | None = None,
        validate_only: bool = False,
        timeout_s: float | None = None,
        metadata: Metadata = (),
    ) -> migrations_pb2.Migration:
        """Record what is so of a migration whose end is not known; return it.

        `version` of a repeatable migration is its name.
        """
        request = migrations_pb2.ResolveMigrationRequest(
            name=database_name(database),
            set=set,
            version=version,
            resolution=migrations_pb2.ResolveMigrationRequest.Resolution.Value(resolution),
            reason=reason,
            request_id=request_id_or_new(request_id),
            validate_only=validate_only,
        )
        return await self._transport.call(self._stub.ResolveMigration, request, timeout_s, metadata)
