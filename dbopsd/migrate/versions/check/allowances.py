"""`-- dbops: allow=RULE: REASON` in the header of a file."""

import re
from collections.abc import Iterator

from dbopsd.migrate.versions.check.rules import all_rules
from dbopsd.migrate.versions.check.squawk_rules import KNOWN
from dbopsd.migrate.versions.model.migration_file import Script
from dbopsd.migrate.versions.model.reports import Severity

NOT_INSPECTED = "not-inspected"
"""The rule of what could not be looked into."""
UNKNOWN_RULE = "unknown-rule"
IGNORE_COMMENT = "squawk-ignore"

_IGNORES = re.compile(r"squawk-(?:ignore|disable|enable)[a-z-]*")


def is_rule(name: str) -> bool:
    """Whether a file may allow it to be broken."""
    return (
        name in (NOT_INSPECTED, UNKNOWN_RULE, IGNORE_COMMENT)
        or name in KNOWN
        or (name in all_rules() and not all_rules()[name].problem)
    )


def about_directives(script: Script) -> Iterator[tuple[str, Severity, int, str, str]]:
    """Rule, severity, position, message and advice of what is written to no effect."""
    for name in script.allowed:
        if is_rule(name):
            continue
        place = re.search(rf"allow\s*=\s*({re.escape(name)})", script.text)
        blocked = name in all_rules()
        message = (
            f"nothing allows '{name}': the file could not run as it should"
            if blocked
            else f"there is no rule '{name}' to allow"
        )
        advice = "" if blocked else "Write it as `dbops migrate check` names it"
        yield UNKNOWN_RULE, Severity.WARNING, place.start(1) if place else 0, message, advice
    if found := _IGNORES.search(script.text):
        message = f"`{found.group()}` has no effect here"
        advice = "Write `-- dbops: allow=RULE: REASON` into the header"
        yield IGNORE_COMMENT, Severity.INFO, found.start(), message, advice
