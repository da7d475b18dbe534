"""`migrations_dir`, and `[databases.NAME.migrations]`."""

from pathlib import Path

import pytest

from dbopsd.config import Config, load_config
from dbopsd.config.migrations import MigrationSetConfig
from dbopsd.errors import ConfigurationError

VARIABLE = "DBOPSD_DATABASES__MAIN__MIGRATIONS_DIR"


def read(directory: Path, keys: str) -> Config:
    file = directory / "dbopsd.toml"
    file.write_text(f"[databases.main]\n{keys}\n")
    return load_config(file)


def sets(config: Config) -> tuple[MigrationSetConfig, ...]:
    return config.databases["main"].migrations_dir


def entry(name: str, path: str) -> MigrationSetConfig:
    return MigrationSetConfig(set=name, dir=Path(path))


def test_a_path_is_the_one_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sets(read(tmp_path, 'migrations_dir = "/srv/m"')) == (entry("default", "/srv/m"),)
    monkeypatch.setenv(VARIABLE, "/srv/other")
    assert sets(load_config()) == (entry("default", "/srv/other"),)


def test_several_sets_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = 'migrations_dir = [{ set = "core", dir = "/a" }, { set = "billing", dir = "/b" }]'
    both = (entry("core", "/a"), entry("billing", "/b"))
    assert sets(read(tmp_path, keys)) == both
    monkeypatch.setenv(VARIABLE, '[{"set": "core", "dir": "/a"}, {"set": "billing", "dir": "/b"}]')
    assert sets(load_config()) == both


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ('migrations_dir = "m"', "'m' depends on where the daemon is started"),
        ('migrations_dir = [{ set = "a", dir = "/a" }, { set = "a", dir = "/b" }]', "two sets are"),
        ('migrations_dir = [{ set = "A b", dir = "/a" }]', "set"),
        ("migrations_dir = 7", "migrations_dir"),
        ('migrations = { layout = "rails" }', "layout"),
        ('migrations = { shema = "x" }', "did you mean 'schema'"),
        ("migrations = { lock_budget_ms = 0 }", "lock_budget_ms"),
        ('migrations = { drift_ignore = ["events_p*"] }', "'events_p*' names no schema: write"),
        ('migrations = { drift_ignore = ["public."] }', "'public.' names no schema"),
        ('migrations = { drift_ignore = ["public.a[bc"] }', "a [ without its ]"),
        ("migrations = { drift_ignore = ['public.\"a\"'] }", "has a quote"),
        ('migrations = { backup_before = "full" }', "set backup.store"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, keys: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, keys)
    assert problem in refused.value.message


def test_a_list_that_is_no_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "[/srv/m]")
    with pytest.raises(ConfigurationError, match="migrations_dir"):
        load_config()


def test_patterns_of_what_is_no_drift_come_from_the_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ignored(config: Config) -> tuple[str, ...]:
        return config.databases["main"].migrations.drift_ignore

    keys = 'migrations = { drift_ignore = ["public.a[[]b]", "tenant_[!0-9].*"] }'
    assert ignored(read(tmp_path, keys)) == ("public.a[[]b]", "tenant_[!0-9].*")
    monkeypatch.setenv("DBOPSD_DATABASES__MAIN__MIGRATIONS__DRIFT_IGNORE", '["public.x_*"]')
    assert ignored(load_config()) == ("public.x_*",)
