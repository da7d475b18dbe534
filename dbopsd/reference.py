"""The configuration reference, generated from the models and the checks."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from dbopsd.config import ENV_PREFIX, sections
from dbopsd.health.check import load_checks
from dbopsd.health.prober import PROBER_CHECKS


def markdown() -> str:
    """Every key with its default and meaning, and every check with its thresholds."""
    return "\n".join([*_keys(), *_checks()]) + "\n"


def _keys() -> Iterator[str]:
    yield "# Configuration"
    yield ""
    yield "`make docs` generates this page from the program. The configuration is one TOML file,"
    yield "named by `--config` or `DBOPSD_CONFIG`. An environment variable overrides a key; a whole"
    yield "table is JSON. Units of sizes are `kB`, `MB`, `GB`, `TB` and `KiB`, `MiB`, `GiB`, `TiB`."
    tables = {path for _, path in sections()}
    for model, path in sections():
        yield ""
        yield f"## `[{path}]`"
        yield ""
        about = _fold(model.__doc__).partition(": ")[2]
        yield about[0].upper() + about[1:]
        yield ""
        yield "| key | default | meaning |"
        yield "|---|---|---|"
        texts = key_texts(model)
        for name, field in model.model_fields.items():
            if f"{path}.{name}" in tables:
                continue
            meaning = _fold(texts[name]) + _choices(field.annotation)
            yield f"| `{field.alias or name}` | {_default(field)} | {meaning} |"
        several = path.startswith("[")
        variable = f"{ENV_PREFIX}{path.strip('[]').replace('.', '__')}".upper()
        variable = variable.replace("NAME", "name").replace("CHECK", "check")
        yield ""
        yield f"In the environment: `{variable}{'`, as a list in JSON' if several else '__…`'}."


def key_texts(model: type[BaseModel]) -> dict[str, str]:
    """The text under each key of the section.

    Pydantic's `use_attribute_docstrings` would read the sources at every start of a process.
    """
    texts = {}
    for owner in reversed(model.__mro__):
        if not owner.__module__.startswith("dbopsd."):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        for key, text in pairwise(ast.iter_child_nodes(definition)):
            match key, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(meaning))),
                ):
                    texts[name] = meaning
    return texts


def _checks() -> Iterator[str]:
    yield ""
    yield "## Checks and their thresholds"
    yield ""
    yield "| check | measures | unit | warning | critical | every |"
    yield "|---|---|---|---|---|---|"
    for check in (*PROBER_CHECKS, *load_checks()):
        warning, critical = check.thresholds.warning, check.thresholds.critical
        yield (
            f"| `{check.name}` | {check.about} | `{check.unit}` | {_number(warning)} "
            f"| {_number(critical)} | {check.every_s:g} s |"
        )


def _choices(annotation: object) -> str:
    if get_origin(annotation) is not Literal:
        return ""
    return f" One of {', '.join(f'`{choice}`' for choice in get_args(annotation))}."


def _default(field: object) -> str:
    default = getattr(field, "default", PydanticUndefined)
    if default is PydanticUndefined:
        factory = getattr(field, "default_factory", None)
        if factory is dict:
            return "none"
        return "see text" if factory is not None else "required"
    if default is None:
        return "unset"
    if isinstance(default, bool | tuple):
        default = json.dumps(default)
    return f"`{default}`"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,g}" if value < 1e6 else f"{value:,.0f}"


def _fold(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
