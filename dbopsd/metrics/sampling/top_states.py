"""What `(others)` has counted, over a restart of the daemon: a file a database and collector."""

import contextlib
import logging
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from dbopsd.metrics.sampling.top_rows import TopState

_log = logging.getLogger(__name__)

_STATE: Final = TypeAdapter(TopState)


class TopStates:
    """The states in `directory`, which need not be there; None: they are not kept.

    A state that is lost or damaged costs no more than one jump of `(others)`, so it is not
    synchronised to the disk, and what cannot be read or written is left.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory

    def load(self, collector: str) -> TopState | None:
        """That of a collector, if there is one."""
        if self._directory is None:
            return None
        try:
            return _STATE.validate_json((self._directory / f"{collector}.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def save(self, collector: str, state: TopState) -> None:
        """Replace that of a collector."""
        if self._directory is None:
            return
        path = self._directory / f"{collector}.json"
        fresh = path.with_suffix(".fresh")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_bytes(_STATE.dump_json(state))
            fresh.replace(path)
        except OSError as error:
            _log.warning("what '(others)' of %s has counted cannot be kept: %s", collector, error)
            with contextlib.suppress(OSError):
                fresh.unlink()
