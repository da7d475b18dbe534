"""`[databases.NAME.backup]` and the tables in it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ByteSize, Field, SecretStr, field_validator, model_validator

from dbopsd.config.values import RESOURCE_ID, Seconds, Section

DEFAULT_SCHEDULES: Final[dict[str, dict[str, Any]]] = {
    "backup-full": {
        "kind": "create-backup",
        "cron": "0 2 * * *",
        "request": {"kind": "FULL"},
    },
    "backup-incremental": {
        "kind": "create-backup",
        "cron": "0 8,14,20 * * *",
        # Before PostgreSQL 17 there are none, which is no reason to fail every six hours.
        "request": {"kind": "INCREMENTAL", "ifSupported": True},
    },
    "backup-drill": {
        "kind": "drill-backup",
        "cron": "0 4 * * *",
        "request": {"random": True},
    },
    "backup-retention": {
        "kind": "apply-retention",
        "cron": "0 5 * * *",
    },
}
"""The schedules that a database with backups has, as `[databases.NAME.schedules.SCHEDULE]`."""

SCHEMES: Final = ("file", "s3", "gs", "az")

_CODEC: Final = re.compile(r"zstd:(?:[1-9]|1\d)|gzip:[0-3]|none")
_CODEC_DEFAULTS: Final = {"zstd": "zstd:3", "gzip": "gzip:1"}
_SPAN: Final = re.compile(r"(\d{1,5})([smhdw])")
_SPAN_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_KEY_SOURCE: Final = re.compile(r"(?:file|env):.+", re.DOTALL)


def _codec(value: str) -> str:
    value = _CODEC_DEFAULTS.get(value, value)
    if not _CODEC.fullmatch(value):
        raise ValueError(
            f"is '{value}', which is none of zstd:1 to zstd:19, gzip:0 to gzip:3, none"
        )
    return value


def _span(value: str) -> str:
    if not _SPAN.fullmatch(value):
        raise ValueError(f"is '{value}', which is no number with s, m, h, d or w, such as 30d")
    return value


Span = Annotated[str, AfterValidator(_span)]


def span_s(value: str) -> float:
    """How many seconds a span is: `30d`, `24h`."""
    number, unit = value[:-1], value[-1]
    return float(number) * _SPAN_S[unit]


class BackupKeysConfig(Section):
    """`[databases.NAME.backup.keys]`: the keys that backups are encrypted by.

    Each is 32 bytes in base64, such as `openssl rand -base64 32` prints. Unset: not encrypted.
    """

    current: str | None = None
    """The name of the key for new backups. It may be left out where there is only one."""

    recovery: str | None = None
    """The public key of an age identity, `age1…`, which is kept elsewhere and opens every backup if
    all other keys are lost. dbopsd itself cannot read anything by it."""

    accept_unencrypted: bool = False
    """Whether backups and WAL that are not encrypted are read although there are keys: those that
    are older than the keys. Whoever can write to the store can make some."""

    keys: dict[str, str] = Field(default_factory=dict)
    """Where each key is, by its name: `file:/etc/dbopsd/k1` or `env:BACKUP_KEY`. A key may stand
    beside `current` too: `k1 = "file:/etc/dbopsd/k1"`."""

    @model_validator(mode="before")
    @classmethod
    def _keys_by_their_names(cls, value: object) -> object:
        # `k1 = "file:…"` stands beside `current`, which reads better than a table in the table.
        if not isinstance(value, dict):
            return value
        known = {name: value[name] for name in cls.model_fields if name in value}
        named = {name: source for name, source in value.items() if name not in known}
        return {**known, "keys": {**known.get("keys", {}), **named}} if named else known

    @model_validator(mode="after")
    def _names_a_key(self) -> Self:
        for name, source in self.keys.items():
            if not RESOURCE_ID.fullmatch(name):
                raise ValueError(f"has the key '{name}', which is not 1 to 63 of a-z, 0-9 and '-'")
            if not _KEY_SOURCE.fullmatch(source):
                raise ValueError(f"has the key '{name}' without file:PATH or env:NAME")
        if self.current is not None and self.current not in self.keys:
            raise ValueError(f"current is '{self.current}', and no key has this name")
        if self.current is None and len(self.keys) > 1:
            raise ValueError("has several keys and no `current`, the one for new backups")
        if self.recovery is not None and not self.keys:
            raise ValueError('has a recovery key and no other: add one, such as k1 = "file:…"')
        return self

    @property
    def current_key(self) -> str:
        """The name of the key for new backups; empty: they are not encrypted."""
        return self.current or next(iter(self.keys), "")


class RetentionConfig(Section):
    """`[databases.NAME.backup.retention]`: which backups are kept.

    A backup is kept as long as one of the rules wants it. What a kept backup rests on is kept too,
    and so are held backups and the newest good one.
    """

    keep: Annotated[int, Field(ge=0, le=10_000)] = 0
    """How many of the newest full backups to keep, with what rests on them."""

    window: Span | None = "30d"
    """How far back every moment must be reachable, such as "30d"."""

    daily: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Of how many days to keep the newest full backup."""

    weekly: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Of how many weeks to keep the newest full backup."""

    monthly: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Of how many months to keep the newest full backup."""

    yearly: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Of how many years to keep the newest full backup."""

    grace: Span = "24h"
    """How long an expired backup stays before it is deleted, such as "24h"."""


def with_default_schedules(schedules: Mapping[str, Any]) -> dict[str, Any]:
    """The schedules of a database with backups. One of a default's name changes what it says.

    One that has another kind than the default is another schedule, and has nothing of it.
    """
    merged = dict(schedules)
    for name, default in DEFAULT_SCHEDULES.items():
        given = schedules.get(name, {})
        if isinstance(given, Mapping) and given.get("kind", default["kind"]) == default["kind"]:
            merged[name] = {**default, **given}
    return merged


class DatabaseBackupConfig(Section):
    """`[databases.NAME.backup]`: backups and the WAL archive of a database.

    With it there are four schedules, which `[databases.NAME.schedules.SCHEDULE]` changes key by
    key: `backup-full` daily at 02:00, `backup-incremental` at 08:00, 14:00 and 20:00,
    `backup-drill` at 04:00, to a random moment, `backup-retention` at 05:00, all in UTC.
    """

    store: str
    """Where backups are kept: `file:///var/backups/pg`, `s3://bucket/prefix`, `gs://bucket/prefix`
    or `az://container/prefix`. Several databases may have the same store."""

    endpoint: str | None = None
    """The address of an S3 server that is not Amazon's, such as `https://minio.internal:9000`."""

    region: str | None = None
    """The region of an S3 bucket."""

    access_key_id: SecretStr | None = None
    """The name of an S3 access key. Unset: the environment's, or that of the machine. Secret."""

    secret_access_key: SecretStr | None = None
    """The secret of the S3 access key. Secret."""

    timeout_s: Seconds = 60.0
    """How long one call to the store may take, in seconds. It is tried five times."""

    codec: Annotated[str, AfterValidator(_codec)] = "zstd:3"
    """How backups are compressed: `zstd:1` to `zstd:19`, `gzip:0` to `gzip:3`, `none`."""

    wal: Literal["stream", "archive_command", "off"] = "stream"
    """How WAL comes to the store. `stream`: dbopsd receives it through a replication slot.
    `archive_command`: the server runs `dbopsd wal push`. `off`: not at all; a backup can be
    restored to its own end only."""

    wal_flush_s: Seconds = 10.0
    """How old WAL may get that is received and not stored, in seconds."""

    max_slot_wal: Annotated[ByteSize, Field(ge=64 * 2**20)] = ByteSize(20 * 10**9)
    """How much WAL the replication slot may hold on the server, and how much the worker spools,
    before an alert, such as "20GB"."""

    rate_limit: Annotated[ByteSize, Field(ge=32 * 2**10, le=2**30)] | None = None
    """How much a backup may read from the server in a second, such as "50MB". Unset: no limit."""

    source: Literal["primary", "prefer-standby"] = "primary"
    """Where backups are taken from. `prefer-standby`: a standby of the `dsn`, if one is there."""

    max_age: Span | None = None
    """How old the newest backup may get before health and an alert tell, such as "36h". Unset: 1.5
    times the longest pause of each schedule that makes backups."""

    drill_max_age: Span | None = None
    """How long ago the last drill may be before health and an alert tell, such as "3d". Unset: 1.5
    times the longest pause of the schedules that make drills."""

    restore_roots: tuple[Path, ...] = ()
    """Directories on the workers' machine below which backups can be restored.

    Unset: any directory, if the daemon listens on loopback only; otherwise none.
    """

    keys: BackupKeysConfig = Field(default_factory=BackupKeysConfig)
    """The keys that backups are encrypted by."""

    retention: RetentionConfig = Field(default_factory=RetentionConfig)
    """Which backups are kept."""

    @field_validator("store")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in SCHEMES:
            raise ValueError(f"is '{value}', which is none of file://, s3://, gs:// and az://")
        if url.scheme == "file" and (url.netloc or not url.path.startswith("/") or url.path == "/"):
            raise ValueError(f"is '{value}': a directory is file:///, and an absolute path")
        if url.scheme != "file" and not url.netloc:
            raise ValueError(f"is '{value}', which names no bucket")
        if url.query or url.fragment or "@" in url.netloc:
            raise ValueError("has more than a bucket and a prefix: set the rest by keys of its own")
        return value

    @model_validator(mode="after")
    def _whole_access_key(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("has one half of an access key: set both, or none")
        return self
