"""What a text of metrics says, to be compared with another one."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

Key = tuple[str, ...]

_TYPE = re.compile(r"# TYPE (\S+) (\S+)")


@dataclass(frozen=True)
class Family:
    """The samples of one name. Those that are NaN are none."""

    type: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(label for labels, _ in self.samples for label in labels)

    def summed(self, labels: Iterable[str]) -> dict[Key, float]:
        """The sums by the values of `labels`."""
        sums: dict[Key, float] = {}
        for found, value in self.samples:
            key = tuple(found.get(label, "") for label in labels)
            sums[key] = sums.get(key, 0.0) + value
        return sums


def parse(text: str) -> dict[str, Family]:
    """The families of a text, by the name of their samples as it stands there."""
    types = dict(_TYPE.findall(text))
    families = {name: Family(kind) for name, kind in types.items()}
    # Without their types, for the parser appends `_total` to the names of counters.
    for family in text_string_to_metric_families(_TYPE.sub("", text)):
        for sample in family.samples:
            found = families.setdefault(sample.name, Family("untyped"))
            if not math.isnan(sample.value):
                found.samples.append((sample.labels, sample.value))
    return families
