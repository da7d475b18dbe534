"""The situations of `alert_cases.toml`, for the daemon's judge and for promtool."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbopsd.metrics.model import (
    Collection,
    CollectorState,
    CollectorStatus,
    Metric,
    MetricType,
    Sample,
    Series,
    Snapshot,
)

_SERIES = re.compile(r"(\w+)(?:\{(.*)\})?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_RUN = re.compile(r"(-?[^x+-]+)(?:([+-])([^x]+))?x(\d+)")


@dataclass(frozen=True)
class Case:
    """One situation. `fires` has the labels of each alert."""

    rule: str
    about: str
    series: Mapping[str, str]
    interval_s: int
    at_s: int
    fires: tuple[Mapping[str, str], ...]

    @property
    def name(self) -> str:
        """What pytest calls it."""
        return f"{self.rule}-{'fires' if self.fires else 'no'}-{self.about}".rstrip("-")

    def snapshots(self) -> Iterator[tuple[float, Snapshot]]:
        """A snapshot for each time up to `at_s`, each metric from a collector of its own name."""
        lines = [(series_of(text), expanded(values)) for text, values in self.series.items()]
        for step in range(self.at_s // self.interval_s + 1):
            at = float(step * self.interval_s)
            collections: dict[str, list[Sample]] = {}
            for series, values in lines:
                value = values[step] if step < len(values) else None
                if value is not None:
                    name = series.metric.name
                    collections.setdefault(name, []).append(Sample(series, value, at))
            yield at, snapshot_of(collections, at)

    def as_promtool(self, severity: str) -> dict[str, Any]:
        """The situation as `promtool test rules` has it."""
        firing = [
            {
                "alertname": self.rule,
                "alertstate": "firing",
                "severity": severity,
                **labels,
            }
            for labels in self.fires
        ]
        return {
            "name": self.name,
            "interval": f"{self.interval_s}s",
            "input_series": [
                {"series": series, "values": values} for series, values in self.series.items()
            ],
            "promql_expr_test": [
                {
                    "expr": f'ALERTS{{alertname="{self.rule}", alertstate="firing"}}',
                    "eval_time": f"{self.at_s}s",
                    "exp_samples": [
                        {"labels": _selector("ALERTS", labels), "value": 1} for labels in firing
                    ],
                }
            ],
        }


def snapshot_of(collections: Mapping[str, list[Sample]], at: float) -> Snapshot:
    """A snapshot of collectors that are all well."""
    return Snapshot(
        "main",
        {
            name: Collection(
                CollectorStatus(name, CollectorState.OK, sampled_at=at), tuple(samples)
            )
            for name, samples in collections.items()
        },
    )


def series_of(text: str) -> Series:
    """`name{label="value"}`."""
    match = _SERIES.fullmatch(text)
    assert match is not None, text
    labels = dict(_LABEL.findall(match[2] or ""))
    metric = Metric(match[1], MetricType.GAUGE, "1", "", tuple(labels))
    return Series(metric, tuple(labels.values()))


def expanded(values: str) -> list[float | None]:
    """promtool's notation as a value for each time."""
    found: list[float | None] = []
    for word in values.split():
        run = _RUN.fullmatch(word)
        if run is None:
            found.append(None if word == "_" else float(word))
            continue
        first, sign, step, times = run.groups()
        by = float(f"{sign}{step}") if step else 0.0
        found += [
            None if first == "_" else float(first) + by * place for place in range(int(times) + 1)
        ]
    return found


def load_cases() -> list[Case]:
    """Every situation."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return [
        Case(
            each["rule"],
            each.get("about", ""),
            each["series"],
            each["interval_s"],
            each["at_s"],
            tuple(each["fires"]),
        )
        for each in tomllib.loads(text)["cases"]
    ]


def _selector(name: str, labels: Mapping[str, str]) -> str:
    return name + "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
