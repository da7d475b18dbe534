"""The features of the daemon that do long-running work."""

from typing import TYPE_CHECKING

from dbopsd.app.feature import Feature
from dbopsd.migrate.importer import kinds
from dbopsd.rpc.migrate_methods import ImportKinds, migrate_methods

if TYPE_CHECKING:
    from dbopsd.operations.service import Operations
    from dbopsd.rpc.server import Service


_IMPORT_METHODS = migrate_methods(
    ImportKinds(
        plan=kinds.PLAN_IMPORT,
        run=kinds.RUN_IMPORT,
        verify=kinds.VERIFY_IMPORT,
        revert=kinds.REVERT_IMPORT,
    )
)


def _import_services(operations: "Operations") -> "list[Service]":
    # Only the API process has a server.
    from dbops.v1 import migrate_pb2_grpc  # noqa: PLC0415

    from dbopsd.rpc.migrate_methods import SERVICE  # noqa: PLC0415
    from dbopsd.rpc.migrate_service import MigrateService  # noqa: PLC0415
    from dbopsd.rpc.server import Service  # noqa: PLC0415

    servicer = MigrateService(operations, _IMPORT_METHODS)
    return [Service(SERVICE, servicer, migrate_pb2_grpc.add_MigrateServiceServicer_to_server)]


IMPORTER = Feature(methods=_IMPORT_METHODS, services=_import_services)

FEATURES = (IMPORTER,)
