"""The interface of a publication: check, apply and revert."""

from abc import ABC, abstractmethod

from dbopsd.db.session import Session
from dbopsd.migrate.importer.model.plan import Plan
from dbopsd.migrate.importer.model.report import RevertedTable
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.postgres.table_guards import LockOrder
from dbopsd.migrate.importer.records.import_records import ImportRecord


class Publication(ABC):
    """A way in which staged rows get to the target schema, and back.

    `apply` and `revert` are one transaction each. They wait half a second for a lock and raise
    `LockTimeout` then, to be called again with the same `order`.
    """

    @abstractmethod
    async def check(self, session: Session, request: ImportRequest, plan: Plan) -> Plan:
        """The plan as it can be published in this way. Raises what makes that impossible."""

    @abstractmethod
    async def apply(
        self, session: Session, record: ImportRecord, request: ImportRequest, order: LockOrder
    ) -> ImportRecord:
        """Publish what is staged, unless that is done already; the record as it is then."""

    @abstractmethod
    async def revert(
        self, session: Session, record: ImportRecord, order: LockOrder
    ) -> list[RevertedTable]:
        """Undo the publication. Returns what happened to the rows of tables that stay."""
