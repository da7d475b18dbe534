"""The names, units and attributes of metrics in OTLP."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any, Final

from dbopsd.metrics.model import Metric, MetricType, Series

_LABEL: Final = re.compile(r"\{(\w+)(?:\|(\w+))?\}")


class Kind(Enum):
    """How OTLP has a metric."""

    COUNTER = "counter"
    """A sum that only grows."""

    UPDOWN = "updown"
    """A sum that falls, too."""

    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class OtlpMetric:
    """A metric in OTLP, as one of dbopsd's metrics gives it.

    `templates` are texts with labels in braces, by attribute; None: each label is an attribute.
    `added` are the attributes that tell the metrics apart that give it.
    """

    name: str
    unit: str
    kind: Kind
    templates: Mapping[str, str] | None = None
    added: Mapping[str, str] = field(default_factory=dict)

    def attributes(self, series: Series) -> dict[str, str]:
        """The attributes of a series, without empty ones."""
        labels = dict(zip(series.metric.labels, series.labels, strict=True))
        if self.templates is None:
            return {name: value for name, value in labels.items() if value}
        filled = {name: _fill(text, labels) for name, text in self.templates.items()}
        return {**{name: value for name, value in filled.items() if value}, **self.added}


class OtlpNames:
    """What OTLP has each metric as: OpenTelemetry's where `listed` has it, dbopsd's own else."""

    def __init__(
        self, listed: Mapping[str, OtlpMetric], *, prefix: str, gauges: tuple[str, ...]
    ) -> None:
        self.listed = listed
        self._prefix = prefix
        self._gauges = gauges
        self._found: dict[str, OtlpMetric] = {}

    def of(self, metric: Metric) -> OtlpMetric:
        """What OTLP has `metric` as."""
        found = self._found.get(metric.name)
        if found is None:
            found = self._found[metric.name] = self.listed.get(metric.name) or self._own(metric)
        return found

    def _own(self, metric: Metric) -> OtlpMetric:
        name = metric.name.removeprefix("dbops_")
        grows = metric.type is MetricType.COUNTER and not any(
            fnmatchcase(metric.name, glob) for glob in self._gauges
        )
        kind = Kind.COUNTER if grows else Kind.GAUGE
        return OtlpMetric(f"{self._prefix}{name}", metric.unit, kind)


def load_names() -> OtlpNames:
    """The names of `otlp_names.toml`."""
    text = files(__package__).joinpath("otlp_names.toml").read_text()
    found: dict[str, Any] = tomllib.loads(text)
    listed = {
        source["metric"]: OtlpMetric(
            name,
            entry["unit"],
            Kind(entry["kind"]),
            entry.get("attributes", {}),
            source.get("add", {}),
        )
        for name, entry in found["metrics"].items()
        for source in entry["from"]
    }
    return OtlpNames(listed, prefix=found["prefix"], gauges=tuple(found["gauges"]))


def _fill(template: str, labels: Mapping[str, str]) -> str:
    """The text with the labels' values; empty where none of them has one."""
    values = [labels[name] or other for name, other in _LABEL.findall(template)]
    if not any(values):
        return ""
    return _LABEL.sub(lambda found: labels[found[1]] or found[2] or "", template)
