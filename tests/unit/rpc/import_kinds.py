"""The importer's service and its kinds of operation, which no worker of these tests ever runs."""

from typing import Any

from dbops.v1 import migrate_pb2_grpc

from dbopsd.migrate.importer.model.report import (
    ImportPlan,
    ImportReport,
    RevertReport,
    VerifyReport,
)
from dbopsd.migrate.importer.model.requests import (
    ImportRequest,
    RevertImportRequest,
    RunImportRequest,
    VerifyImportRequest,
)
from dbopsd.operations.kind import Kind
from dbopsd.operations.service import Operations
from dbopsd.rpc.migrate_methods import SERVICE, ImportKinds, migrate_methods
from dbopsd.rpc.migrate_service import MigrateService
from dbopsd.rpc.server import Service


async def _never(_run: Any, _request: Any) -> Any:
    raise AssertionError


KINDS = ImportKinds(
    plan=Kind("plan-import", ImportRequest, ImportPlan, _never),
    run=Kind("run-import", RunImportRequest, ImportReport, _never, locks=frozenset({"import"})),
    verify=Kind("verify-import", VerifyImportRequest, VerifyReport, _never),
    revert=Kind("revert-import", RevertImportRequest, RevertReport, _never),
)
METHODS = migrate_methods(KINDS)


def service(operations: Operations) -> Service:
    """What the importer adds to the gRPC server."""
    add = migrate_pb2_grpc.add_MigrateServiceServicer_to_server
    return Service(SERVICE, MigrateService(operations, METHODS), add)
