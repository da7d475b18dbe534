"""The schedules of the configuration, each for a kind of operation that there is."""

from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from dbopsd.app.feature import Feature, kinds_of
from dbopsd.config import Config
from dbopsd.errors import ConfigurationError
from dbopsd.operations.record import Schedule
from dbopsd.operations.service import canonical_json


def schedules_of(config: Config, features: Sequence[Feature]) -> tuple[Schedule, ...]:
    """The schedules of the configuration. Raises `ConfigurationError`."""
    kinds = kinds_of(features)
    found = []
    for database, table in config.databases.items():
        for name, schedule in table.schedules.items():
            where = f"databases.{database}.schedules.{name}"
            kind = kinds.get(schedule.kind)
            if kind is None:
                known = ", ".join(sorted(kinds)) or "none yet"
                problem = f"'{schedule.kind}' is no kind of operation; there are: {known}"
                raise ConfigurationError(f"{where}.kind", problem)
            try:
                request = TypeAdapter(kind.request_type).validate_python(schedule.request)
            except ValidationError as exc:
                error = exc.errors()[0]
                key = ".".join(("request", *(str(part) for part in error["loc"])))
                raise ConfigurationError(f"{where}.{key}", error["msg"]) from None
            found.append(
                Schedule(
                    id=name,
                    database=database,
                    kind=kind.name,
                    request=canonical_json(kind.request_type, request),
                    cron=schedule.cron,
                    time_zone=schedule.time_zone,
                )
            )
    return tuple(found)
