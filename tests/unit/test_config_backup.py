"""The configuration of backups: what is read, and what is said of what is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dbopsd.config import load_config
from dbopsd.config.backup import span_s
from dbopsd.errors import ConfigurationError

STORE = "[databases.main.backup]\nstore = 'file:///var/backups/pg'\n"
KEYS = f"{STORE}[databases.main.backup.keys]\n"

Problem = Callable[[str], str]


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    def problem(text: str) -> str:
        path = tmp_path / "dbopsd.toml"
        path.write_text(text)
        with pytest.raises(ConfigurationError) as caught:
            load_config(path)
        return str(caught.value).removeprefix(f"{path}: ")

    return problem


def test_one_setting_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "dbopsd.toml"
    path.write_text(STORE)
    backup = load_config(path).databases["main"].backup
    assert backup is not None
    assert (backup.codec, backup.wal, backup.wal_flush_s) == ("zstd:3", "stream", 10)
    assert (backup.retention.window, backup.retention.grace) == ("30d", "24h")
    assert backup.keys.current_key == ""


def test_without_the_table_there_are_no_backups() -> None:
    assert load_config().databases["main"].backup is None


def test_keys_stand_beside_the_name_of_the_current_one(tmp_path: Path) -> None:
    path = tmp_path / "dbopsd.toml"
    path.write_text(f"{KEYS}current = 'k2'\nk1 = 'file:/k1'\nk2 = 'env:K2'\nrecovery = 'age1x'\n")
    backup = load_config(path).databases["main"].backup
    assert backup is not None
    assert backup.keys.keys == {"k1": "file:/k1", "k2": "env:K2"}
    assert (backup.keys.current_key, backup.keys.recovery) == ("k2", "age1x")


def test_one_key_is_the_current_one(tmp_path: Path) -> None:
    path = tmp_path / "dbopsd.toml"
    path.write_text(f"{KEYS}k1 = 'file:/k1'\n")
    backup = load_config(path).databases["main"].backup
    assert backup is not None
    assert backup.keys.current_key == "k1"


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("/var/backups", "is none of file://, s3://, gs:// and az://"),
        ("ftp://host/x", "is none of file://, s3://, gs:// and az://"),
        ("file://relative/x", "a directory is file:///"),
        ("file:///", "a directory is file:///"),
        ("s3://", "names no bucket"),
        ("s3://user:secret@bucket/x", "more than a bucket and a prefix"),
        ("s3://bucket/x?region=y", "more than a bucket and a prefix"),
    ],
)
def test_a_store_that_cannot_be(problem: Problem, store: str, said: str) -> None:
    text = problem(f"[databases.main.backup]\nstore = '{store}'\n")
    assert text.startswith("'databases.main.backup.store'")
    assert said in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("codec = 'lz4'", "codec': is 'lz4', which is none of zstd:1 to zstd:19"),
        ("codec = 'zstd:20'", "codec': is 'zstd:20'"),
        ("wal = 'maybe'", "wal': "),
        ("max_slot_wal = '1MB'", "max_slot_wal': "),
        ("access_key_id = 'x'", "one half of an access key"),
        ("retention.window = '30'", "retention.window': is '30', which is no number with s, m, h"),
        ("retention.grace = '-1d'", "retention.grace': "),
        ("retention.keep = -1", "retention.keep': "),
    ],
)
def test_a_value_that_cannot_be(problem: Problem, line: str, said: str) -> None:
    text = problem(f"{STORE}{line}\n")
    assert text.startswith("'databases.main.backup")
    assert said in text


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("current = 'k2'\nk1 = 'file:/k1'", "current is 'k2', and no key has this name"),
        ("k1 = 'file:/k1'\nk2 = 'file:/k2'", "several keys and no `current`"),
        ("k1 = 'c2VjcmV0'", "the key 'k1' without file:PATH or env:NAME"),
        ("K1 = 'file:/k1'", "has the key 'K1'"),
        ("recovery = 'age1x'", "a recovery key and no other"),
    ],
)
def test_keys_that_cannot_be(problem: Problem, lines: str, said: str) -> None:
    text = problem(f"{KEYS}{lines}\n")
    assert text.startswith("'databases.main.backup.keys")
    assert said in text
    assert "c2VjcmV0" not in text, "a key in the wrong place is still a key"


@pytest.mark.parametrize(
    ("span", "seconds"),
    [("90s", 90), ("5m", 300), ("24h", 86400), ("30d", 2592000), ("2w", 1209600)],
)
def test_spans(span: str, seconds: float) -> None:
    assert span_s(span) == seconds
