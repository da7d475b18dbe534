"""Migrations of a folder, and runs of them, made by hand."""

import dataclasses
import hashlib
from datetime import UTC, datetime

from dbopsd.migrate.versions.ledger.new_run import NewRun
from dbopsd.migrate.versions.model.ledger_run import Direction, LedgerRun, Result
from dbopsd.migrate.versions.model.migration import Phase
from dbopsd.migrate.versions.model.migration_file import Folder, MigrationFile, Script


def migration(
    version: str,
    up: str = "SELECT 1;",
    down: str | None = "SELECT 2;",
    *,
    name: str = "",
    phase: Phase | None = None,
    transactional: bool = True,
    repeatable: bool = False,
    set_: str = "default",
) -> MigrationFile:
    """A migration `001_name.sql` of version 001; a repeatable one by its name."""
    content = up.encode()
    order: tuple[int | str, ...]
    if repeatable:
        name, order, stem = version, (1, version), f"R_{version}"
        version = ""
    else:
        name = name or f"m{version}"
        order, stem = (0, int(version)), f"{version}_{name}"
    rollback = None if down is None else Script(f"{stem}_rollback.sql", down)
    return MigrationFile(
        set=set_,
        version=version,
        order=order,
        name=name,
        up=Script(f"{stem}.sql", up, transactional=transactional, statements=1),
        content=content,
        checksum=hashlib.sha256(content).hexdigest(),
        down=None if repeatable else rollback,
        repeatable=repeatable,
        phase=phase,
    )


def folder(*migrations: MigrationFile, set_: str = "default") -> Folder:
    """A folder of them, in their order."""
    return Folder(set_, "dbops", "/srv/migrations", migrations)


def ran(
    file: MigrationFile, direction: Direction = Direction.UP, result: Result = Result.DONE
) -> LedgerRun:
    """A run of it as the ledger has it, without an id."""
    new = NewRun.of(file, direction)
    shared = {field.name for field in dataclasses.fields(LedgerRun)}
    values = {
        field.name: getattr(new, field.name)
        for field in dataclasses.fields(new)
        if field.name in shared
    }
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ended = None if result is Result.RUNNING else start
    values |= {"result": result, "started_at": start, "finished_at": ended}
    return LedgerRun(id=0, **values)


def history(*runs: LedgerRun) -> tuple[LedgerRun, ...]:
    """Runs one after the other."""
    return tuple(dataclasses.replace(run, id=number) for number, run in enumerate(runs, 1))
