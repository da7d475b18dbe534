"""The methods of `dbops.v1.MigrateService`: each starts a kind of operation.

Apart from the servicer, which a worker does not need.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from dbops.v1 import migrate_pb2
from google.protobuf.descriptor import ServiceDescriptor

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
from dbopsd.rpc.import_encode import (
    encode_plan,
    encode_report,
    encode_reversion,
    encode_verification,
)
from dbopsd.rpc.operation_methods import OperationMethod

SERVICE: Final[ServiceDescriptor] = migrate_pb2.DESCRIPTOR.services_by_name["MigrateService"]


@dataclass(frozen=True)
class ImportKinds:
    """The importer's kinds of operation."""

    plan: Kind[ImportRequest, ImportPlan]
    run: Kind[RunImportRequest, ImportReport]
    verify: Kind[VerifyImportRequest, VerifyReport]
    revert: Kind[RevertImportRequest, RevertReport]


class ImportMethods(NamedTuple):
    """The methods that start them."""

    plan: OperationMethod[ImportRequest, ImportPlan]
    run: OperationMethod[RunImportRequest, ImportReport]
    verify: OperationMethod[VerifyImportRequest, VerifyReport]
    revert: OperationMethod[RevertImportRequest, RevertReport]


def migrate_methods(kinds: ImportKinds) -> ImportMethods:
    """The method of each kind, and what its result looks like."""
    return ImportMethods(
        OperationMethod(kinds.plan, f"{SERVICE.full_name}/PlanImport", encode_plan),
        OperationMethod(kinds.run, f"{SERVICE.full_name}/RunImport", encode_report),
        OperationMethod(kinds.verify, f"{SERVICE.full_name}/VerifyImport", encode_verification),
        OperationMethod(kinds.revert, f"{SERVICE.full_name}/RevertImport", encode_reversion),
    )
