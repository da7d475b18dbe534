"""The configured schedules, each with a known kind of operation."""

from collections.abc import Sequence

from dbopsd.app.feature import Feature, methods_of
from dbopsd.config import Config
from dbopsd.errors import ConfigurationError, DbopsError, InvalidField
from dbopsd.operations.record import Schedule
from dbopsd.operations.service import canonical_json


def schedules_of(config: Config, features: Sequence[Feature]) -> tuple[Schedule, ...]:
    """The schedules of the configuration, whose requests are checked as those of calls are.

    Raises `ConfigurationError`.
    """
    methods = methods_of(features)
    found = []
    for database, table in config.databases.items():
        for name, schedule in table.schedules.items():
            where = f"databases.{database}.schedules.{name}"
            method = methods.get(schedule.kind)
            if method is None:
                known = ", ".join(sorted(methods)) or "none yet"
                problem = f"'{schedule.kind}' is no kind of operation; there are: {known}"
                raise ConfigurationError(f"{where}.kind", problem)
            try:
                request = method.read_json(schedule.request, name=f"databases/{database}")
            except InvalidField as error:
                raise ConfigurationError(f"{where}.request.{error.field}", error.problem) from None
            except DbopsError as error:
                raise ConfigurationError(f"{where}.request", error.message) from None
            found.append(
                Schedule(
                    id=name,
                    database=database,
                    kind=schedule.kind,
                    request=canonical_json(method.kind.request_type, request),
                    cron=schedule.cron,
                    time_zone=schedule.time_zone,
                )
            )
    return tuple(found)
