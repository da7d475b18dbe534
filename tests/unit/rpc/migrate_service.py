"""MigrateService on databases without migrations, or with the reader of a test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dbops.v1 import migrate_pb2

from dbopsd.migrate.versions.reader import MigrationReader
from dbopsd.rpc.migrate_service import MigrateService
from dbopsd.rpc.server import Service


@dataclass(frozen=True)
class Unconfigured:
    """The part of a database that is read: it has no folder of migrations."""

    migrations_dir: tuple[()] = ()

    @property
    def config(self) -> "Unconfigured":
        return self


def migrate_service(databases: Sequence[str], reader: Any = None) -> Service:
    """The service of these databases."""
    known: dict[str, Any] = {name: Unconfigured() for name in databases}
    return Service(
        migrate_pb2.DESCRIPTOR.services_by_name["MigrateService"],
        MigrateService(databases, lambda: reader or MigrationReader(known)),
    )
