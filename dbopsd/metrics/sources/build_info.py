"""Which dbopsd this is."""

import platform
from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from dbopsd.metrics.model import Metric, MetricType
from dbopsd.metrics.source import Source, Subject, Value

_INFO: Final = Metric(
    "dbopsd_build_info",
    MetricType.GAUGE,
    "1",
    "Always 1; the labels have the versions of dbopsd and of Python.",
    ("version", "python_version"),
)
_LABELS: Final = (version("dbopsd"), platform.python_version())


def _measure(_subject: Subject) -> Iterable[Value]:
    yield _INFO, _LABELS, 1.0


SOURCE = Source("build_info", "The version of dbopsd.", (_INFO,), _measure, every_s=60.0)
