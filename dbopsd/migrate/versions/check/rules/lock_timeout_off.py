"""SET lock_timeout to no limit, also by set_config()."""

import re
from collections.abc import Iterator
from typing import Final

from dbopsd.migrate.versions.check.rule import Match, Rule
from dbopsd.migrate.versions.check.settings import SETTING, changed_settings
from dbopsd.migrate.versions.model.reports import Severity
from dbopsd.migrate.versions.sql.syntax_tree import Script, Statement

_ZERO: Final = re.compile(r"\s*[+-]?0*\.?0*\s*(us|ms|s|min|h|d)?\s*")


def _find(statement: Statement, _script: Script) -> Iterator[Match]:
    for each in changed_settings(statement):
        unlimited = each.to_default or (each.value is not None and _ZERO.fullmatch(each.value))
        if each.name == "lock_timeout" and unlimited:
            message = "this takes away the limit of how long a lock is waited for"
            yield Match(message, each.location)


RULE = Rule(
    name="lock-timeout-off",
    severity=Severity.WARNING,
    advice="Leave it out, or set `-- dbops: lock_timeout=` in the header: "
    "writers queue behind a lock that is waited for",
    find=_find,
    kinds=SETTING,
)
