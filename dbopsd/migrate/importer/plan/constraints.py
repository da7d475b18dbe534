"""Plan CHECKs and foreign keys."""

from collections.abc import Iterator, Mapping
from typing import Final

from dbopsd.migrate.importer.model.plan import Fate, PlannedObject
from dbopsd.migrate.importer.model.source_schema import CheckConstraint, ForeignKey
from dbopsd.migrate.importer.plan import ddl
from dbopsd.migrate.importer.plan.keys import TableContext, unique_columns
from dbopsd.migrate.importer.plan.names import Namespace
from dbopsd.migrate.importer.translate.translator import NotTranslatable

_MAX_SHOWN: Final = 80


def plan_checks(parts: TableContext, names: Namespace) -> Iterator[PlannedObject]:
    """The CHECKs of a table; `names` are those of its constraints."""
    for check in parts.source.checks:
        yield _check(parts, check, names)


def plan_foreign_keys(
    parts: TableContext, carried: Mapping[str, TableContext], names: Namespace
) -> Iterator[PlannedObject]:
    """The foreign keys of a table; `carried` are the tables that there will be, by their names."""
    for foreign in parts.source.foreign_keys:
        yield _foreign_key(parts, foreign, carried.get(foreign.target), names)


def _check(parts: TableContext, check: CheckConstraint, names: Namespace) -> PlannedObject:
    source, target = parts.source.name, parts.target
    text = " ".join(check.expression.split())
    cut = text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
    about = ("check", f"{source}: {check.name or cut}")
    try:
        condition = parts.translator.condition(check.expression)
    except NotTranslatable as why:
        return PlannedObject(*about, Fate.NOT_CARRIED, str(why), table=source)
    name, _ = names.take(check.name or f"{parts.planned.target}_check")
    return PlannedObject(
        *about,
        Fate.CARRIED,
        ddl=ddl.add_check(target, name, condition),
        table=source,
        validate=ddl.validate(target, name),
        violations=ddl.count_check_violations(target, condition),
    )


def _foreign_key(
    parts: TableContext, foreign: ForeignKey, to: TableContext | None, names: Namespace
) -> PlannedObject:
    source, planned = parts.source.name, parts.planned
    to_columns = f" ({', '.join(foreign.target_columns)})" if foreign.target_columns else ""
    about = (
        "foreign key",
        f"{source} ({', '.join(foreign.columns)}) → {foreign.target}{to_columns}",
    )
    problem = foreign.problem or _problem(parts, foreign, to)
    if problem or to is None:
        return PlannedObject(*about, Fate.NOT_CARRIED, problem, table=source)
    columns = [each.target for each in map(parts.column, foreign.columns) if each]
    targets = [each.target for each in map(to.column, foreign.target_columns) if each]
    name, _ = names.take(foreign.name or f"{planned.target}_{'_'.join(columns)}_fkey")
    return PlannedObject(
        *about,
        Fate.CARRIED,
        ddl=ddl.add_foreign_key(parts.target, name, columns, to.target, targets, _actions(foreign)),
        table=source,
        validate=ddl.validate(parts.target, name),
        violations=ddl.count_orphans(parts.target, columns, to.target, targets),
    )


def _problem(parts: TableContext, foreign: ForeignKey, to: TableContext | None) -> str:
    """Why PostgreSQL cannot have the foreign key; empty: it can."""
    if to is None:
        return f"table '{foreign.target}' is not carried"
    mine = [parts.column(name) for name in foreign.columns]
    others = [to.column(name) for name in foreign.target_columns]
    for one, other in zip(mine, others, strict=True):
        if one is None or other is None:
            return "a column of it is not carried"
        if one.type.partition("(")[0] != other.type.partition("(")[0]:
            return f"'{one.target}' is {one.type} and '{other.target}' is {other.type}"
    if frozenset(foreign.target_columns) not in unique_columns(to):
        return (
            f"nothing says that {', '.join(foreign.target_columns)} of '{to.source.name}' is unique"
        )
    return ""


def _actions(foreign: ForeignKey) -> str:
    actions = ""
    if foreign.on_update != "NO ACTION":
        actions += f" ON UPDATE {foreign.on_update}"
    if foreign.on_delete != "NO ACTION":
        actions += f" ON DELETE {foreign.on_delete}"
    return f"{actions} DEFERRABLE INITIALLY DEFERRED" if foreign.deferred else actions
