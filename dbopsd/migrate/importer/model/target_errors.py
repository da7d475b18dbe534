"""The errors of an import's PostgreSQL side."""

from dataclasses import dataclass
from typing import ClassVar

from dbopsd.errors import DbopsError, StatusCode


@dataclass(eq=False)
class ImportNotFound(DbopsError):
    """No import of that name was made into the database."""

    reason: ClassVar[str] = "IMPORT_NOT_FOUND"
    code: ClassVar[StatusCode] = StatusCode.NOT_FOUND

    import_id: str
    database: str

    @property
    def message(self) -> str:
        return (
            f"database '{self.database}' has no record of import operations/{self.import_id}: it "
            "belongs to another database, or it failed and was cleaned up"
        )


@dataclass(eq=False)
class ImportNotPublished(DbopsError):
    """The import is not what the tables in the target schema are of."""

    reason: ClassVar[str] = "IMPORT_NOT_PUBLISHED"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    import_id: str
    problem: str

    @property
    def message(self) -> str:
        return f"import operations/{self.import_id} {self.problem}"


@dataclass(eq=False)
class UnexpectedDependency(DbopsError):
    """What an import created uses something that is not the import's own."""

    reason: ClassVar[str] = "UNEXPECTED_DEPENDENCY"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    object: str
    dependency: str

    @property
    def message(self) -> str:
        return (
            f"the {self.object} would depend on {self.dependency}, which the import did not create "
            "and may not call: nothing was published"
        )


@dataclass(eq=False)
class TableInUse(DbopsError):
    """Others depend on a table that an import would replace, and would go on with the old one."""

    reason: ClassVar[str] = "TABLE_IN_USE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    table: str
    dependents: str

    @property
    def message(self) -> str:
        return (
            f"{self.table} cannot be replaced because {self.dependents} depend on it: import their "
            "tables too, drop and recreate them afterwards, or use mode 'upsert'"
        )


@dataclass(eq=False)
class NameTaken(DbopsError):
    """Something else has the name that an imported object is to have."""

    reason: ClassVar[str] = "NAME_TAKEN"
    code: ClassVar[StatusCode] = StatusCode.ALREADY_EXISTS

    name: str
    kind: str

    @property
    def message(self) -> str:
        return (
            f"{self.kind} {self.name} has the name of an imported table, view, index or sequence: "
            "rename one of them (`rename` in the mapping), or import into another schema"
        )


@dataclass(eq=False)
class TablesIncompatible(DbopsError):
    """Tables that are there cannot take what the file has."""

    reason: ClassVar[str] = "TABLES_INCOMPATIBLE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    schema: str
    count: int
    problems: str

    @property
    def message(self) -> str:
        return (
            f"the tables in schema '{self.schema}' cannot take the rows of the file, for "
            f"{self.count} reasons: {self.problems}; handle them in the mapping"
        )


@dataclass(eq=False)
class MergeIncomplete(DbopsError):
    """Rows that were merged are not in the target as they were staged."""

    reason: ClassVar[str] = "MERGE_INCOMPLETE"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    table: str
    rows: int

    @property
    def message(self) -> str:
        return (
            f"{self.rows:,} merged rows in {self.table} differ from the file: a trigger or a rule "
            "of the table changes them; the merge was rolled back"
        )


@dataclass(eq=False)
class RowsChangedSince(DbopsError):
    """Rows that an import merged into a table are not there as it left them."""

    reason: ClassVar[str] = "ROWS_CHANGED_SINCE"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    table: str
    changed: int
    """Rows that it wrote, and that have other values by now."""
    missing: int
    """Rows that it wrote, and that are not there any more; of a table without a key, or changed."""
    taken: int
    """Rows that it deleted, and whose key another row has by now."""
    before: str
    """The table with rows that it changed or deleted, as they were; empty: there are none."""
    after: str
    """The table with rows that it added or changed, as they became; empty: there are none."""

    @property
    def message(self) -> str:
        kept = " and ".join(
            f"{name} has them as {they}"
            for name, they in (
                (self.before, "they were before"),
                (self.after, "the import wrote them"),
            )
            if name
        )
        return (
            f"{self.table} has changed since the import: of the rows that it wrote, "
            f"{self.changed:,} are changed and {self.missing:,} are gone; {self.taken:,} keys of "
            "rows that it deleted are taken. Nothing was restored. Revert the later changes "
            f"first, or correct these rows by hand: {kept}"
        )


@dataclass(eq=False)
class RowsReferredTo(DbopsError):
    """Others' rows refer to those that would be taken out, or to what would change in them."""

    reason: ClassVar[str] = "ROWS_REFERRED_TO"
    code: ClassVar[StatusCode] = StatusCode.FAILED_PRECONDITION

    table: str
    rows: int
    """The number of referring rows."""
    by: str
    """The foreign key."""

    @property
    def message(self) -> str:
        return (
            f"{self.rows:,} rows that the import did not write refer, by {self.by}, to rows of "
            f"{self.table} that a revert would remove or change. Nothing was restored. Change or "
            "delete the referring rows, then revert"
        )


@dataclass(eq=False)
class RevertIncomplete(DbopsError):
    """Rows that were put back are not in the target as they were kept."""

    reason: ClassVar[str] = "REVERT_INCOMPLETE"
    code: ClassVar[StatusCode] = StatusCode.DATA_LOSS

    table: str
    rows: int

    @property
    def message(self) -> str:
        return (
            f"{self.rows:,} restored rows of {self.table} differ from those before the import: a "
            "foreign key, a trigger or a rule changes them; the revert was rolled back"
        )
