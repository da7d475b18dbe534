"""The composition root: makes every part, hands each its collaborators, starts and stops them.

The only room that knows everybody. What is named here is loaded when it is first named: a process
that serves does without what a worker is made of, and the other way round, which is half of each.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbopsd.app.alerts import prometheus_rules
    from dbopsd.app.api_process import Serving, running, serve
    from dbopsd.app.config_check import check_config
    from dbopsd.app.descriptors import describe_descriptors
    from dbopsd.app.errors import LostWorker
    from dbopsd.app.feature import Feature
    from dbopsd.app.worker_process import work

__all__ = [
    "Feature",
    "LostWorker",
    "Serving",
    "check_config",
    "describe_descriptors",
    "prometheus_rules",
    "running",
    "serve",
    "work",
]

_MODULES = {
    "Feature": "feature",
    "LostWorker": "errors",
    "Serving": "api_process",
    "check_config": "config_check",
    "describe_descriptors": "descriptors",
    "prometheus_rules": "alerts",
    "running": "api_process",
    "serve": "api_process",
    "work": "worker_process",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
