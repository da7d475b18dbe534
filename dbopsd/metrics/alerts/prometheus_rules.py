"""The rules in Prometheus's own format, from the same file that the daemon judges by."""

import json
from collections.abc import Iterable
from typing import Final

from dbopsd.metrics.alerts.rules import Rule, placeholders

_GROUP: Final = "dbopsd"
_HEAD: Final = """\
# Written by `dbopsd export prometheus-rules`: change the daemon's configuration and write it anew.
# Prometheus 2.42 or newer.
groups:
  - name: {group}
    rules:
"""
_HUMANIZED: Final = {"s": "humanizeDuration", "By": "humanize1024", "1": "humanizePercentage"}


def prometheus_rules(rules: Iterable[Rule]) -> str:
    """A rules file, YAML, which `promtool check rules` passes.

    A firing alert is kept for a rule's `keep_s`; that it resolves at another threshold than it
    fires at is the daemon's alone, for Prometheus knows no such thing.
    """
    return _HEAD.format(group=_GROUP) + "".join(map(_rule, rules))


def _rule(rule: Rule) -> str:
    lines = [f"      - alert: {rule.name}", f"        expr: {_quoted(rule.text)}"]
    if rule.dormant:
        lines.insert(0, f"      # It cannot fire yet: {rule.dormant}.")
    if rule.for_s:
        lines.append(f"        for: {_duration(rule.for_s)}")
    if rule.keep_s:
        lines.append(f"        keep_firing_for: {_duration(rule.keep_s)}")
    lines += [
        "        labels:",
        f"          severity: {rule.severity.word}",
        "        annotations:",
        f"          summary: {_quoted(_template(rule, rule.summary))}",
        f"          remedy: {_quoted(_template(rule, rule.remedy))}",
    ]
    return "\n".join(lines) + "\n"


def _template(rule: Rule, text: str) -> str:
    """A summary or a remedy with Prometheus's placeholders."""
    for name in placeholders(text):
        match name:
            case "value":
                how = _HUMANIZED.get(rule.unit, "humanize")
                filled = f"{{{{ $value | {how} }}}}"
            case "message":
                filled = ""
            case _:
                filled = f"{{{{ $labels.{name} }}}}"
        text = text.replace(f"{{{name}}}", filled)
    return text


def _quoted(text: str) -> str:
    # A JSON text is a YAML one.
    return json.dumps(text, ensure_ascii=False)


def _duration(seconds: float) -> str:
    whole = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}ms"
