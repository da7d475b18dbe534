"""What there is of a ledger in its database, and what to say where that is not all."""

from dataclasses import dataclass
from typing import Final

from dbopsd.db.identifiers import quoted
from dbopsd.db.session import Session
from dbopsd.db.statement import Statement
from dbopsd.migrate.versions.ledger.errors import (
    LedgerDamaged,
    LedgerNotOurs,
    LedgerPermissionMissing,
)
from dbopsd.migrate.versions.model.ledger_run import LEDGER_TABLES

_VERSION_TABLE: Final = "ledger_version"


@dataclass(frozen=True)
class Layout:
    """What is there. All of a ledger's tables are created at once."""

    database: str
    schema: str
    schema_exists: bool
    tables: frozenset[str]
    guarded: tuple[str, ...]
    """The tables that may hide rows from this role."""

    @classmethod
    async def of(
        cls, session: Session, database: str, schema: str, statement: Statement
    ) -> "Layout":
        """What `statement`, that of `ledger_found.sql`, finds. Raises `LedgerNotOurs`."""
        row = await session.fetch_one(statement, {"schema": schema})
        if row is None:
            raise ValueError("SELECT without FROM returned no row")
        schema_exists, tables, strangers, guarded = row
        if strangers:
            raise LedgerNotOurs(database, schema, strangers)
        return cls(database, schema, schema_exists, frozenset(tables), tuple(guarded))

    @property
    def exists(self) -> bool:
        """Whether there is a ledger, or something of one."""
        return bool(self.tables)

    def check(self) -> None:
        """Raise what keeps anybody from relying on what the tables say."""
        if self.guarded:
            # What is hidden would be run again.
            names = ", ".join(self.guarded)
            off = "; ".join(
                f"ALTER TABLE {quoted(self.schema, name)} DISABLE ROW LEVEL SECURITY"
                for name in self.guarded
            )
            raise LedgerPermissionMissing(
                self.database,
                self.schema,
                f"row-level security hides rows of {names} from this role",
                f"{off} (an event trigger that enables it on new tables must leave them out)",
            )
        missing = [name for name in LEDGER_TABLES if name not in self.tables]
        if not self.exists or not missing:
            return
        if missing == [_VERSION_TABLE]:
            create = (
                f"CREATE TABLE {quoted(self.schema, _VERSION_TABLE)} (version int4 PRIMARY KEY, "
                "created_at timestamptz NOT NULL DEFAULT clock_timestamp())"
            )
            raise self._without_version(f"it has no table {_VERSION_TABLE}", f"{create}; ")
        tables, them = ("table", "it") if len(missing) == 1 else ("tables", "them")
        raise LedgerDamaged(
            self.database,
            self.schema,
            f"it has no {tables} {', '.join(missing)}, and has {', '.join(sorted(self.tables))}",
            f"restore {them} from a backup of this database; or drop what is left, and record with "
            "`dbops migrate baseline` what is applied",
        )

    def version_missing(self) -> LedgerDamaged:
        """What to raise where the table of versions has none."""
        return self._without_version(f"its table {_VERSION_TABLE} has no version", "")

    def _without_version(self, damage: str, create: str) -> LedgerDamaged:
        table = quoted(self.schema, _VERSION_TABLE)
        insert = f"INSERT INTO {table} (version) VALUES (1)"  # noqa: S608 - quoted
        return LedgerDamaged(
            self.database,
            self.schema,
            f"{damage}, and the tables with its runs are there",
            "restore it from a backup of this database; or, if no newer dbopsd than this one has "
            f"used it, this helps, as the role that owns the others: {create}{insert}",
        )
