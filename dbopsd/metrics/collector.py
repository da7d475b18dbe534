"""What a collector is: a `.sql` file whose first comment declares what it measures.

The comment is TOML. `docs/metrics.md` has the keys for those who write collectors of their own.
A file `NAME.since_17.sql` takes the place of `NAME.sql` from PostgreSQL 17 on.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from importlib import resources
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dbopsd.db.session import Row
from dbopsd.db.statement import Statement
from dbopsd.metrics.errors import CollectorInvalid, CollectorMismatch
from dbopsd.metrics.model import Metric, MetricType, Sample, Series, is_number

_FILE: Final = re.compile(r"(?P<name>[a-z][a-z0-9_]{0,62})(?:\.since_(?P<since>[0-9]{2}))?\.sql")
_HEADER: Final = re.compile(r"\s*/\*(?P<toml>.*?)\*/(?P<sql>.*)", re.DOTALL)
_METRIC_NAME: Final = r"[a-z_][a-z0-9_]{2,127}"
# Two underscores in front are Prometheus's own.
_LABEL_NAME: Final = r"(?!__)[a-z_][a-z0-9_]{0,62}"
OLDEST_SERVER: Final = 15
_MOST_KNOWN: Final = 20_000

K = TypeVar("K")
Role = Literal["any", "primary", "standby"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricHeader(_Table):
    """`[metrics.NAME]`."""

    type: MetricType = MetricType.GAUGE
    unit: str
    help: Annotated[str, Field(min_length=1, max_length=500)]
    column: str = ""
    """The column with the value. By default the metric's name without `prefix`."""

    labels: tuple[str, ...] | None = None
    """Of this metric alone, in place of the collector's."""

    @field_validator("unit", "help")
    @classmethod
    def _is_one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("has a line break or a control character")
        return value


class CollectorHeader(_Table):
    """The comment at the head of the file."""

    about: Annotated[str, Field(min_length=1, max_length=500)]
    every_s: Annotated[float, Field(ge=1, le=86_400)]
    timeout_s: Annotated[float, Field(ge=0.05, le=60)] = 1.0
    slow: bool = False
    """Whether it runs on the second connection, where it holds up none of the quick ones."""

    until: Annotated[int, Field(ge=OLDEST_SERVER)] | None = None
    """The last major version of PostgreSQL that it is for."""

    role: Role = "any"
    extension: str = ""
    extension_version: str = ""
    """The least one."""

    ledger: bool = False
    """Whether it reads the ledger of migrations, in the schema `{schema}`. It does not run on a
    database without one, or where the role may not read it, and that is no failure."""

    privilege: str = ""
    """What a role needs that is refused, such as `pg_monitor`."""

    optional_privilege: str = ""
    """What a role needs that is not meant to have it always: it does not run without, and that is
    no failure."""

    databases: tuple[str, ...] = ()
    """The configured databases that it is for, by name; none: all."""

    prefix: str = ""
    labels: tuple[str, ...] = ()
    duplicates: Literal["sum", "max", "last"] = "sum"
    """How two rows with the same labels are made one."""

    full_privilege: str = ""
    """What a role needs to see all of it. Without, its samples are of a part only."""

    top: Literal["tables", "indexes", "statements", "databases"] | None = None
    """Which limit of the configuration bounds its rows; the rest becomes one row, `(others)`.

    Its query has `%(members)s` and `%(top)s`, and its rows are as `top_rows.TopRows` says. With
    `slice_rows` it has neither, and the rows with the largest first value remain.
    """

    spares_rest: bool = False
    """Whether most runs measure those rows alone that are shown, which costs little.

    Its query has `%(all)s` then, and looks at all rows, or at those of `%(members)s`. All of them
    are looked at as often as the cost allows.
    """

    slice_rows: Annotated[int, Field(ge=1)] | None = None
    """It is run again and again, with `%(after)s` and `%(slice_rows)s`, each time a part of all.

    Its first column, `slice_key`, is a number that grows; the last of a run is the next `after`.
    """

    rows_name_metrics: bool = False
    """Each row has `metric`, `type`, `unit`, `help` and `value`, and no metric is declared."""

    metrics: dict[str, MetricHeader] = Field(default_factory=dict)

    @field_validator("metrics")
    @classmethod
    def _metric_names(cls, value: dict[str, MetricHeader]) -> dict[str, MetricHeader]:
        for name in value:
            if not re.fullmatch(_METRIC_NAME, name):
                raise ValueError(f"'{name}' is no name of a metric: a-z, 0-9 and _, 3 to 128")
        return value

    @model_validator(mode="after")
    def _says_what_it_measures(self) -> Self:
        if bool(self.metrics) == self.rows_name_metrics:
            raise ValueError("declares no metrics: add [metrics.NAME], or rows_name_metrics = true")
        for labels in (self.labels, *(each.labels or () for each in self.metrics.values())):
            for label in labels:
                if not re.fullmatch(_LABEL_NAME, label):
                    raise ValueError(f"'{label}' is no name of a label: a-z, 0-9 and _")
                if labels.count(label) > 1:
                    raise ValueError(f"has the label '{label}' twice")
        return self


@dataclass(frozen=True, slots=True)
class _Column:
    """Where a metric's value and labels are found in a row."""

    metric: Metric
    value: str
    labels: tuple[str, ...]
    known: dict[tuple[str, ...], Series] = field(default_factory=dict, compare=False, repr=False)

    def series(self, labels: tuple[str, ...]) -> Series:
        """The series with these values of the labels: the same object from run to run.

        A hundred databases of one server have the same ones, and each has thousands.
        """
        series = self.known.get(labels)
        if series is None:
            if len(self.known) >= _MOST_KNOWN:
                # Labels come and go: those that are still in use come back with the next run.
                self.known.clear()
            series = self.known[labels] = Series(self.metric, labels)
        return series


@dataclass(frozen=True)
class Collector:
    """One query, and what its rows mean."""

    name: str
    header: CollectorHeader
    since: int
    statement: Statement
    columns: tuple[_Column, ...]
    _named: dict[tuple[tuple[str, ...], tuple[str, ...]], Series] = field(
        default_factory=dict, compare=False, repr=False
    )

    @classmethod
    def parse(cls, file_name: str, text: str, *, own_prefix: str = "") -> Self:
        """Read a collector. `own_prefix` goes before its name and those of its metrics.

        Raises `CollectorInvalid`.
        """
        named = _FILE.fullmatch(file_name)
        if named is None:
            raise CollectorInvalid(
                file_name, "is no file name of a collector, such as my_queue.sql"
            )
        parts = _HEADER.fullmatch(text)
        if parts is None:
            raise CollectorInvalid(
                file_name, "does not begin with a /* comment */ that declares it"
            )
        try:
            header = CollectorHeader.model_validate(tomllib.loads(parts["toml"]))
        except tomllib.TOMLDecodeError as error:
            raise CollectorInvalid(file_name, f"has a comment that is no TOML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise CollectorInvalid(file_name, f"{where}: {first['msg']}".lstrip(": ")) from error
        name = own_prefix + named["name"]
        return cls(
            name,
            header,
            int(named["since"] or OLDEST_SERVER),
            Statement(parts["sql"].strip().rstrip(";"), f"SELECT collector {name}"),
            tuple(_columns(header, own_prefix)),
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What it measures, as declared; nothing where its rows name metrics."""
        return tuple(column.metric for column in self.columns)

    @cached_property
    def value_columns(self) -> tuple[str, ...]:
        """The columns with values."""
        return tuple(dict.fromkeys(column.value for column in self.columns))

    @cached_property
    def counter_columns(self) -> frozenset[str]:
        """Those of them that only grow."""
        return frozenset(
            each.value for each in self.columns if each.metric.type is MetricType.COUNTER
        )

    @cached_property
    def label_columns(self) -> frozenset[str]:
        """The columns with labels."""
        return frozenset(label for column in self.columns for label in column.labels)

    def is_for(self, version: int) -> bool:
        """Whether it is for a server of this major version."""
        return self.since <= version <= (self.header.until or version)

    def samples(self, names: Sequence[str], rows: Iterable[Row], at: float) -> list[Sample]:
        """The samples in rows with columns of these names. NULL, NaN and infinity are none.

        Raises `CollectorMismatch` if a column is missing, or a value is no number.
        """
        places = {name: place for place, name in enumerate(names)}
        if self.header.rows_name_metrics:
            return self._named_by_rows(places, rows, at)
        rows = rows if isinstance(rows, list) else list(rows)
        labelled: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        samples: list[Sample] = []
        for column in self.columns:
            labels = labelled.get(column.labels)
            if labels is None:
                labels_at = [self._place(places, label) for label in column.labels]
                labels = [tuple(_text(row[place]) for place in labels_at) for row in rows]
                labelled[column.labels] = labels
            value_at = self._place(places, column.value)
            found: dict[tuple[str, ...], float] = {}
            for row, of_row in zip(rows, labels, strict=True):
                value = self._number(row[value_at], column.value)
                if value is not None:
                    self._add(found, of_row, value)
            samples += [Sample(column.series(key), value, at) for key, value in found.items()]
        return samples

    def _named_by_rows(
        self, places: Mapping[str, int], rows: Iterable[Row], at: float
    ) -> list[Sample]:
        at_of = {n: self._place(places, n) for n in ("metric", "type", "unit", "help", "value")}
        labels_at = [self._place(places, label) for label in self.header.labels]
        found: dict[Series, float] = {}
        value_at = at_of.pop("value")
        for row in rows:
            value = self._number(row[value_at], "value")
            names = tuple(_text(row[place]) for place in at_of.values())
            series = self._named_series(names, tuple(_text(row[each]) for each in labels_at))
            if value is not None and series is not None:
                self._add(found, series, value)
        return [Sample(series, value, at) for series, value in found.items()]

    def _named_series(self, names: tuple[str, ...], labels: tuple[str, ...]) -> Series | None:
        """The same object from run to run; None if a row's name is no name of a metric."""
        key = (names, labels)
        if key in self._named:
            return self._named[key]
        name, kind, unit, help_ = names
        name = self.header.prefix + name
        if not re.fullmatch(_METRIC_NAME, name):
            return None
        if len(self._named) >= _MOST_KNOWN:
            self._named.clear()
        metric = Metric(name, MetricType(kind), unit, help_, self.header.labels)
        series = self._named[key] = Series(metric, labels)
        return series

    def _add(self, found: dict[K, float], key: K, value: float) -> None:
        before = found.get(key)
        if before is not None and self.header.duplicates != "last":
            value = before + value if self.header.duplicates == "sum" else max(before, value)
        found[key] = value

    def _place(self, places: Mapping[str, int], column: str) -> int:
        try:
            return places[column]
        except KeyError:
            raise CollectorMismatch(self.name, f"its rows have no column '{column}'") from None

    def _number(self, value: Any, column: str) -> float | None:
        if type(value) is float:
            return value if is_number(value) else None
        match value:
            case None:
                return None
            case bool() | int() | float() | Decimal():
                number = float(value)
            case datetime():
                number = value.timestamp()
            case timedelta():
                number = value.total_seconds()
            case _:
                kind = type(value).__name__
                raise CollectorMismatch(self.name, f"its column '{column}' is {kind}, no number")
        return number if is_number(number) else None


def load_collectors(package: str = "dbopsd.metrics.collectors") -> tuple[Collector, ...]:
    """Every collector of a package, by name and version.

    Raises `CollectorInvalid`, too where two collectors give one metric: its samples would come
    twice.
    """
    files = [each for each in resources.files(package).iterdir() if each.name.endswith(".sql")]
    loaded = [
        Collector.parse(each.name, each.read_text(encoding="utf-8"))
        for each in sorted(files, key=lambda each: each.name)
    ]
    require_distinct_metrics(loaded)
    return tuple(loaded)


def require_distinct_metrics(collectors: Iterable[Collector]) -> None:
    """Raise `CollectorInvalid` where two collectors, not variants of one, give the same metric."""
    given_by: dict[str, str] = {}
    for collector in collectors:
        for metric in collector.metrics:
            other = given_by.setdefault(metric.name, collector.name)
            if other != collector.name:
                raise CollectorInvalid(
                    f"{collector.name}.sql",
                    f"declares {metric.name}, which {other}.sql has already",
                )


def for_version(collectors: Iterable[Collector], version: int) -> dict[str, Collector]:
    """The variant of each collector that is for a server of this major version, by name."""
    chosen: dict[str, Collector] = {}
    for collector in collectors:
        before = chosen.get(collector.name)
        if collector.is_for(version) and (before is None or collector.since > before.since):
            chosen[collector.name] = collector
    return chosen


def _columns(header: CollectorHeader, own_prefix: str) -> Iterable[_Column]:
    for name, declared in header.metrics.items():
        labels = header.labels if declared.labels is None else declared.labels
        yield _Column(
            Metric(own_prefix + name, declared.type, declared.unit, declared.help, labels),
            declared.column or name.removeprefix(header.prefix),
            labels,
        )


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    return "" if value is None else str(value)
