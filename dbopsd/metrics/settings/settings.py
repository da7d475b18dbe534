"""Lists the settings of a server."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.db.statement import load_sql
from dbopsd.metrics.on_demand import OnDemand

_CATALOG_ONLY: Final = load_sql(__package__, "catalog_only.sql").statement
_LIST: Final = load_sql(__package__, "list_settings.sql").statement
_OVERRIDES: Final = load_sql(__package__, "list_overrides.sql").statement
_TIMEOUT_S: Final = 5.0
HIDDEN: Final = "***"
_PASSWORD: Final = re.compile(
    r"((?:ssl)?passw(?:or)?d|passphrase|secret|token)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'\"&;]+)",
    re.IGNORECASE,
)
_IN_URL: Final = re.compile(r"(://[^:/@\s]*:)[^@/\s]+@")
# Programs that the server starts, which are given secrets as often as not.
_COMMANDS: Final = re.compile(r".*_command|archive_library")
# What it prints is a passphrase, and so it often holds one.
_ALWAYS_HIDDEN: Final = "ssl_passphrase_command"
# Where the server's own values come from: nobody has set them.
_UNCHANGED: Final = frozenset(("default", "override", "client", "session"))


@dataclass(frozen=True, slots=True)
class Override:
    """A value that holds for a role, a database, or a role in a database; empty: for all."""

    setting: str
    role: str
    postgres_database: str
    value: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting, as a client that has set nothing sees it."""

    setting: str
    value: str
    unit: str
    display_value: str
    default_value: str
    source: str
    source_file: str
    source_line: int
    context: str
    pending_restart: bool
    help: str
    overrides: Sequence[Override] = ()

    @property
    def changed(self) -> bool:
        """Whether somebody has set it to another value than its default, for all or for some."""
        set_for_all = self.source not in _UNCHANGED and self.value != self.default_value
        return set_for_all or bool(self.overrides) or self.pending_restart


class Settings:
    """The settings of databases' servers."""

    def __init__(self, on_demand: OnDemand) -> None:
        self._on_demand = on_demand

    async def list(self, database: str, *, with_secrets: bool) -> list[Setting]:
        """Every setting by name, passwords in them replaced by `***`.

        Without `with_secrets` so is what may hold a secret: commands, and the settings that
        applications have made up. The command for a passphrase always is. Raises `DatabaseError`.
        """
        async with (
            self._on_demand.session(database, timeout_s=_TIMEOUT_S, with_settings=False) as session,
            session.transaction(read_only=True),
        ):
            await session.execute(_CATALOG_ONLY)
            settings = await session.fetch_all_as(Setting, _LIST)
            overrides = await session.fetch_all_as(Override, _OVERRIDES)
        of: dict[str, list[Override]] = {}
        for each in overrides:
            of.setdefault(each.setting, []).append(each)
        known = {each.setting for each in settings}
        settings += [_made_up(name) for name in of if name not in known]
        return sorted(
            (
                _shown(replace(each, overrides=of.get(each.setting, ())), with_secrets=with_secrets)
                for each in settings
            ),
            key=lambda each: each.setting,
        )


def _made_up(name: str) -> Setting:
    """A setting of an application, which only roles and databases have."""
    return Setting(name, "", "", "", "", "", "", 0, "user", False, "")


def _shown(setting: Setting, *, with_secrets: bool) -> Setting:
    may_hold_secret = "." in setting.setting or bool(_COMMANDS.fullmatch(setting.setting))
    hidden = setting.setting == _ALWAYS_HIDDEN or (may_hold_secret and not with_secrets)
    hide = _hidden if hidden else _without_passwords
    return replace(
        setting,
        value=hide(setting.value),
        display_value=hide(setting.display_value),
        overrides=tuple(replace(each, value=hide(each.value)) for each in setting.overrides),
    )


def _hidden(value: str) -> str:
    return HIDDEN if value else ""


def _without_passwords(value: str) -> str:
    return _IN_URL.sub(rf"\1{HIDDEN}@", _PASSWORD.sub(rf"\1\2{HIDDEN}", value))
