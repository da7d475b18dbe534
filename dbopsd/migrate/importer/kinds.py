"""The kinds of operation that an import brings.

What they do is loaded when it is done: the API process, which only starts them, and a worker that
has none to do go without SQL parsers and Arrow, which are larger than all the rest.
"""

import importlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

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
from dbopsd.operations.kind import Kind, Run

# What changes the tables of a database, one operation at a time.
_CHANGES: Final = frozenset({"schema-change"})


def _of(module: str, name: str) -> Callable[[Run, Any], Awaitable[Any]]:
    async def work(run: Run, request: Any) -> Any:
        loaded = importlib.import_module(f"dbopsd.migrate.importer.{module}")
        return await getattr(loaded, name)(run, request)

    return work


PLAN_IMPORT: Final = Kind(
    "plan-import", ImportRequest, ImportPlan, _of("plan_import", "plan_import")
)
RUN_IMPORT: Final = Kind(
    "run-import",
    RunImportRequest,
    ImportReport,
    _of("run_import", "run_import"),
    locks=_CHANGES,
    clean_up=_of("run_import", "clean_up"),
)
VERIFY_IMPORT: Final = Kind(
    "verify-import", VerifyImportRequest, VerifyReport, _of("verify_import", "verify_import")
)
REVERT_IMPORT: Final = Kind(
    "revert-import",
    RevertImportRequest,
    RevertReport,
    _of("revert_import", "revert_import"),
    locks=_CHANGES,
)
