"""Which samples a caller asked for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property
from typing import Final
from weakref import WeakKeyDictionary

from dbopsd.errors import InvalidField
from dbopsd.metrics.model import Collection, Metric, Sample, Snapshot

_MOST_GLOBS: Final = 100
_LONGEST_GLOB: Final = 200
# Compiling takes the longer the more there are, and others wait meanwhile.
_MOST_STARS: Final = 500
_MOST_LABELS: Final = 20


@dataclass(frozen=True)
class Selection:
    """Names of metrics, with `*` and `?`, and labels. Equal ones can share what is made by them."""

    metrics: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    _chosen: dict[Metric, bool] = field(
        default_factory=dict, init=False, repr=False, compare=False, hash=False
    )
    _narrowed: WeakKeyDictionary[Collection, Collection] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False, hash=False
    )

    @classmethod
    def of(
        cls, metrics: Sequence[str] = (), labels: Mapping[str, str] | None = None
    ) -> "Selection":
        """What a request asks for. Raises `InvalidField`."""
        if len(metrics) > _MOST_GLOBS:
            raise InvalidField("filter.metrics", f"has more than {_MOST_GLOBS} names")
        if any(not 1 <= len(name) <= _LONGEST_GLOB for name in metrics):
            raise InvalidField(
                "filter.metrics", f"has a name of 0 or over {_LONGEST_GLOB} characters"
            )
        if sum(name.count("*") for name in metrics) > _MOST_STARS:
            raise InvalidField("filter.metrics", f"has more than {_MOST_STARS} '*' in all")
        if len(labels or {}) > _MOST_LABELS:
            raise InvalidField("filter.labels", f"has more than {_MOST_LABELS} labels")
        return cls(tuple(sorted(set(metrics))), tuple(sorted((labels or {}).items())))

    def narrowed(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the samples asked for alone, and with every collector's status.

        Of a collection that is the same, the narrowed one is the same too.
        """
        if not self.metrics and not self.labels:
            return snapshot
        return Snapshot(
            snapshot.database,
            {name: self._narrow(each) for name, each in snapshot.collections.items()},
        )

    def _narrow(self, collection: Collection) -> Collection:
        narrowed = self._narrowed.get(collection)
        if narrowed is None:
            samples = tuple(filter(self.lets_through, collection.samples))
            narrowed = self._narrowed[collection] = Collection(collection.status, samples)
        return narrowed

    def lets_through(self, sample: Sample) -> bool:
        """Whether it is asked for."""
        metric = sample.series.metric
        chosen = self._chosen.get(metric)
        if chosen is None:
            chosen = self._chosen[metric] = self.names(metric.name)
        if not chosen or not self.labels:
            return chosen
        found = sample.series.label_map()
        return all(found.get(name, "") == value for name, value in self.labels)

    def names(self, metric: str) -> bool:
        """Whether a metric of that name is asked for."""
        return not self.metrics or self._pattern.fullmatch(metric) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Its patterns take linear time, however many stars there are. `[` is a sign like others.
        return re.compile("|".join(translate(glob.replace("[", "[[]")) for glob in self.metrics))


EVERYTHING: Final = Selection()
