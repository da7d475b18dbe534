"""Resource names: `databases/{database}`, `operations/{operation}` and the like."""

from dbops_client._errors import ConfigurationError

_DATABASES = "databases/"
OPERATIONS = "operations"
_OPERATIONS = "operations/"
_WORKERS = "workers/"
_SCHEDULES = "/schedules/"


def database_name(database: str) -> str:
    """Return the resource name of `database`, which is given by its id or by that very name.

    The text is not checked further: the server says what a valid name is (INVALID_ARGUMENT).
    """
    return database if database.startswith(_DATABASES) else _DATABASES + database


def database_id(name: str) -> str:
    """Return the `{database}` part of a resource name: what people type and read."""
    return name.removeprefix(_DATABASES)


def operation_name(operation: str) -> str:
    """Return the resource name of `operation`, which is given by its id or by that very name."""
    return operation if operation.startswith(_OPERATIONS) else _OPERATIONS + operation


def operation_id(name: str) -> str:
    """Return the `{operation}` part of a resource name."""
    return name.removeprefix(_OPERATIONS)


def worker_id(name: str) -> str:
    """Return the `{worker}` part of a resource name."""
    return name.removeprefix(_WORKERS)


def schedule_name(schedule: str) -> str:
    """Return the resource name of `schedule`: given as `database/schedule`, or as that very name.

    Raises ConfigurationError if it says no database: two may have a schedule of that name.
    """
    if schedule.startswith(_DATABASES):
        return schedule
    database, separator, rest = schedule.partition("/")
    if not separator:
        raise ConfigurationError(
            "a schedule is named with its database, DATABASE/SCHEDULE, such as main/nightly"
        )
    return f"{_DATABASES}{database}{_SCHEDULES}{rest}"


def schedule_id(name: str) -> str:
    """Return a schedule's resource name as people type and read it: `database/schedule`."""
    return database_id(name).replace(_SCHEDULES, "/", 1)
