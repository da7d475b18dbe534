"""Snapshots of files that nothing but the test has to do with."""

from pathlib import Path
from typing import Any

from dbopsd.migrate.importer.snapshot import take_snapshot as snapshot
from dbopsd.migrate.importer.snapshot.take_snapshot import Snapshot


def take_snapshot(source: Path, directory: Path, **more: Any) -> Snapshot:
    """A snapshot of `source`, whose directory is the only root."""
    return snapshot.take_snapshot(str(source), [source.parent], directory, **more)
