"""A log filter for exporter errors: at most one line a minute."""

import logging
import threading
import time
from collections.abc import Callable

_SDK_LOGGER = "opentelemetry"
_log = logging.getLogger("dbopsd.telemetry.export")


class ExporterLogFilter(logging.Handler):
    """Takes the log of OpenTelemetry's SDK and hands on one line of it every `interval_s`.

    A collector that is away makes the SDK log each failed batch, each retry and, once its queue is
    full, each dropped span. The line handed on is the first of its interval, and says how many
    were kept back since the line before.
    """

    def __init__(
        self, *, interval_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(logging.WARNING)
        self._interval_s = interval_s
        self._clock = clock
        self._mutex = threading.Lock()
        self._next_at: float | None = None
        self._kept_back = 0

    def install(self) -> None:
        """Take over the SDK's logger, for the whole process."""
        logger = logging.getLogger(_SDK_LOGGER)
        for other in [old for old in logger.handlers if isinstance(old, ExporterLogFilter)]:
            logger.removeHandler(other)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        logger.addHandler(self)

    def remove(self) -> None:
        """Give the SDK's logger back."""
        logger = logging.getLogger(_SDK_LOGGER)
        logger.removeHandler(self)
        logger.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record on, or count it. Without its traceback: the message says enough."""
        now = self._clock()
        with self._mutex:
            if self._next_at is not None and now < self._next_at:
                self._kept_back += 1
                return
            self._next_at = now + self._interval_s
            kept_back, self._kept_back = self._kept_back, 0
        more = f" ({kept_back} more such lines since the last)" if kept_back else ""
        _log.warning("telemetry is not exported: %s%s", record.getMessage(), more)
