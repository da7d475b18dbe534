"""The alerts of a daemon in its state directory, so that a restart forgets none."""

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dbopsd.metrics.alerts.alert import Alert

_log = logging.getLogger(__name__)

_VERSION: Final = 1


class StateFile:
    """The file at `path`, replaced as a whole. Both methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failing = False

    def read(self) -> list[Alert]:
        """The alerts that were written last; none where the file is missing or damaged."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if found["version"] != _VERSION:
                raise ValueError(f"its version is {found['version']}")
            return [Alert.of_json(each) for each in found["alerts"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning(
                "the alerts in '%s' cannot be read (%s): what fires begins anew", self._path, error
            )
            return []

    def write(self, alerts: Iterable[Alert]) -> None:
        """Replace what it has. A disk that is full is said once, and costs no alert."""
        text = json.dumps({"version": _VERSION, "alerts": [each.as_json() for each in alerts]})
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            if not self._failing:
                _log.error("the alerts cannot be written to '%s': %s", self._path, error.strerror)
            self._failing = True
        else:
            self._failing = False
