"""The page of the rules, generated from `rules.toml`."""

import re
from typing import Final

from dbopsd.metrics.alerts.rules import EVERY_CHECK, Rule, RuleSet

_TARGETS: Final = re.compile(
    r" (?:by|on) \(job, instance, server(?:, ([^)]*))?\)(?: group_left \(\))?"
)


def markdown() -> str:
    """Every default rule: when it fires, how severe it is, and what to do."""
    lines = [
        "# Alert rules",
        "",
        "`make docs` generates this page from the program. [metrics.md](metrics.md#alerts) says",
        "how rules are judged and changed. *for*: how long the condition must hold.",
        "",
        "| rule | severity | for | fires when | what to do |",
        "|---|---|---|---|---|",
    ]
    rules = RuleSet.default().rules
    lines += [_row(rule) for _, rule in sorted(rules.items())]
    return "\n".join(lines) + "\n"


def _row(rule: Rule) -> str:
    asleep = f" (silent: {rule.dormant})" if rule.dormant else ""
    cells = (
        f"`{rule.name}`",
        rule.severity.word,
        f"{rule.for_s:g} s" if rule.for_s else "at once",
        _condition(rule) + asleep,
        rule.remedy,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _condition(rule: Rule) -> str:
    if rule.check:
        which = (
            "a health check without a rule of its own"
            if rule.check == EVERY_CHECK
            else f"the health check `{rule.check}`"
        )
        state = "DEGRADED or worse" if rule.state == "degraded" else "UNHEALTHY"
        return f"{which} is {state}"
    # By what Prometheus tells targets apart is noise here.
    return f"`{_TARGETS.sub(_shortened, rule.text)}`"


def _shortened(found: re.Match[str]) -> str:
    return f" by ({found[1]})" if found[1] else ""
