"""The requests of the configuration's schedules: by the rules of calls, in protobuf's JSON."""

import json
import tomllib
from typing import Any

import pytest

from dbopsd.app.features import FEATURES
from dbopsd.app.schedules import schedules_of
from dbopsd.config import Config
from dbopsd.errors import ConfigurationError
from dbopsd.migrate.importer.model.requests import (
    BadRows,
    IdentifierCase,
    Mode,
    RunImportRequest,
    VerifyImportRequest,
)
from dbopsd.operations.service import canonical_json

WHERE = "databases.main.schedules.nightly.request"


def config(request: str, kind: str = "run-import") -> Config:
    schedule = {"kind": kind, "cron": "30 2 * * *", **tomllib.loads(f"request = {request}")}
    main = {"dsn": "host=127.0.0.1 port=1", "schedules": {"nightly": schedule}}
    return Config.model_validate({"databases": {"main": main}})


def kept(request: str, kind: str = "run-import") -> Any:
    (schedule,) = schedules_of(config(request, kind), FEATURES)
    return json.loads(schedule.request)


def problem(request: str, kind: str = "run-import") -> str:
    with pytest.raises(ConfigurationError) as refused:
        schedules_of(config(request, kind), FEATURES)
    assert refused.value.where.startswith(WHERE)
    assert "\n" not in refused.value.message
    return refused.value.message.removeprefix(WHERE)


def as_kept(request: Any) -> Any:
    return json.loads(canonical_json(type(request), request))


@pytest.mark.parametrize(
    "request_",
    [
        '{ source = "a.db", mode = "UPSERT", delete_missing = true, max_examples = 7 }',
        '{ source = "a.db", mode = "UPSERT", deleteMissing = true, maxExamples = 7 }',
        '{ source = "a.db", mode = "upsert", delete_missing = true, maxExamples = 7 }',
    ],
)
def test_it_is_protobufs_json_and_enums_may_be_in_small_letters(request_: str) -> None:
    wanted = RunImportRequest("a.db", mode=Mode.UPSERT, delete_missing=True, max_examples=7)
    assert kept(request_) == as_kept(wanted)


def test_every_kind_of_field_arrives() -> None:
    request = (
        '{ source = "a.db", schema = "app", tables = ["a", "b"], bad_rows = "QUARANTINE",'
        ' identifier_case = "LOWER", processes = 3, skip_verification = true,'
        ' mapping = "[tables.a]\\nskip = true" }'
    )
    wanted = RunImportRequest(
        "a.db",
        schema="app",
        tables=("a", "b"),
        bad_rows=BadRows.QUARANTINE,
        identifier_case=IdentifierCase.LOWER,
        processes=3,
        skip_verification=True,
        mapping="[tables.a]\nskip = true",
    )
    assert kept(request) == as_kept(wanted)
    found = kept('{ operation = "operations/run-import-1" }', "verify-import")
    assert found == as_kept(VerifyImportRequest("run-import-1"))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("{ processes = 3 }", ".source: is required"),
        ('{ source = "a.db", processes = 9999 }', ".processes: is not 0 to 64"),
        ('{ source = "a.db", processes = 1.5 }', ".processes: cannot be: Couldn't parse integer"),
        ('{ source = "a.db", nonsense = 1 }', ".nonsense: is not a field of RunImportRequest"),
        ('{ source = "a.db", mode = "REPLACED" }', ".mode: is none of REPLACE, APPEND, UPSERT"),
        ('{ source = "a.db", mode = 9 }', ".mode: has the value 9"),
        ('{ source = "a.db", tables = "users" }', ".tables: cannot be: "),
        ('{ source = "a.db", tables = ["a", ""] }', ".tables[1]: is empty"),
        ('{ source = "a.db", schema = "pg_catalog" }', ".schema: is one of PostgreSQL's own"),
        ('{ source = "a.db", mapping = "no = = toml" }', ": mapping is not TOML"),
        ('{ source = "a.db", mapping = "x = 1" }', ": mapping: x is not a key"),
        ('{ source = "a.db", delete_missing = true }', ".delete_missing: goes with mode UPSERT"),
        ('{ source = "a.db", name = "databases/x" }', ".name: is not for a schedule to say"),
        ('{ source = "a.db", request_id = "x" }', ".request_id: is not for a schedule to say"),
    ],
)
def test_what_a_call_is_refused_for_a_schedule_is_refused_for(request_: str, said: str) -> None:
    assert problem(request_).startswith(said)


def test_a_name_has_its_form() -> None:
    said = problem('{ operation = "run-import-1" }', "verify-import")
    assert said == ".operation: is not of the form operations/{operation}"


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(ConfigurationError) as refused:
        schedules_of(config("{}", "no-such"), FEATURES)
    said = str(refused.value)
    kinds = sorted(method.kind.name for feature in FEATURES for method in feature.methods)
    assert {"create-backup", "check-migrations", "run-import"} < set(kinds)
    assert said.endswith(f"there are: {', '.join(kinds)}")


class TestOfBackups:
    """A database with backups has schedules of its own accord."""

    def found(self, **tables: Any) -> dict[str, tuple[str, str, Any]]:
        main = {"dsn": "host=127.0.0.1 port=1", **tables}
        schedules = schedules_of(Config.model_validate({"databases": {"main": main}}), FEATURES)
        return {each.id: (each.kind, each.cron, json.loads(each.request)) for each in schedules}

    def test_there_are_four_with_backups_and_none_without(self) -> None:
        found = self.found(backup={"store": "file:///b"})
        assert {name: (kind, cron) for name, (kind, cron, _) in found.items()} == {
            "backup-full": ("create-backup", "0 2 * * *"),
            "backup-incremental": ("create-backup", "0 8,14,20 * * *"),
            "backup-drill": ("drill-backup", "0 4 * * *"),
            "backup-retention": ("apply-retention", "0 5 * * *"),
        }
        assert found["backup-full"][2]["kind"] == "FULL"
        incremental = found["backup-incremental"][2]
        assert (incremental["kind"], incremental["if_supported"]) == ("INCREMENTAL", True)
        assert found["backup-drill"][2]["random"] is True
        assert self.found() == {}

    def test_a_key_of_one_is_changed_and_the_rest_of_it_stays(self) -> None:
        changed = {"backup-full": {"cron": "30 1 * * 0"}}
        found = self.found(backup={"store": "file:///b"}, schedules=changed)
        assert len(found) == 4
        kind, cron, request = found["backup-full"]
        assert (kind, cron, request["kind"]) == ("create-backup", "30 1 * * 0", "FULL")

    def test_others_stand_beside_them(self) -> None:
        weekly = {"kind": "verify-backups", "cron": "0 6 * * 0", "request": {"depth": "CONTENTS"}}
        found = self.found(backup={"store": "file:///b"}, schedules={"verify": weekly})
        assert len(found) == 5
        assert found["verify"][2]["depth"] == "CONTENTS"

    def test_one_of_another_kind_has_nothing_of_the_default(self) -> None:
        other = {"backup-drill": {"kind": "apply-retention", "cron": "0 3 * * *"}}
        found = self.found(backup={"store": "file:///b"}, schedules=other)
        assert found["backup-drill"] == ("apply-retention", "0 3 * * *", {"dry_run": False})
