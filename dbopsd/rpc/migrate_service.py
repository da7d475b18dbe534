"""`dbops.v1.MigrateService`."""

import asyncio
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, TypeVar

from dbops.v1 import migrate_pb2, migrate_pb2_grpc
from google.longrunning import operations_pb2 as longrunning_pb2

from dbopsd.errors import InvalidField
from dbopsd.migrate.importer.model.requests import (
    BadRows,
    ImportRequest,
    Integrity,
    Mode,
    Names,
    RevertImportRequest,
    RunImportRequest,
    Target,
    VerifyImportRequest,
)
from dbopsd.operations.service import Operations
from dbopsd.rpc.encode import database_id
from dbopsd.rpc.migrate_methods import ImportMethods
from dbopsd.rpc.operation_encode import operation_id
from dbopsd.rpc.operation_methods import OperationMethod
from dbopsd.rpc.operation_start import OperationStarter
from dbopsd.rpc.times import seconds

RequestT = TypeVar("RequestT")
EnumT = TypeVar("EnumT", bound=Enum)

_MAX_NAME_BYTES: Final = 63  # NAMEDATALEN - 1
_OWN_SCHEMAS: Final = ("dbops_new_", "dbops_old_", "dbops_try_")
_MAX_EXAMPLES: Final = 10_000
_MAX_PROCESSES: Final = 64

_Run = migrate_pb2.RunImportRequest
_MODES: Final = {
    _Run.MODE_UNSPECIFIED: Mode.REPLACE,
    _Run.REPLACE: Mode.REPLACE,
    _Run.APPEND: Mode.APPEND,
    _Run.UPSERT: Mode.UPSERT,
}
_TARGETS: Final = {
    _Run.TARGET_UNSPECIFIED: Target.CREATE,
    _Run.CREATE: Target.CREATE,
    _Run.EXISTING: Target.EXISTING,
}
_BAD_ROWS: Final = {
    _Run.BAD_ROWS_UNSPECIFIED: BadRows.FAIL,
    _Run.FAIL: BadRows.FAIL,
    _Run.QUARANTINE: BadRows.QUARANTINE,
}
_INTEGRITIES: Final = {
    _Run.INTEGRITY_UNSPECIFIED: Integrity.QUICK,
    _Run.QUICK: Integrity.QUICK,
    _Run.FULL: Integrity.FULL,
    _Run.OFF: Integrity.OFF,
}
_NAMES: Final = {
    _Run.IDENTIFIER_CASE_UNSPECIFIED: Names.PRESERVE,
    _Run.PRESERVE: Names.PRESERVE,
    _Run.LOWER: Names.LOWER,
}


class MigrateService(migrate_pb2_grpc.MigrateServiceServicer):
    """Decodes, starts, encodes."""

    def __init__(self, operations: Operations, methods: ImportMethods) -> None:
        self._starter = OperationStarter(operations, methods)
        self._methods = methods

    async def PlanImport(  # noqa: N802 - gRPC's names
        self, request: migrate_pb2.PlanImportRequest, context: Any
    ) -> longrunning_pb2.Operation:
        """Find out what an import would do."""
        await _check_mapping(request.mapping)
        return await self._start(self._methods.plan, request, ImportRequest(**_asked(request)))

    async def RunImport(  # noqa: N802
        self, request: migrate_pb2.RunImportRequest, context: Any
    ) -> longrunning_pb2.Operation:
        """Import a SQLite file."""
        if not 0 <= request.processes <= _MAX_PROCESSES:
            raise InvalidField("processes", f"is not 0 to {_MAX_PROCESSES}")
        await _check_mapping(request.mapping)
        decoded = RunImportRequest(
            **_asked(request), processes=request.processes, verify=not request.skip_verification
        )
        return await self._start(self._methods.run, request, decoded)

    async def VerifyImport(  # noqa: N802
        self, request: migrate_pb2.VerifyImportRequest, context: Any
    ) -> longrunning_pb2.Operation:
        """Compare what an import brought with a SQLite file."""
        decoded = VerifyImportRequest(
            import_id=operation_id(request.operation, "operation"),
            source=request.source,
            **_examples(request),
        )
        return await self._start(self._methods.verify, request, decoded)

    async def RevertImport(  # noqa: N802
        self, request: migrate_pb2.RevertImportRequest, context: Any
    ) -> longrunning_pb2.Operation:
        """Put back what stood in the place of an import's tables."""
        decoded = RevertImportRequest(import_id=operation_id(request.operation, "operation"))
        return await self._start(self._methods.revert, request, decoded)

    async def _start(
        self, method: OperationMethod[RequestT, Any], request: Any, decoded: RequestT
    ) -> longrunning_pb2.Operation:
        return await self._starter.start(
            method,
            decoded,
            database=database_id(request.name),
            request_id=request.request_id,
            validate_only=request.validate_only,
            timeout_s=seconds(request.timeout) if request.HasField("timeout") else None,
        )


def _asked(request: migrate_pb2.PlanImportRequest | migrate_pb2.RunImportRequest) -> dict[str, Any]:
    """The fields of an `ImportRequest`. Raises `InvalidField`."""
    mode = _known("mode", request.mode, _MODES)
    if request.delete_missing and mode is not Mode.UPSERT:
        raise InvalidField("delete_missing", "goes with mode UPSERT only")
    bad_rows = _known("bad_rows", request.bad_rows, _BAD_ROWS)
    if request.delete_missing and bad_rows is BadRows.QUARANTINE:
        problem = "does not go with bad_rows QUARANTINE: rows that are kept apart would be deleted"
        raise InvalidField("delete_missing", problem)
    return {
        "source": request.source,
        "schema": _schema(request.schema),
        "target": _known("target", request.target, _TARGETS),
        "mode": mode,
        "delete_missing": request.delete_missing,
        "tables": _tables("tables", request.tables),
        "exclude_tables": _tables("exclude_tables", request.exclude_tables),
        "bad_rows": bad_rows,
        "integrity": _known("integrity", request.integrity, _INTEGRITIES),
        "names": _known("identifier_case", request.identifier_case, _NAMES),
        "mapping": request.mapping,
        **_examples(request),
    }


async def _check_mapping(mapping: str) -> None:
    """Raise `InvalidMapping` for what can be seen without the file."""
    if mapping:
        # Loaded with the first mapping: most that a daemon is asked has none.
        from dbopsd.migrate.importer.plan.mapping import read_mapping  # noqa: PLC0415

        await asyncio.to_thread(read_mapping, mapping)


def _examples(request: Any) -> dict[str, int]:
    """The field `max_examples`, where it is set."""
    if not request.HasField("max_examples"):
        return {}
    if not 0 <= request.max_examples <= _MAX_EXAMPLES:
        raise InvalidField("max_examples", f"is not 0 to {_MAX_EXAMPLES}")
    return {"max_examples": request.max_examples}


def _schema(schema: str) -> str:
    if not schema:
        return "public"
    if "\0" in schema or len(schema.encode()) > _MAX_NAME_BYTES:
        raise InvalidField("schema", f"is no name of PostgreSQL: 1 to {_MAX_NAME_BYTES} bytes")
    if not schema.strip():
        raise InvalidField("schema", "is blank")
    if schema.startswith("pg_") or schema == "information_schema":
        raise InvalidField("schema", "is one of PostgreSQL's own")
    if schema == "dbops" or schema.startswith(_OWN_SCHEMAS):
        raise InvalidField("schema", "is one of dbopsd's own")
    return schema


def _tables(field: str, tables: Any) -> tuple[str, ...]:
    for index, table in enumerate(tables):
        if not table:
            raise InvalidField(f"{field}[{index}]", "is empty")
    return tuple(tables)


def _known(field: str, number: int, meanings: Mapping[Any, EnumT]) -> EnumT:
    meaning = meanings.get(number)
    if meaning is None:
        raise InvalidField(field, f"has the value {number}, which is not known here")
    return meaning
