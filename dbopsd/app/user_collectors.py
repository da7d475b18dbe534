"""The collectors that the configuration names a directory for."""

from collections.abc import Sequence

from dbopsd.config import Config
from dbopsd.metrics.collector import Collector, load_collectors
from dbopsd.metrics.sampling.user_collectors.load import UserCollector, load_user_collectors
from dbopsd.metrics.source import Source
from dbopsd.metrics.sources import load_sources


def user_collectors_of(
    config: Config, collectors: Sequence[Collector], sources: Sequence[Source]
) -> tuple[UserCollector, ...]:
    """Those in the directory, beside dbopsd's own `collectors` and `sources`; none without one.

    Raises `ConfigurationError` and `CollectorInvalid`.
    """
    directory = config.metrics.collectors_dir
    if directory is None:
        return ()
    return load_user_collectors(directory, collectors, sources, config.databases)


def check_user_collectors(config: Config) -> None:
    """Raise `ConfigurationError` or `CollectorInvalid` for the first thing that is wrong."""
    if config.metrics.collectors_dir is not None:
        user_collectors_of(config, load_collectors(), load_sources())
