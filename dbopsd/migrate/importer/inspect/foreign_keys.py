"""Resolves foreign keys: finds the tables and columns that they reference."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dbopsd.migrate.importer.model.source_schema import ForeignKey, SourceTable, folded


@dataclass
class DeclaredKey:
    """A foreign key as it was declared."""

    target: str
    on_update: str
    on_delete: str
    columns: list[str] = field(default_factory=list)
    target_columns: list[str] = field(default_factory=list)
    """Empty: the target's primary key is meant."""
    name: str | None = None
    deferred: bool = False


def resolve(
    tables: Iterable[SourceTable], others: Iterable[str], keys: Mapping[str, list[DeclaredKey]]
) -> tuple[SourceTable, ...]:
    """The tables with their foreign keys. `others` are the views and virtual tables there are."""
    by_name = {folded(table.name): table for table in tables}
    no_tables = {folded(name): name for name in others}
    return tuple(
        replace(
            table,
            foreign_keys=tuple(
                _resolved(key, by_name.get(folded(key.target)), no_tables.get(folded(key.target)))
                for key in keys.get(table.name, ())
            ),
        )
        for table in by_name.values()
    )


def _resolved(key: DeclaredKey, target: SourceTable | None, other: str | None) -> ForeignKey:
    columns, problem = _target_columns(key, target)
    if other is not None:
        problem = f"{other} is no ordinary table"
    return ForeignKey(
        columns=tuple(key.columns),
        target=target.name if target is not None else other or key.target,
        target_columns=columns,
        on_update=key.on_update,
        on_delete=key.on_delete,
        deferred=key.deferred,
        name=key.name,
        problem=problem,
    )


def _target_columns(
    key: DeclaredKey, target: SourceTable | None
) -> tuple[tuple[str, ...], str | None]:
    if target is None:
        return tuple(key.target_columns), f"there is no table {key.target}"
    if not key.target_columns:
        if not target.primary_key:
            return (), f"{target.name} has no primary key"
        if len(target.primary_key) != len(key.columns):
            count = len(target.primary_key)
            return target.primary_key, f"the primary key of {target.name} has {count} columns"
        return target.primary_key, None
    names = {folded(column.name): column.name for column in target.columns}
    for name in key.target_columns:
        if folded(name) not in names:
            return tuple(key.target_columns), f"{target.name} has no column {name}"
    columns = tuple(names[folded(name)] for name in key.target_columns)
    if not _is_unique(target, frozenset(columns)):
        listed = ", ".join(columns)
        return columns, f"nothing makes {listed} unique in {target.name}"
    return columns, None


def _is_unique(table: SourceTable, columns: frozenset[str]) -> bool:
    """Whether a foreign key may point there: https://sqlite.org/foreignkeys.html#fk_indexes."""
    if columns == frozenset(table.primary_key):
        return True
    return any(
        index.unique
        and index.where is None
        and frozenset(column.name for column in index.columns) == columns
        and all(
            column.name is not None and column.collation == table.column(column.name).collation
            for column in index.columns
        )
        for index in table.indexes
    )
