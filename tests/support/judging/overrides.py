"""What a mapping file asks for, as far as the judge follows it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ColumnOverride:
    """Of one column."""

    skip: bool = False
    rename: str = ""
    type: str = ""
    unit: str = ""
    expression: str = ""
    on_bad: str = "reject"
    value_map: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class TableOverride:
    """Of one table."""

    skip: bool = False
    rename: str = ""
    where: str = ""
    columns: Mapping[str, ColumnOverride] = field(default_factory=dict)

    def column(self, name: str) -> ColumnOverride:
        return self.columns.get(name, ColumnOverride())


@dataclass(frozen=True)
class Overrides:
    """A whole mapping; names are as the file has them."""

    tables: Mapping[str, TableOverride] = field(default_factory=dict)

    def table(self, name: str) -> TableOverride:
        return self.tables.get(name, TableOverride())


def read_overrides(toml: str) -> Overrides:
    """From the text of a mapping file; `false` in a value map is NULL."""
    tables = {}
    for name, table in tomllib.loads(toml).get("tables", {}).items():
        columns = {}
        for column, given in table.pop("columns", {}).items():
            value_map = {
                key: None if value is False else value
                for key, value in given.pop("value_map", {}).items()
            }
            columns[column] = ColumnOverride(**given, value_map=value_map)
        tables[name] = TableOverride(**table, columns=columns)
    return Overrides(tables)
