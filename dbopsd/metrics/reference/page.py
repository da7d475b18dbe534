"""The reference of metrics, generated from collectors and sources."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from dbopsd.metrics.collector import (
    OLDEST_SERVER,
    Collector,
    CollectorHeader,
    load_collectors,
)
from dbopsd.metrics.model import Metric
from dbopsd.metrics.otlp.names import load_names
from dbopsd.metrics.reference.exporter_differences import load_differences
from dbopsd.metrics.source import Source
from dbopsd.metrics.sources import load_sources

_NEWEST_SERVER: Final = 18
_ALL: Final = frozenset(range(OLDEST_SERVER, _NEWEST_SERVER + 1))
_HEAD: Final = (
    "| metric | type | unit | labels | versions | meaning |",
    "|---|---|---|---|---|---|",
)


def markdown() -> str:
    """Every metric by collector, and the differences from postgres_exporter."""
    collectors, sources = load_collectors(), load_sources()
    parts = (_intro(), _collectors(collectors), _sources(sources), _otlp(), _differences())
    return "\n".join(line for part in parts for line in part) + "\n"


def _intro() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield "`make docs` generates this page from the program. Names and labels are those of"
    yield "postgres_exporter where it has a metric, so that its dashboards and rules work"
    yield "unchanged; [the differences](#differences-from-postgres_exporter) are listed. Units are"
    yield "UCUM codes: `s` seconds, `By` bytes, `1` a ratio or a state, `{session}` a number of"
    yield "sessions. Without a range of versions, a metric is there on PostgreSQL 15 to 18."
    yield ""
    yield "A collector runs less often than its interval says once it would take more than 2 % of"
    yield "the time, and after failures. Intervals are those of `interval_s = 10` of"
    yield "`[databases.NAME.metrics]`, whose `disable` switches collectors and sources off by name."


def _collectors(collectors: Sequence[Collector]) -> Iterator[str]:
    yield ""
    yield "## Collectors"
    for name in sorted({each.name for each in collectors}):
        variants = [each for each in collectors if each.name == name]
        newest = max(variants, key=lambda each: each.since)
        header = newest.header
        yield from _title(name, header.about, header.every_s)
        conditions = list(_conditions(header))
        if conditions:
            yield ""
            yield " ".join(conditions)
        yield ""
        if header.rows_name_metrics:
            yield "The rows name the metrics: every numeric and boolean setting is"
            yield "`pg_settings_NAME`, with `_seconds` or `_bytes` appended to durations and sizes."
            continue
        yield from _HEAD
        yield from _rows(_versions_of(variants))


def _conditions(header: CollectorHeader) -> Iterator[str]:
    if header.role != "any":
        yield f"Only on a {header.role}."
    if header.extension:
        version = f" {header.extension_version}" if header.extension_version else ""
        yield f"Needs the extension `{header.extension}`{version}."
    if header.ledger:
        yield "Only where the role of the DSN may read a ledger of migrations."
    if header.privilege:
        yield f"Needs `{header.privilege}`."
    if header.optional_privilege:
        yield f"Runs only with `{header.optional_privilege}`."
    if header.slice_rows:
        yield "Each run reads a part."


def _versions_of(variants: Iterable[Collector]) -> dict[Metric, frozenset[int]]:
    """The metrics of a collector's variants, and the versions that each is for."""
    found: dict[Metric, frozenset[int]] = {}
    for version in sorted(_ALL, reverse=True):
        chosen = max(
            (each for each in variants if each.is_for(version)),
            key=lambda each: each.since,
            default=None,
        )
        for metric in chosen.metrics if chosen else ():
            found[metric] = found.get(metric, frozenset()) | {version}
    return found


def _sources(sources: Iterable[Source]) -> Iterator[str]:
    yield ""
    yield "## Sources"
    yield ""
    yield "What no query gives. Sources are asked, and cost the server nothing."
    for source in sources:
        yield from _title(source.name, source.about, source.every_s)
        yield ""
        yield from _HEAD
        yield from _rows(dict.fromkeys(source.metrics, _ALL))


def _title(name: str, about: str, every_s: float) -> Iterator[str]:
    yield ""
    yield f"### {name}"
    yield ""
    yield f"{about} Every {every_s:g} s."


def _rows(metrics: dict[Metric, frozenset[int]]) -> Iterator[str]:
    for metric, versions in metrics.items():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        cells = (f"`{metric.name}`", metric.type.value, f"`{metric.unit}`", labels)
        yield f"| {' | '.join(cells)} | {_range(versions)} | {_cell(metric.help)} |"


def _range(versions: frozenset[int]) -> str:
    if versions == _ALL:
        return ""
    first, last = min(versions), max(versions)
    if last == _NEWEST_SERVER:
        return f"{first}+"
    return f"{first}" if first == last else f"{first}-{last}"


def _otlp() -> Iterator[str]:
    names = load_names()
    yield ""
    yield "## Names in OTLP"
    yield ""
    yield "OTLP has these metrics under the names of OpenTelemetry's conventions for PostgreSQL."
    yield "Every other one is `dbops.` and its own name, without `dbops_`; labels are attributes."
    yield ""
    yield "| in OTLP | unit | kind | attributes | from |"
    yield "|---|---|---|---|---|"
    for metric, otlp in sorted(names.listed.items(), key=lambda each: (each[1].name, each[0])):
        attributes = {**(otlp.templates or {}), **otlp.added}
        texts = ", ".join(f"`{name}` = `{text}`" for name, text in attributes.items())
        cells = (f"`{otlp.name}`", f"`{otlp.unit}`", otlp.kind.value, _cell(texts), f"`{metric}`")
        yield f"| {' | '.join(cells)} |"


def _differences() -> Iterator[str]:
    differences = load_differences()
    yield ""
    yield "## Differences from postgres_exporter"
    yield ""
    yield "`upstream` is its main branch of 2026, `debian` its 0.11.1, which a test runs beside the"
    yield "daemon. All other series have the same name, type and labels as upstream's."
    yield ""
    yield "| series | differs | from | why |"
    yield "|---|---|---|---|"
    for each in differences.listed:
        series = ", ".join(f"`{name}`" for name in each.series)
        than = ", ".join(sorted(each.than))
        yield f"| {series} | {each.differs} | {than} | {_cell(each.reason)} |"
    yield ""
    yield "Some dashboards ask for names of old releases, or of a vendor's own queries:"
    yield ""
    yield "| asked for | there is |"
    yield "|---|---|"
    for name, instead in sorted(differences.instead.items()):
        yield f"| `{name}` | {_cell(instead)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
