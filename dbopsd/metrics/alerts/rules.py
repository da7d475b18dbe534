"""The rules: read from `rules.toml` and the user's own file, changed by the configuration.

Everything that can be wrong with a rule is found when it is loaded: an expression that is no
PromQL or reads a metric that there is not, a threshold without a place, a missing remedy.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dbopsd.config import AlertsConfig, RuleConfig
from dbopsd.metrics.alerts.promql import Expression
from dbopsd.metrics.errors import ExpressionInvalid, RuleInvalid

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_THRESHOLD: Final = "{threshold}"
_RESOLVE_SHARE: Final = 0.1
CHECK_STATE: Final = "dbops_health_check_state"
CHECK_VALUE: Final = "dbops_health_check_value"
UNKNOWN_CHECK: Final = 3.0
EVERY_CHECK: Final = "*"
"""A rule of every check that no other rule names."""

REACHABLE: Final = "reachable"
"""The check whose rule is DatabaseDown."""

_STATES: Final = {"degraded": 1, "unhealthy": 2}


class Severity(IntEnum):
    """How severe an alert is. The numbers are the contract's."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def word(self) -> str:
        """Its name in rules and labels."""
        return self.name.lower()


class _Declared(BaseModel):
    """`[rules.NAME]`, as it stands in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expr: Annotated[str, Field(max_length=4000)] = ""
    check: Annotated[str, Field(max_length=63)] = ""
    state: Literal["", "degraded", "unhealthy"] = ""
    threshold: float | None = None
    resolve: float | None = None
    for_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    keep_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    severity: Literal["info", "warning", "critical"]
    unit: str = ""
    under: tuple[str, ...] = ()
    summary: Annotated[str, Field(min_length=1, max_length=500)]
    remedy: Annotated[str, Field(min_length=1, max_length=500)]
    dormant: str = ""
    covers: Annotated[str, Field(max_length=63)] = ""

    @model_validator(mode="after")
    def _judges_by_one_thing(self) -> Self:
        if bool(self.expr) == bool(self.check):
            raise ValueError("needs expr or check, and not both")
        if bool(self.check) != bool(self.state):
            raise ValueError("needs state with check, and only with it")
        if self.threshold is not None and _THRESHOLD not in self.expr:
            raise ValueError("has a threshold, and its expr no {threshold}")
        if self.threshold is None and _THRESHOLD in self.expr:
            raise ValueError("has {threshold} in its expr, and no threshold")
        if self.resolve is not None and self.threshold is None:
            raise ValueError("has resolve without a threshold")
        return self


@dataclass(frozen=True)
class Rule:
    """A rule that can be evaluated.

    `template` is its expression with `{threshold}`. `check` names the health check that it judges
    by; empty: none. Summary and remedy may have labels and `{value}` in braces, `{message}` is
    what the health check says.
    """

    name: str
    template: str
    severity: Severity
    summary: str
    remedy: str
    threshold: float | None = None
    resolve: float | None = None
    for_s: float = 0.0
    keep_s: float = 0.0
    unit: str = ""
    check: str = ""
    state: str = ""
    under: tuple[str, ...] = ()
    dormant: str = ""
    covers: str = ""
    """A health check that says the same: its being degraded needs no alert of its own."""

    @property
    def text(self) -> str:
        """The expression for which it fires."""
        return self._filled(self.threshold)

    @cached_property
    def fires(self) -> Expression:
        """The expression for which it fires, parsed."""
        return Expression.parse(self.text)

    @cached_property
    def holds(self) -> Expression:
        """The expression for which an alert that fires goes on."""
        if self.threshold is None:
            return self.fires
        return Expression.parse(self._filled(self.resolve_threshold))

    @property
    def resolve_threshold(self) -> float | None:
        """Where a firing alert is resolved: a tenth back from the threshold unless declared."""
        if self.resolve is not None or self.threshold is None:
            return self.resolve
        # `<` fires below, and so it resolves above.
        below = re.search(r"<=?\s*\{threshold\}", self.template) is not None
        step = abs(self.threshold) * _RESOLVE_SHARE
        return self.threshold + step if below else self.threshold - step

    def changed(self, change: RuleConfig, where: str) -> "Rule":
        """The rule with what is configured. Raises `RuleInvalid`."""
        threshold = self.threshold
        if change.threshold is not None:
            if threshold is None:
                advice = (
                    f": set health.thresholds.{self.check}"
                    if self.check and self.check != EVERY_CHECK
                    else ""
                )
                raise RuleInvalid(where, f"{self.name} has no threshold{advice}")
            threshold = change.threshold
        resolve = change.resolve
        if resolve is not None and threshold is None:
            raise RuleInvalid(where, f"{self.name} has no threshold, and so no resolve")
        if resolve is None and change.threshold is None:
            resolve = self.resolve
        return replace(
            self,
            threshold=threshold,
            resolve=resolve,
            for_s=self.for_s if change.for_s is None else change.for_s,
            severity=self.severity
            if change.severity is None
            else Severity[change.severity.upper()],
        )

    def _filled(self, threshold: float | None) -> str:
        if threshold is None:
            return self.template
        return self.template.replace(_THRESHOLD, f"{threshold:.15g}")


@dataclass(frozen=True)
class RuleSet:
    """The rules by name."""

    rules: Mapping[str, Rule]

    @classmethod
    def default(cls) -> "RuleSet":
        """Those of `rules.toml`. Raises `RuleInvalid`."""
        source = resources.files(__package__) / "rules.toml"
        return cls(_read("rules.toml", source.read_text(encoding="utf-8"), {}))

    @classmethod
    def of(cls, config: AlertsConfig) -> "RuleSet":
        """The default ones, with the user's own file and changes. Raises `RuleInvalid`."""
        found = cls.default()
        if config.rules_file is not None:
            found = cls(_read_file(config.rules_file, found.rules))
        return found.changed(config.rules, "alerts.rules")

    def changed(self, changes: Mapping[str, RuleConfig], where: str) -> "RuleSet":
        """The rules with what is configured. Raises `RuleInvalid`."""
        rules = dict(self.rules)
        # Variables of the environment know no capitals.
        names = {name.lower(): name for name in rules}
        for written, change in changes.items():
            name = names.get(written.lower())
            if name is None:
                known = ", ".join(sorted(self.rules))
                raise RuleInvalid(f"{where}.{written}", f"unknown rule; there are {known}")
            if change.enabled:
                rules[name] = rules[name].changed(change, f"{where}.{written}")
            else:
                rules.pop(name, None)
        return RuleSet(rules)

    def require_metrics(self, known: Callable[[str], bool]) -> None:
        """Raise `RuleInvalid` for a rule that reads a metric that there is not: it never fires."""
        for rule in self.rules.values():
            unknown = sorted(name for name in rule.fires.metrics if not known(name))
            if unknown and not rule.dormant:
                raise RuleInvalid(rule.name, f"no collector gives the metric {unknown[0]}")

    def awake(self) -> tuple[Rule, ...]:
        """Those that have something to read, by name."""
        return tuple(rule for _, rule in sorted(self.rules.items()) if not rule.dormant)


def _read_file(path: Path, below: Mapping[str, Rule]) -> dict[str, Rule]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise RuleInvalid(str(path), f"cannot be read: {cause}") from error
    return _read(str(path), text, below)


def _read(where: str, text: str, below: Mapping[str, Rule]) -> dict[str, Rule]:
    """The rules in a file over those `below`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RuleInvalid(where, f"is no TOML: {error}") from error
    unknown = sorted(set(document) - {"rules"})
    tables = document.get("rules", {})
    if unknown or not isinstance(tables, dict):
        raise RuleInvalid(where, "has something else than tables [rules.NAME]")
    declared = {name: _declared(f"{where}: {name}", name, table) for name, table in tables.items()}
    named = {(each.check, each.state) for each in below.values()}
    named |= {(each.check, each.state) for each in declared.values()}
    covered = {each.covers for each in below.values()}
    covered |= {each.covers for each in declared.values()}
    named |= {(check, "degraded") for check in covered if check}
    rules = dict(below)
    for name, each in declared.items():
        rules[name] = _rule(f"{where}: {name}", name, each, named)
    for name, rule in rules.items():
        if rule.check == EVERY_CHECK:
            template = _check_expression(rule.check, rule.state, named)
            rules[name] = replace(rule, template=template)
        unknown = sorted(set(rule.under) - set(rules))
        if unknown:
            raise RuleInvalid(f"{where}: {rule.name}", f"is under {unknown[0]}, which is no rule")
    return rules


def _declared(where: str, name: str, table: object) -> _Declared:
    if not _NAME.fullmatch(name):
        raise RuleInvalid(where, "is no name of a rule: letters, digits and _, 1 to 63")
    try:
        return _Declared.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        problem = first["msg"].removeprefix("Value error, ")
        raise RuleInvalid(where, f"{key}: {problem}" if key else problem) from error


def _rule(where: str, name: str, declared: _Declared, named: Iterable[tuple[str, str]]) -> Rule:
    template = declared.expr
    if declared.check:
        template = _check_expression(declared.check, declared.state, named)
    rule = Rule(
        name,
        template,
        Severity[declared.severity.upper()],
        declared.summary,
        declared.remedy,
        threshold=declared.threshold,
        resolve=declared.resolve,
        for_s=declared.for_s,
        keep_s=declared.keep_s,
        unit=declared.unit,
        check=declared.check,
        state=declared.state,
        under=declared.under,
        dormant=declared.dormant,
        covers=declared.covers,
    )
    try:
        _ = rule.fires, rule.holds
    except ExpressionInvalid as error:
        raise RuleInvalid(where, error.why) from error
    return rule


def _check_expression(check: str, state: str, named: Iterable[tuple[str, str]]) -> str:
    if check == EVERY_CHECK:
        others = {other for other, of in named if of == state} - {EVERY_CHECK}
        chosen = f'check!~"{"|".join(sorted({*others, REACHABLE}))}"'
    else:
        chosen = f'check="{check}"'
    # 3 is UNKNOWN.
    return f"{CHECK_STATE}{{{chosen}}} >= {_STATES[state]} < {UNKNOWN_CHECK:g}"


def placeholders(text: str) -> frozenset[str]:
    """The names in braces in a summary or a remedy."""
    return frozenset(_PLACEHOLDER.findall(text))


def filled(text: str, values: Mapping[str, str]) -> str:
    """A summary or a remedy with its placeholders filled; what is not known is left out."""
    return " ".join(_PLACEHOLDER.sub(lambda found: values.get(found[1], ""), text).split())
