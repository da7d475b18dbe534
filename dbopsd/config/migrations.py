"""`[databases.NAME.migrations]`, and the folders that `migrations_dir` names."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator
from pydantic_settings import NoDecode

from dbopsd.config.values import RESOURCE_ID, Seconds, Section

DEFAULT_SET: Final = "default"
"""The set of a `migrations_dir` that is a single path."""

Layout = Literal[
    "auto",
    "dbops",
    "golang-migrate",
    "sqlx",
    "dbmate",
    "goose",
    "flyway",
    "prisma",
    "drizzle",
    "diesel",
]


class MigrationSetConfig(Section):
    """An entry of `databases.NAME.migrations_dir`: a folder with a history of its own."""

    set: Annotated[str, Field(pattern=f"^{RESOURCE_ID.pattern}$")]
    """The name of the set: 1 to 63 of a-z, 0-9 and '-', starting with a letter."""

    dir: Path
    """The directory, on the machine of the daemon and of its workers."""

    @field_validator("dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError(f"'{value}' depends on where the daemon is started: name it from / on")
        return value


def _as_sets(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)  # a list in the environment
        except ValueError:
            return value
    if isinstance(value, str | Path):
        return ({"set": DEFAULT_SET, "dir": value},)
    return value


def _differ(sets: tuple[MigrationSetConfig, ...]) -> tuple[MigrationSetConfig, ...]:
    names = [each.set for each in sets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two sets are called '{twice}'")
    return sets


MigrationSets = Annotated[
    tuple[MigrationSetConfig, ...],
    NoDecode,  # a path in the environment is a path, not JSON
    BeforeValidator(_as_sets),
    AfterValidator(_differ),
]


_BRACKETS: Final = re.compile(r"\[!?\]?[^\]]*\]")


def _object_pattern(value: str) -> str:
    schema, dot, name = value.partition(".")
    if not (schema and dot and name):
        raise ValueError(f"'{value}' names no schema: write SCHEMA.NAME, such as public.events_p*")
    if '"' in value or not value.isprintable():
        raise ValueError(f"'{value}' has a quote or a control character: ? stands for any one")
    if any("[" in _BRACKETS.sub("", part) for part in (schema, name)):
        raise ValueError(f"'{value}' has a [ without its ]: [[] stands for a [")
    return value


ObjectPattern = Annotated[str, Field(max_length=200), AfterValidator(_object_pattern)]


class DatabaseMigrationsConfig(Section):
    """`[databases.NAME.migrations]`: versioned schema migrations."""

    layout: Layout = "auto"
    """The layout of the files. `auto` recognises it, and is an error where two layouts fit."""

    schema_: Annotated[str, Field(alias="schema", min_length=1, max_length=63)] = "dbops"
    """The schema of the ledger, which is created if it does not exist."""

    variables: dict[str, Annotated[str, Field(pattern=r"^[^\x00]*$")]] = Field(default_factory=dict)
    """Values for the placeholders of templates, by their names."""

    search_path: Annotated[str, Field(max_length=1000)] | None = None
    """The `search_path` that each migration starts with. Unset: that of the role."""

    lock_timeout_ms: Annotated[int, Field(ge=1, le=3_600_000)] = 500
    """How long a statement waits for one lock, in milliseconds, within `lock_budget_ms`."""

    lock_budget_ms: Annotated[int, Field(ge=1, le=3_600_000)] = 500
    """How long one attempt at a migration waits for all its locks, in milliseconds.

    Writers queue behind a lock that is waited for, so this is how long they may stall.
    """

    lock_wait_s: Seconds = 60.0
    """How long a migration tries to get its locks, attempt after attempt, in seconds."""

    statement_timeout_s: Seconds | None = None
    """How long a statement may run, in seconds. Unset: no limit."""

    out_of_order: bool = False
    """Whether migrations that are older than applied ones are applied too."""

    backup_before: Literal["none", "schema", "full"] = "none"
    """The backup that is taken before a rollback; none is before an apply.

    `schema`: a dump of the schema alone, in a second, however large the database is; it is no way
    back to rows. `full`: a physical one of the whole cluster.
    """

    drift_ignore: tuple[ObjectPattern, ...] = ()
    """Patterns of `schema.name` of objects that applications or pg_partman make: they are no drift.

    As a shell matches names, by case: `public.events_p*`. A table takes its indexes, constraints,
    triggers and sequences with it, and `partman.*` is the schema with all that is in it. What is
    stored of the schema has them all the same, so that a change takes effect at once.
    """

    old_applications: str | None = None
    """A regular expression of PostgreSQL that matches the `application_name` of older application
    versions. While one is connected, migrations of the phase `contract` are refused."""
