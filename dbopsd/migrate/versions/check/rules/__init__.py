"""The rules, one a file: a module here with a `RULE` is one."""

import importlib
import pkgutil
from functools import cache

from dbopsd.migrate.versions.check.rule import Rule


@cache
def all_rules() -> dict[str, Rule]:
    """Every rule, by its name."""
    modules = (importlib.import_module(f"{__name__}.{each.name}") for each in _modules())
    return {module.RULE.name: module.RULE for module in modules}


@cache
def rules_for(kind: str) -> tuple[Rule, ...]:
    """Those that look at statements of a kind."""
    return tuple(rule for rule in all_rules().values() if kind in rule.kinds)


def _modules() -> list[pkgutil.ModuleInfo]:
    return sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name)
