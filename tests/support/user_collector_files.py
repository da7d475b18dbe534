"""Files of users' collectors, as a test writes them."""

from collections.abc import Mapping
from pathlib import Path

from dbopsd.metrics.sampling.user_collectors.load import UserCollector, load_user_collectors
from dbopsd.metrics.sources import load_sources
from tests.support.sampling import COLLECTORS


def user_collector(name: str, sql: str, head: str = "", *, labels: str = "") -> str:
    """A file of one gauge, `NAME_value`, in the column `n`; `head` goes into its header."""
    return (
        f'/*\nabout = "x."\nevery_s = 5\nlabels = [{labels}]\n{head}\n[metrics.{name}_value]\n'
        f'unit = "1"\nhelp = "x."\ncolumn = "n"\n*/\n{sql}'
    )


def load_files(directory: Path, files: Mapping[str, str]) -> tuple[UserCollector, ...]:
    """Write `files`, by name without `.sql`, and load them for the database `main`."""
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / f"{name}.sql").write_text(text)
    return load_user_collectors(directory, COLLECTORS, load_sources(), ["main"])


def load_queries(directory: Path, queries: Mapping[str, str]) -> tuple[UserCollector, ...]:
    """The same for queries alone, each in a collector of its name."""
    return load_files(directory, {name: user_collector(name, sql) for name, sql in queries.items()})
