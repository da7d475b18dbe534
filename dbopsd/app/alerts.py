"""Alerts in the API process: rules, and what is needed to judge by them."""

from collections.abc import Callable, Mapping, Sequence

from dbopsd.app.user_collectors import user_collectors_of
from dbopsd.config import Config
from dbopsd.errors import ConfigurationError
from dbopsd.health.board import HealthBoard
from dbopsd.metrics.alerts.judge import Judge
from dbopsd.metrics.alerts.prometheus_rules import prometheus_rules as written_for_prometheus
from dbopsd.metrics.alerts.rules import RuleSet
from dbopsd.metrics.collector import Collector, load_collectors
from dbopsd.metrics.errors import RuleInvalid
from dbopsd.metrics.source import Source
from dbopsd.metrics.sources import load_sources


def rules_of(
    config: Config, collectors: Sequence[Collector] = (), sources: Sequence[Source] = ()
) -> dict[str, RuleSet]:
    """The rules of each database. Raises `ConfigurationError`, and `CollectorInvalid`."""
    if not collectors:
        collectors, sources = load_collectors(), load_sources()
        users = user_collectors_of(config, collectors, sources)
        collectors = (*collectors, *(each.collector for each in users))
    givers = metric_givers(collectors, sources)
    try:
        shared = RuleSet.of(config.alerts)
        shared.require_metrics(lambda name: givers(name) is not None)
        return {
            name: shared.changed(database.alerts.rules, f"databases.{name}.alerts.rules")
            for name, database in config.databases.items()
        }
    except RuleInvalid as error:
        raise ConfigurationError("alerts", error.message) from error


def prometheus_rules(config: Config) -> str:
    """The rules for Prometheus. Raises `ConfigurationError`."""
    rules_of(config)
    shared = RuleSet.of(config.alerts).rules
    return written_for_prometheus(rule for _, rule in sorted(shared.items()))


def judges_of(
    config: Config,
    rules: Mapping[str, RuleSet],
    board: HealthBoard,
    collectors: Sequence[Collector],
    sources: Sequence[Source],
) -> dict[str, Judge]:
    """A judge of each database."""
    givers = metric_givers(collectors, sources)
    return {
        name: Judge(
            name,
            rules[name].awake(),
            _without(givers, frozenset(database.metrics.disable)),
            _messages(board, name),
        )
        for name, database in config.databases.items()
    }


def metric_givers(
    collectors: Sequence[Collector], sources: Sequence[Source]
) -> Callable[[str], str | None]:
    """What names the collector or the source of a metric; None where nothing gives it."""
    declared = {metric.name: each.name for each in collectors for metric in each.metrics}
    declared |= {metric.name: each.name for each in sources for metric in each.metrics}
    # Rows name metrics below a prefix.
    prefixes = {
        each.header.prefix: each.name
        for each in collectors
        if each.header.rows_name_metrics and each.header.prefix
    }

    def giver(metric: str) -> str | None:
        found = declared.get(metric)
        if found is not None:
            return found
        return next((name for prefix, name in prefixes.items() if metric.startswith(prefix)), None)

    return giver


def _without(
    givers: Callable[[str], str | None], disabled: frozenset[str]
) -> Callable[[str], str | None]:
    def giver(metric: str) -> str | None:
        name = givers(metric)
        return None if name in disabled else name

    return giver


def _messages(board: HealthBoard, database: str) -> Callable[[], Mapping[str, str]]:
    return lambda: {check.check: check.message for check in board.report(database).checks}
