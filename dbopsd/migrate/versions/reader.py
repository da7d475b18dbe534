"""What is answered about the migrations of every database without an operation."""

from collections.abc import Mapping

from dbopsd.db.database import Database
from dbopsd.migrate.versions.model.errors import MigrationsNotConfigured, VersionNotFound
from dbopsd.migrate.versions.model.migration import Migration, MigrationList
from dbopsd.migrate.versions.model.requests import Resolution


class MigrationReader:
    """Reads files and ledger anew at each call. `database` is the id of one of `databases`."""

    def __init__(self, databases: Mapping[str, Database]) -> None:
        self._databases = databases

    async def list(self, database: str, set_: str) -> MigrationList:
        """The migrations of a set; an empty name: of all. Raises `MigrationsNotConfigured`."""
        if not self._databases[database].config.migrations_dir:
            raise MigrationsNotConfigured(database)
        return MigrationList()

    async def resolve(
        self,
        database: str,
        set_: str,
        version: str,
        resolution: Resolution,
        *,
        reason: str,
        who: str,
        validate_only: bool,
    ) -> Migration:
        """Record what is so of a migration whose end is not known; return it.

        Where its last run is the same resolution already, nothing is recorded.
        """
        if not self._databases[database].config.migrations_dir:
            raise MigrationsNotConfigured(database)
        raise VersionNotFound(database, set_, version)
