"""Counts what the processes of a stage have done, and reports it."""

from typing import Final

from dbopsd.migrate.importer.processes.pool import OnProgress
from dbopsd.operations.kind import Run

UNIT_BYTES: Final = "By"
UNIT_ROWS: Final = "{row}"
UNIT_VALUES: Final = "{value}"


def count_progress(run: Run, stage: str, total: int, unit: str) -> OnProgress:
    """What adds up the units that are done of a stage, and reports the sum each time."""
    done = 0

    def on_progress(units: int) -> None:
        nonlocal done
        done += units
        run.progress(stage, done, total, unit)

    return on_progress
