"""The watch over backups in the API process: what it reads, and when."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from dbopsd.app import backup_watch
from dbopsd.app.backup_watch import run_backup_watch
from dbopsd.backup.repository import open_repository
from dbopsd.config.backup import DatabaseBackupConfig
from dbopsd.health.backup_overview import BackupBoard, BackupOverview
from dbopsd.operations.errors import ControlStoreUnavailable
from dbopsd.operations.record import Condition, Failure, Operation, Schedule, State
from tests.support.failing_store import FOR_EVER, Fault, Faults, no_pauses, stores_that_fail
from tests.support.patience import eventually
from tests.support.stored_backups import backup_config, store_backup

if TYPE_CHECKING:
    from dbopsd.app.feature import Daemon


class Operations:
    """Those that a test says there are."""

    def __init__(self) -> None:
        self.ended: list[Operation] = []
        self.away = False

    async def schedules(self, database: str) -> list[Schedule]:
        if self.away:
            raise ControlStoreUnavailable("away")
        return [Schedule("s", database, "create-backup", "{}", "0 2 * * *", "UTC")]

    async def list_page(
        self,
        conditions: Sequence[Condition],
        *,
        databases: list[str],
        after: tuple[float, str] | None,
        limit: int,
    ) -> list[Operation]:
        assert databases == ["main"]
        kind = next(each.value for each in conditions if each.field == "kind")
        found = [each for each in self.ended if each.kind == kind]
        ids = [each.id for each in found]
        first = 0 if after is None else ids.index(after[1]) + 1
        return found[first : first + limit]


def operation(
    id_: str,
    kind: str,
    state: State,
    *,
    end: float = 1.0,
    code: str = "ABORTED",
    request: str = "{}",
) -> Operation:
    failure = Failure(code, "X", f"{id_} failed") if state is State.FAILED else None
    times = {"create_time": 0.0, "update_time": end, "end_time": end}
    return Operation(id_, kind, "main", state, "me", "", 0, request, **times, failure=failure)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A daemon with backups in a directory, and a watch that is quick."""
    for name in ("_FIRST_AFTER_S", "_OPERATIONS_EVERY_S"):
        monkeypatch.setattr(backup_watch, name, 0.01)
    config = backup_config(tmp_path, encrypted=False)
    databases = {
        "main": SimpleNamespace(config=SimpleNamespace(backup=config)),
        "other": SimpleNamespace(config=SimpleNamespace(backup=None)),
    }
    server = SimpleNamespace(state_dir=tmp_path / "state")
    return SimpleNamespace(
        databases=databases,
        operations=Operations(),
        backups=BackupBoard(),
        config=SimpleNamespace(server=server),
        backup=config,
    )


async def seen(watched: Any, wanted: Any) -> BackupOverview:
    async def look() -> BackupOverview | None:
        found: BackupOverview | None = watched.backups.of("main")
        return found if found is not None and wanted(found) else None

    found = await eventually(look)
    assert found is not None
    return found


async def store(config: DatabaseBackupConfig, id_: str) -> None:
    async with open_repository("main", config) as repository:
        await store_backup(repository, id_)


async def test_it_looks_again_when_an_operation_has_ended(watched: Any) -> None:
    async with run_backup_watch(cast("Daemon", watched)):
        found = await seen(watched, lambda found: True)
        assert (found.newest, found.attempt_ok, found.drill) == ({}, None, None)
        assert found.intervals_s == {"full": 86400.0}
        await store(watched.backup, "full-1")
        await asyncio.sleep(0.2)
        assert watched.backups.of("main").newest == {}, "the store is asked all the time"
        watched.operations.ended = [operation("a", "create-backup", State.SUCCEEDED)]
        found = await seen(watched, lambda found: found.newest)
        assert found.attempt_ok
        watched.operations.ended.insert(0, operation("b", "create-backup", State.FAILED))
        found = await seen(watched, lambda found: not found.attempt_ok)
        assert found.attempt_problem == "b failed"
        watched.operations.ended.insert(0, operation("c", "create-backup", State.CANCELLED))
        mistaken = operation("e", "create-backup", State.FAILED, code="NOT_FOUND")
        watched.operations.ended.insert(0, mistaken)
        watched.operations.ended.append(operation("d", "drill-backup", State.FAILED, end=7.0))
        found = await seen(watched, lambda found: found.drill)
        assert (found.attempt_ok, found.attempt_problem) == (False, "b failed")
        assert found.drill is not None
        assert (found.drill.at, found.drill.failed) == (7.0, ("d failed",))
    assert watched.backups.of("other") is None


async def test_dumps_of_a_schema_do_not_make_a_failed_backup_forgotten(watched: Any) -> None:
    schema = '{"kind":"LOGICAL","schema_only":true}'
    watched.operations.ended = [
        *(
            operation(f"s{number}", "create-backup", State.SUCCEEDED, request=schema)
            for number in range(600)
        ),
        operation("a", "create-backup", State.FAILED),
    ]
    async with run_backup_watch(cast("Daemon", watched)):
        found = await seen(watched, lambda found: True)
        assert (found.attempt_ok, found.attempt_problem) == (False, "a failed")
        watched.operations.ended.insert(0, operation("b", "create-backup", State.SUCCEEDED))
        await seen(watched, lambda found: found.attempt_ok)


async def test_what_was_known_stays_while_the_store_is_away(watched: Any) -> None:
    await store(watched.backup, "full-1")
    async with run_backup_watch(cast("Daemon", watched)):
        await seen(watched, lambda found: found.newest and not found.problem)
        with no_pauses(), stores_that_fail(Faults(Fault.FAIL, 0, FOR_EVER)):
            watched.operations.ended = [operation("a", "create-backup", State.FAILED)]
            found = await seen(watched, lambda found: found.problem)
        assert found.newest
        assert found.attempt_ok is False
        watched.operations.ended = [operation("b", "create-backup", State.SUCCEEDED)]
        found = await seen(watched, lambda found: not found.problem)
        assert found.attempt_ok
        watched.operations.away = True
        await asyncio.sleep(0.1)
        assert watched.backups.of("main") is found
