"""The rules of squawk that count here, and how much.

Their names and what they say: https://squawkhq.com/docs/rules, of version 2.70.
"""

from dataclasses import dataclass
from typing import Final

from dbopsd.migrate.versions.check.rule import Weight
from dbopsd.migrate.versions.model.reports import Severity

EXCLUDED: Final = (
    # dbopsd sets the timeouts, and a ledger makes IF NOT EXISTS needless, which hides invalid
    # indexes. They were half of ten thousand findings in a thousand real files.
    *("prefer-robust-stmts", "require-lock-timeout", "require-statement-timeout"),
    # Rules of our own say it of more statements, and as problems where it is one.
    *("transaction-nesting", "ban-uncommitted-transaction", "ban-truncate-cascade"),
    *("ban-concurrent-index-creation-in-transaction", "prefer-repack"),
)

SYNTAX: Final = "syntax-error"
"""It is no rule: what PostgreSQL's own grammar accepts is none."""


@dataclass(frozen=True)
class Standing:
    """How much a rule counts."""

    severity: Severity
    weight: Weight = Weight.ALWAYS


# Warnings, in any case. Some of them squawk only has when its configuration asks for them.
_OTHERS: Final = (
    *("ban-add-column", "ban-add-composite-attribute", "ban-add-enum-value"),
    *("ban-alter-database-options", "ban-alter-extension", "ban-alter-function-options"),
    *("ban-alter-generated-expression", "ban-alter-identity", "ban-alter-policy-roles"),
    *("ban-alter-role-options", "ban-alter-row-level-security", "ban-alter-sequence-values"),
    *("ban-alter-system-options", "ban-alter-view-options", "ban-create-policy"),
    *("ban-detach-inheritance", "ban-disable-trigger", "ban-drop-constraint", "ban-drop-default"),
    *("ban-drop-domain", "ban-drop-extension", "ban-drop-function"),
    *("ban-drop-generated-expression", "ban-drop-index", "ban-drop-policy", "ban-drop-sequence"),
    *("ban-drop-trigger", "ban-drop-type", "ban-drop-view", "ban-duplicate-column-assignments"),
    *("ban-new-write-restriction", "ban-replace-view-function", "ban-replica-identity"),
    *("ban-revoke", "ban-set-default", "ban-set-schema", "renaming-object"),
    "require-table-schema",
)
_LOCKS: Final = Standing(Severity.WARNING, Weight.SIZE)
_BRIEF: Final = Standing(Severity.WARNING, Weight.LOCK)
_STYLE: Final = Standing(Severity.INFO)

KNOWN: Final = {
    **dict.fromkeys(_OTHERS, Standing(Severity.WARNING)),
    "adding-field-with-default": _LOCKS,
    "adding-foreign-key-constraint": _LOCKS,
    "adding-not-nullable-field": _LOCKS,
    "adding-required-field": Standing(Severity.ERROR, Weight.LOCK),
    "adding-serial-primary-key-field": _LOCKS,
    "ban-alter-domain-with-add-constraint": Standing(Severity.WARNING),
    "ban-char-field": _STYLE,
    "ban-create-domain-with-constraint": _STYLE,
    "ban-drop-column": _LOCKS,
    "ban-drop-database": Standing(Severity.ERROR),
    "ban-drop-not-null": _BRIEF,
    "ban-drop-schema": Standing(Severity.ERROR),
    "ban-drop-table": _LOCKS,
    "changing-column-type": _LOCKS,
    "constraint-missing-not-valid": _LOCKS,
    "disallowed-unique-constraint": _LOCKS,
    "identifier-too-long": _STYLE,
    "prefer-bigint-over-int": _STYLE,
    "prefer-bigint-over-smallint": _STYLE,
    "prefer-identity": _STYLE,
    "prefer-text-field": _STYLE,
    "prefer-timestamp-tz": _STYLE,
    "renaming-column": _LOCKS,
    "renaming-table": _LOCKS,
    "require-concurrent-index-creation": _LOCKS,
    "require-concurrent-index-deletion": _LOCKS,
    "require-concurrent-partition-detach": _LOCKS,
    "require-concurrent-reindex": _LOCKS,
    "require-enum-value-ordering": _STYLE,
}


def standing(rule: str) -> Standing:
    """How much a rule counts; one that is not known here is a warning."""
    if rule.startswith("prefer-"):
        return KNOWN.get(rule, _STYLE)
    return KNOWN.get(rule, Standing(Severity.WARNING))


def is_for_rollbacks(rule: str) -> bool:
    """Whether a rollback is there to do what the rule warns of: to drop, or to name as before."""
    return rule != "ban-drop-database" and rule.startswith(("ban-drop-", "renaming-"))
