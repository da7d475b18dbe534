"""A process of an import: reads tasks from standard input and answers on standard output.

It starts with little, and loads what a task needs with the first of its kind.
"""

import asyncio
import contextlib
import importlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, Final

from opentelemetry.metrics import NoOpMeter

from dbopsd.errors import DbopsError
from dbopsd.migrate.importer.model.errors import SourceUnreadable
from dbopsd.migrate.importer.processes import tasks
from dbopsd.migrate.importer.processes.context import Context
from dbopsd.migrate.importer.processes.errors import CpuTimeUsedUp, MemoryUsedUp
from dbopsd.migrate.importer.processes.limits import Budget, Limits, apply_limits, is_out_of_time
from dbopsd.migrate.importer.processes.messages import Setup, decode, encode, line
from dbopsd.migrate.importer.processes.tasks import SnapshotTaken, TakeSnapshot, WriteRejects
from dbopsd.migrate.importer.snapshot.take_snapshot import take_snapshot
from dbopsd.telemetry.span_relay import RelayTracer

_NICENESS: Final = 5
"""Whoever answers callers on this machine comes first."""


class _WithoutPandas(MetaPathFinder):
    """Has pyarrow find no pandas, which it would load with its first list: most of a second."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Nothing; `ImportError` for pandas."""
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


async def take_snapshot_task(task: TakeSnapshot, context: Context) -> SnapshotTaken:
    """Copy the file. To cancel, end the process."""
    told = 0

    def progress(done: int, _total: int) -> None:
        nonlocal told
        context.progress(done - told)
        told = done

    snapshot = take_snapshot(
        task.source,
        [Path(root) for root in task.roots],
        Path(task.directory),
        integrity=task.integrity,
        progress=progress,
        cancelled=lambda: False,
    )
    return SnapshotTaken(
        str(snapshot.path),
        snapshot.size_bytes,
        recovered=snapshot.recovered,
        unchecked=snapshot.unchecked,
    )


# Each task's module, in this package, and the function in it.
_WORK: Final[dict[type[Any], tuple[str, Callable[[Any], Any]]]] = {
    tasks.TakeSnapshot: ("child_process", lambda of: of.take_snapshot_task),
    tasks.InspectFile: ("source_tasks", lambda of: of.inspect_file),
    tasks.ProfileTable: ("source_tasks", lambda of: of.profile_one_table),
    tasks.MakePlan: ("source_tasks", lambda of: of.plan_file),
    tasks.SplitTables: ("source_tasks", lambda of: of.split_tables),
    tasks.MeasureTables: ("source_tasks", lambda of: of.measure_tables),
    tasks.CopyPart: ("copy.copy_part", lambda of: of.copy_part),
    tasks.WriteRejects: ("copy.rejects_file", lambda of: of.write_rejects),
    tasks.DigestSource: ("verify.table_rows", lambda of: of.digest_source),
    tasks.DigestTarget: ("verify.table_rows", lambda of: of.digest_target),
    tasks.FindDifferences: ("verify.find_differences", lambda of: of.find_differences),
    tasks.FindMissing: ("verify.find_missing", lambda of: of.find_missing),
}
_BY_NAME: Final = {kind.__name__: kind for kind in _WORK}


async def main() -> None:
    """Do task after task until standard input ends."""
    os.nice(_NICENESS)
    sys.meta_path.insert(0, _WithoutPandas())

    def tell(message: object) -> None:
        sys.stdout.buffer.write(line(message))
        sys.stdout.buffer.flush()

    setup = decode(Setup, json.loads(sys.stdin.buffer.readline()))
    apply_limits(setup.limits)
    budget = Budget(setup.limits)
    context = Context(
        setup,
        tracer=RelayTracer(lambda told: tell({"span": told})),
        meter=NoOpMeter("dbopsd"),
        progress=lambda units: tell({"progress": units}),
        go_on=budget.go_on,
    )
    for module in setup.preload:
        _load(module)
    async with context:
        # Nothing else runs here: to wait for a line may as well block.
        while text := sys.stdin.buffer.readline():
            message = json.loads(text)
            kind = _BY_NAME[message["task"]]
            module, function = _WORK[kind]
            try:
                with _limits_named(kind.stage, setup.limits):
                    task = decode(kind, message["with"])
                    budget.begin(
                        getattr(task, "snapshot", "") or getattr(task, "source", ""),
                        writes=kind in (TakeSnapshot, WriteRejects),
                    )
                    answer = await function(_load(module))(task, context)
            except DbopsError as error:
                await context.forget_session()
                failure = {
                    "cause": error.reason,
                    "status": error.code.name,
                    "text": error.message,
                    "fields": error.metadata,
                    # A database's error has that.
                    "transient": bool(getattr(error, "transient", False)),
                }
                tell({"failed": failure})
            else:
                tell({"done": encode(type(answer), answer)})
                if kind is TakeSnapshot:
                    # It is what comes next, and our worker has something to write down first.
                    _load("source_tasks")


def _load(module: str) -> Any:
    """Return a module of this package. In a child process this module is `__main__`."""
    if module == "child_process":
        return sys.modules[__name__]
    return importlib.import_module(f"{__package__}.{module}")


@contextlib.contextmanager
def _limits_named(stage: str, limits: Limits) -> Iterator[None]:
    """Have it told by an error of ours that a limit was in the way, whatever noticed that."""
    try:
        yield
    except MemoryError as error:
        raise MemoryUsedUp(stage, limits.memory_bytes) from error
    except (DbopsError, sqlite3.Error) as error:
        if is_out_of_time():
            raise CpuTimeUsedUp(stage, limits.cpu_s) from error
        if isinstance(error, sqlite3.Error):
            raise SourceUnreadable("its snapshot", f"SQLite says: {error}") from error
        raise


if __name__ == "__main__":
    asyncio.run(main())
