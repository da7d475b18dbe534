"""Reads users' collectors from a directory, and refuses what could not be run within limits."""

import re
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbopsd.db.statement import Statement
from dbopsd.errors import ConfigurationError
from dbopsd.metrics.collector import Collector, require_distinct_metrics
from dbopsd.metrics.errors import CollectorInvalid
from dbopsd.metrics.source import Source

MOST_LABEL_CHARACTERS: Final = 256
# A number as text is shorter: what is longer is none.
MOST_NUMBER_CHARACTERS: Final = 64

_WHERE: Final = "metrics.collectors_dir"
_MOST_FILES: Final = 200
_MOST_FILE_BYTES: Final = 256 * 1024
_LONGEST_TIMEOUT_S: Final = 10.0
_COLUMN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_MOST_LABELS: Final = 10
_MOST_METRICS: Final = 50
# The others are for queries that are known, or run on the sampler's own connections.
_KEYS: Final = frozenset(
    {
        *("about", "every_s", "timeout_s", "until", "role", "extension", "extension_version"),
        *("prefix", "labels", "duplicates", "metrics", "databases"),
    }
)
# Names that rows of the server's settings make, and those of the daemon's own metrics to come.
_RESERVED_PREFIXES: Final = ("pg_settings_", "dbops_", "dbopsd_", "process_")
# The exposition's own: the database, and what Prometheus adds.
_RESERVED_LABELS: Final = frozenset(("server", "instance", "job", "le", "quantile"))


@dataclass(frozen=True, slots=True)
class UserCollector:
    """A collector, and the statements that check its SQL and run it within limits.

    `parsed` has the server parse the SQL alone: it can be nothing but one complete statement.
    `bounded` is that statement as a subquery, for which nothing but a query will do, with as many
    rows and bytes as `%(rows)s` and `%(bytes)s` say. Its columns are text: `columns` by name, and
    how many rows there were in all.
    """

    collector: Collector
    columns: tuple[str, ...]
    labels: frozenset[str]
    parsed: Statement
    bounded: Statement

    @property
    def name(self) -> str:
        """The collector's name."""
        return self.collector.name


def load_user_collectors(
    directory: Path, known: Iterable[Collector], sources: Iterable[Source], databases: Iterable[str]
) -> tuple[UserCollector, ...]:
    """The collectors in `directory`, by file name.

    Raises `ConfigurationError` if it cannot be read, and `CollectorInvalid` for the first file
    that is wrong, or gives a metric that is given already.
    """
    known, sources, databases = list(known), list(sources), frozenset(databases)
    taken = {each.name for each in known} | {each.name for each in sources}
    given = {metric.name for each in known for metric in each.metrics}
    given |= {metric.name for each in sources for metric in each.metrics}
    read = [Collector.parse(name, text) for name, text in _files(directory)]
    users = [metric.name for each in read for metric in each.metrics]
    families = {_family(name): name for name in (*users, *given)}
    for each in read:
        _require_allowed(each, taken, given, families, databases)
    require_distinct_metrics(read)
    return tuple(map(_bounded, read))


def _files(directory: Path) -> list[tuple[str, str]]:
    try:
        paths = sorted(path for path in directory.iterdir() if path.name.endswith(".sql"))
        if len(paths) > _MOST_FILES:
            raise ConfigurationError(_WHERE, f"has {len(paths)} files; {_MOST_FILES} at most")
        return [(path.name, _text(path)) for path in paths]
    except OSError as exc:
        raise ConfigurationError(_WHERE, f"'{directory}' cannot be read: {exc.strerror}") from exc


def _text(path: Path) -> str:
    # A pipe would be waited for.
    if not stat.S_ISREG(path.stat().st_mode):
        raise CollectorInvalid(path.name, "is no file")
    with path.open("rb") as file:
        content = file.read(_MOST_FILE_BYTES + 1)
    if len(content) > _MOST_FILE_BYTES:
        raise CollectorInvalid(path.name, f"is longer than {_MOST_FILE_BYTES // 1024} KiB")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise CollectorInvalid(path.name, "is not UTF-8 text") from None
    if "\0" in text:
        raise CollectorInvalid(path.name, "has a NUL in it")
    return text


def _require_allowed(
    collector: Collector,
    taken: Collection[str],
    given: Collection[str],
    families: Mapping[str, str],
    databases: Collection[str],
) -> None:
    header, file = collector.header, f"{collector.name}.sql"
    if others := sorted(header.model_fields_set - _KEYS):
        raise CollectorInvalid(file, f"{others[0]}: is for the collectors of dbopsd only")
    if collector.name in taken:
        raise CollectorInvalid(file, "has the name of a collector of dbopsd")
    if header.timeout_s > _LONGEST_TIMEOUT_S:
        raise CollectorInvalid(file, f"timeout_s: is above {_LONGEST_TIMEOUT_S:g}")
    if len(collector.metrics) > _MOST_METRICS:
        raise CollectorInvalid(file, f"declares more than {_MOST_METRICS} metrics")
    if unknown := sorted(set(header.databases) - set(databases)):
        raise CollectorInvalid(file, f"databases: there is no databases.{unknown[0]}")
    for column in collector.columns:
        if not _COLUMN.fullmatch(column.value):
            raise CollectorInvalid(
                file, f"'{column.value}' is no name of a column that can be used"
            )
    for metric in collector.metrics:
        other = families[_family(metric.name)]
        if other != metric.name:
            raise CollectorInvalid(
                file, f"declares {metric.name}, which OpenMetrics does not tell from {other}"
            )
        if metric.name in given or metric.name.startswith(_RESERVED_PREFIXES):
            raise CollectorInvalid(file, f"declares {metric.name}, which is a name of dbopsd's own")
        if len(metric.labels) > _MOST_LABELS:
            raise CollectorInvalid(file, f"{metric.name} has more than {_MOST_LABELS} labels")
        if reserved := sorted(_RESERVED_LABELS.intersection(metric.labels)):
            raise CollectorInvalid(file, f"the label {reserved[0]} is not for collectors")


def _family(metric: str) -> str:
    return metric.removesuffix("_total")


def _bounded(collector: Collector) -> UserCollector:
    labels = {label: None for column in collector.columns for label in column.labels}
    values = {column.value: None for column in collector.columns if column.value not in labels}
    columns = (*labels, *values)
    # Braces and percent signs are the driver's. A comment must not reach what stands behind it.
    query = collector.statement.query_text.replace("{", "{{").replace("}", "}}")
    cells = ",\n    ".join(
        # One character more than there may be shows that it is longer.
        f"pg_catalog.left(q.{{c{place}}}::pg_catalog.text, {_most(name, labels) + 1}) AS c{place}"
        for place, name in enumerate(columns)
    )
    names = ", ".join(f"n.c{place}" for place in range(len(columns)))
    sizes = " + ".join(
        f"coalesce(pg_catalog.octet_length(b.c{place}), 0)" for place in range(len(columns))
    )
    # Written here and nowhere else: every name in it is one of ours, or quoted below.
    bounded = f"""\
SELECT {names}, n.row_count
FROM (
  SELECT b.*,
    pg_catalog.count(*) OVER () AS row_count,
    pg_catalog.sum({sizes}) OVER (ROWS UNBOUNDED PRECEDING) AS size_bytes
  FROM (
    SELECT {cells}
    FROM (
{query.replace("%", "%%")}
    ) AS q
    LIMIT %(rows)s + 1
  ) AS b
) AS n
WHERE n.size_bytes <= %(bytes)s
"""  # noqa: S608
    summary = f"SELECT user collector {collector.name}"
    identifiers = {f"c{place}": name for place, name in enumerate(columns)}
    return UserCollector(
        collector,
        columns,
        frozenset(labels),
        Statement(
            f"PREPARE {{name}} AS\n{query}\n", f"PREPARE user collector {collector.name}"
        ).with_identifiers(name=f"dbops_{collector.name}"),
        Statement(bounded, summary).with_identifiers(**identifiers),
    )


def _most(name: str, labels: Collection[str]) -> int:
    return MOST_LABEL_CHARACTERS if name in labels else MOST_NUMBER_CHARACTERS
