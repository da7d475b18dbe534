"""Resource names: `databases/{database}`, `operations/{operation}` and the like."""

from dbops_client._errors import ConfigurationError

_DATABASES = "databases/"
OPERATIONS = "operations"
_OPERATIONS = "operations/"
_WORKERS = "workers/"
_SCHEDULES = "/schedules/"
_SILENCES = "silences/"
_BACKUPS = "/backups/"


def database_name(database: str) -> str:
    """Return the resource name of `database`, given as its id or as its resource name.

    The server checks the name (INVALID_ARGUMENT).
    """
    return database if database.startswith(_DATABASES) else _DATABASES + database


def database_id(name: str) -> str:
    """Return the `{database}` part of a resource name, as people write it."""
    return name.removeprefix(_DATABASES)


def backup_name(database: str, backup: str) -> str:
    """Return the resource name of `backup`, given as its id or as its resource name."""
    return backup if _BACKUPS in backup else f"{database_name(database)}{_BACKUPS}{backup}"


def backup_id(name: str) -> str:
    """Return the `{backup}` part of a resource name, as people write it."""
    return name.rpartition("/")[2]


def operation_name(operation: str) -> str:
    """Return the resource name of `operation`, given as its id or as its resource name."""
    return operation if operation.startswith(_OPERATIONS) else _OPERATIONS + operation


def operation_id(name: str) -> str:
    """Return the `{operation}` part of a resource name."""
    return name.removeprefix(_OPERATIONS)


def worker_id(name: str) -> str:
    """Return the `{worker}` part of a resource name."""
    return name.removeprefix(_WORKERS)


def schedule_name(schedule: str) -> str:
    """Return the resource name of `schedule`, given as `database/schedule` or as its resource name.

    Raises ConfigurationError if the database is missing.
    """
    if schedule.startswith(_DATABASES):
        return schedule
    database, separator, rest = schedule.partition("/")
    if not separator:
        raise ConfigurationError(
            "the name of a schedule is DATABASE/SCHEDULE, such as main/nightly"
        )
    return f"{_DATABASES}{database}{_SCHEDULES}{rest}"


def schedule_id(name: str) -> str:
    """Return `database/schedule` for a resource name, as people write it."""
    return database_id(name).replace(_SCHEDULES, "/", 1)


def silence_name(silence: str) -> str:
    """Return the resource name of `silence`, given as its id or as its resource name."""
    return silence if silence.startswith(_SILENCES) else _SILENCES + silence


def silence_id(name: str) -> str:
    """Return the `{silence}` part of a resource name."""
    return name.removeprefix(_SILENCES)
