"""Which sets of migrations a request is about."""

from dbopsd.config.databases import DatabaseConfig
from dbopsd.config.migrations import MigrationSetConfig
from dbopsd.migrate.versions.model.errors import MigrationsNotConfigured, SetRequired, SetUnknown


def chosen_sets(
    database: str, config: DatabaseConfig, set_: str = ""
) -> tuple[MigrationSetConfig, ...]:
    """The set of that name; without a name all of them, as they are configured.

    Raises `MigrationsNotConfigured` and `SetUnknown`.
    """
    sets = config.migrations_dir
    if not sets:
        raise MigrationsNotConfigured(database)
    if not set_:
        return sets
    found = tuple(each for each in sets if each.set == set_)
    if not found:
        raise SetUnknown(database, set_, _names(sets))
    return found


def single_set(database: str, config: DatabaseConfig, set_: str = "") -> MigrationSetConfig:
    """The set of that name, or the only one.

    Raises `MigrationsNotConfigured`, `SetUnknown` and `SetRequired`.
    """
    found = chosen_sets(database, config, set_)
    if len(found) > 1:
        raise SetRequired(database, _names(found))
    return found[0]


def _names(sets: tuple[MigrationSetConfig, ...]) -> str:
    return ", ".join(f"'{each.set}'" for each in sets)
