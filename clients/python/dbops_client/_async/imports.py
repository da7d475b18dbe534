"""`client.imports`: SQLite files into PostgreSQL, by MigrateService."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Unpack

from dbops.v1 import migrate_pb2, migrate_pb2_grpc

from dbops_client._async.operations import AsyncOperation, AsyncOperationStarter
from dbops_client._names import database_name, operation_name
from dbops_client._start_request import StartOptions

if TYPE_CHECKING:
    from dbops.v1.migrate_pb2_grpc import MigrateServiceAsyncStub


class PlanImportOptions(StartOptions, total=False):
    """The options of a plan, as the fields of `PlanImportRequest` describe them.

    `mapping` is TOML text, such as `ImportPlan.mapping`, not a path.
    """

    schema: str
    target: Literal["CREATE", "EXISTING"]
    mode: Literal["REPLACE", "APPEND", "UPSERT"]
    delete_missing: bool
    tables: Sequence[str]
    exclude_tables: Sequence[str]
    bad_rows: Literal["FAIL", "QUARANTINE"]
    integrity: Literal["QUICK", "FULL", "OFF"]
    identifier_case: Literal["PRESERVE", "LOWER"]
    mapping: str
    max_examples: int


class RunImportOptions(PlanImportOptions, total=False):
    """The options of an import, as the fields of `RunImportRequest` describe them."""

    processes: int
    skip_verification: bool


class VerifyImportOptions(StartOptions, total=False):
    """The options of a verification. `source` is another file than that of the import."""

    source: str
    max_examples: int


class AsyncImportsClient(AsyncOperationStarter):
    """Imports of SQLite files.

    `source` is a path on the machine of the daemon's workers. An option that is not given has the
    default that its request describes.
    """

    @cached_property
    def _stub(self) -> "MigrateServiceAsyncStub":
        return migrate_pb2_grpc.MigrateServiceStub(self._transport.channel)

    async def plan(
        self, database: str, source: str, **options: Unpack[PlanImportOptions]
    ) -> AsyncOperation[migrate_pb2.ImportPlan]:
        """Start to plan the import of a SQLite file; nothing is changed."""
        return await self._start(
            self._stub.PlanImport,
            migrate_pb2.PlanImportRequest,
            migrate_pb2.ImportPlan,
            options,
            name=database_name(database),
            source=source,
        )

    async def run(
        self, database: str, source: str, **options: Unpack[RunImportOptions]
    ) -> AsyncOperation[migrate_pb2.ImportReport]:
        """Start to import a SQLite file.

        The report of an import that failed is the `partial_result` of its operation.
        """
        return await self._start(
            self._stub.RunImport,
            migrate_pb2.RunImportRequest,
            migrate_pb2.ImportReport,
            options,
            name=database_name(database),
            source=source,
        )

    async def verify(
        self, database: str, operation: str, **options: Unpack[VerifyImportOptions]
    ) -> AsyncOperation[migrate_pb2.VerifyImportResponse]:
        """Start to compare what the import `operation` brought with its file, or with another.

        Differences are no failure: `VerifyImportResponse.equal` tells whether there are any.
        """
        return await self._start(
            self._stub.VerifyImport,
            migrate_pb2.VerifyImportRequest,
            migrate_pb2.VerifyImportResponse,
            options,
            name=database_name(database),
            operation=operation_name(operation),
        )

    async def revert(
        self, database: str, operation: str, **options: Unpack[StartOptions]
    ) -> AsyncOperation[migrate_pb2.RevertImportResponse]:
        """Start to restore what the import `operation` replaced."""
        return await self._start(
            self._stub.RevertImport,
            migrate_pb2.RevertImportRequest,
            migrate_pb2.RevertImportResponse,
            options,
            name=database_name(database),
            operation=operation_name(operation),
        )
