"""The mapping: TOML that overrides a plan, such as `[tables.NAME.columns.COLUMN]`."""

import re
import tomllib
from typing import Annotated, Final, Literal, TypeVar

import tomlkit
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from tomlkit.items import Table

from dbopsd.migrate.importer.model.errors import InvalidMapping
from dbopsd.migrate.importer.model.plan import BadValue, Plan, PlannedColumn

ValueT = TypeVar("ValueT")

_WRITTEN_TYPE: Final = re.compile(r"([a-z][a-z0-9 ]*?)\s*(\(\s*\d{1,4}\s*(?:,\s*\d{1,4}\s*)?\))?")

# PostgreSQL's names of types by those that people use, each with the conversion that makes it.
_TYPES: Final = {
    **dict.fromkeys(("boolean", "bool"), ("boolean", "boolean")),
    **dict.fromkeys(("smallint", "int2"), ("smallint", "integer")),
    **dict.fromkeys(("integer", "int", "int4"), ("integer", "integer")),
    **dict.fromkeys(("bigint", "int8"), ("bigint", "integer")),
    **dict.fromkeys(("double precision", "float8", "float"), ("double precision", "double")),
    **dict.fromkeys(("real", "float4"), ("real", "double")),
    **dict.fromkeys(("numeric", "decimal"), ("numeric", "numeric")),
    "text": ("text", "text"),
    **dict.fromkeys(("varchar", "character varying"), ("character varying", "text")),
    "bytea": ("bytea", "bytes"),
    "date": ("date", "date"),
    **dict.fromkeys(
        ("timestamp", "timestamp without time zone"), ("timestamp without time zone", "timestamp")
    ),
    **dict.fromkeys(
        ("timestamptz", "timestamp with time zone"), ("timestamp with time zone", "timestamptz")
    ),
    **dict.fromkeys(("time", "time without time zone"), ("time without time zone", "time")),
    "json": ("json", "json"),
    "jsonb": ("jsonb", "jsonb"),
    "uuid": ("uuid", "uuid"),
}
_WITH_ARGUMENTS: Final = ("numeric", "character varying")


def known_type(written: str) -> tuple[str, str]:
    """PostgreSQL's name of a type and the conversion to it. Raises ValueError."""
    match = _WRITTEN_TYPE.fullmatch(" ".join(written.lower().split()))
    if match is None or match[1] not in _TYPES:
        raise ValueError(f"'{written}' is none of {', '.join(sorted(_TYPES))}")
    name, conversion = _TYPES[match[1]]
    arguments = (match[2] or "").replace(" ", "")
    if arguments and name not in _WITH_ARGUMENTS:
        raise ValueError(f"'{written}' has arguments, which {name} does not take here")
    return name + arguments, conversion


def _checked_type(written: str) -> str:
    return known_type(written)[0]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnMapping(_Strict):
    """The overrides of one column. The plan decides what is unset."""

    skip: bool = False
    rename: Annotated[str, Field(min_length=1)] | None = None
    type: Annotated[str, AfterValidator(_checked_type)] | None = None
    unit: Literal["s", "ms", "us", "julian"] | None = None
    expression: str | None = None
    on_bad: BadValue = BadValue.REJECT
    value_map: dict[str, str | Literal[False]] = Field(default_factory=dict)
    """Text of a value to the text in its place; false: NULL, which TOML does not have."""

    @property
    def values(self) -> dict[str, str | None]:
        """The `value_map` with NULL as None."""
        return {key: value if value is not False else None for key, value in self.value_map.items()}


class TableMapping(_Strict):
    """The overrides of one table."""

    skip: bool = False
    rename: Annotated[str, Field(min_length=1)] | None = None
    where: str = ""
    columns: dict[str, ColumnMapping] = Field(default_factory=dict)

    def column(self, name: str) -> ColumnMapping:
        """The overrides of the column, whatever the case of its name."""
        return _in_any_case(self.columns, name) or ColumnMapping()


class Mapping(_Strict):
    """The overrides of a plan."""

    tables: dict[str, TableMapping] = Field(default_factory=dict)

    def table(self, name: str) -> TableMapping:
        """The overrides of the table, whatever the case of its name."""
        return _in_any_case(self.tables, name) or TableMapping()


def read_mapping(text: str) -> Mapping:
    """A mapping from TOML. Raises `InvalidMapping`."""
    try:
        return Mapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidMapping("", f"is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        problem = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            problem = "is not a key that a mapping has"
        raise InvalidMapping(".".join(map(str, first["loc"])), problem) from None


def write_mapping(plan: Plan) -> str:
    """A mapping that results in the same plan again, with the evidence in comments."""
    document = tomlkit.document()
    tables = tomlkit.table(is_super_table=True)
    for table in plan.tables:
        columns = tomlkit.table(is_super_table=True)
        for column in table.columns:
            columns.append(column.source, _written(column))
        entry = tomlkit.table(is_super_table=False)
        entry.comment(f"{table.rows:,} rows")
        if table.target != table.source:
            entry.append("rename", table.target)
        if table.where:
            entry.append("where", table.where)
        entry.append("columns", columns)
        tables.append(table.source, entry)
    document.append("tables", tables)
    return tomlkit.dumps(document)


def _written(column: PlannedColumn) -> Table:
    entry = tomlkit.table()
    # What is declared may have line breaks, and what no comment in TOML can have.
    evidence = "".join(each if each.isprintable() else " " for each in column.evidence)
    entry.comment(" ".join(evidence.split()))
    if column.target != column.source:
        entry.append("rename", column.target)
    entry.append("type", column.type)
    if column.unit:
        entry.append("unit", column.unit)
    if column.expression:
        entry.append("expression", column.expression)
    if column.on_bad is not BadValue.REJECT:
        entry.append("on_bad", column.on_bad.value)
    if column.value_map:
        values = tomlkit.table()
        for key, value in column.value_map.items():
            values.append(key, False if value is None else value)
        entry.append("value_map", values)
    return entry


def _in_any_case(table: dict[str, ValueT], name: str) -> ValueT | None:
    if name in table:
        return table[name]
    folded = {key.lower(): value for key, value in table.items()}
    return folded.get(name.lower())
