"""The documented mapping of declared types, and of the values that decide where none is known."""

from collections.abc import Iterable
from typing import Final

from tests.support.judging.overrides import Overrides
from tests.support.judging.source import Source
from tests.support.judging.values import Bad, PgType, Text, Value, expected, is_decimal, moment_of

_FAMILIES: Final = {
    "boolean": "BOOL BOOLEAN",
    "small": "SMALLINT INT2 TINYINT",
    "bigint": "INT INTEGER MEDIUMINT INT4 INT8 BIGINT",
    "double precision": "REAL DOUBLE FLOAT",
    "numeric": "NUMERIC DECIMAL NUMBER MONEY",
    "text": "TEXT CLOB CHAR VARCHAR CHARACTER NCHAR NVARCHAR STRING LONGTEXT MEDIUMTEXT TINYTEXT",
    "bytea": "BLOB BYTEA BINARY VARBINARY LONGBLOB MEDIUMBLOB TINYBLOB IMAGE",
    "date": "DATE",
    "timestamp": "DATETIME TIMESTAMP TIMESTAMPTZ",
    "time": "TIME",
    "json": "JSON",
    "jsonb": "JSONB",
    "uuid": "UUID GUID UNIQUEIDENTIFIER",
}
_FAMILY: Final = {
    **{name: family for family, names in _FAMILIES.items() for name in names.split()},
    "UNSIGNED BIG INT": "bigint",
    "DOUBLE PRECISION": "double precision",
    "VARYING CHARACTER": "text",
    "NATIVE CHARACTER": "text",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
}
_JULIAN: Final = (1721059.5, 5373484.5)
_ZONED: Final = "timestamp with time zone"
_NAIVE: Final = "timestamp without time zone"
_SHOWN: Final = {
    "varchar": "character varying",
    "timestamptz": _ZONED,
    "timestamp": _NAIVE,
    "time": "time without time zone",
}


def split(declared: str) -> tuple[str, tuple[int, ...]]:
    """`DECIMAL(10, 2)` as its name in capitals and its arguments."""
    name, _, rest = declared.partition("(")
    inside, _, after = rest.partition(")")
    parts = [part.strip() for part in inside.split(",")]
    numbers = tuple(map(int, parts)) if inside and all(map(str.isdigit, parts)) else ()
    return " ".join(f"{name} {after}".upper().split()), numbers


def column_types(source: Source, overrides: Overrides) -> dict[tuple[str, str], PgType]:
    """The type of every column by the documentation, those tied by foreign keys included."""
    types: dict[tuple[str, str], PgType] = {}
    for table in source.tables.values():
        for place, column in enumerate(table.columns):
            values = [row[place] for row in table.rows if row[place] is not None]
            override = overrides.table(table.name).column(column.name)
            decided = _decide(column.declared, values)
            if table.rowid_alias == column.name:
                decided = PgType("bigint")
            if override.type:
                name, bracket, rest = override.type.partition("(")
                shown = _SHOWN.get(name, name) + bracket + rest
                decided = PgType(shown, override.unit or decided.unit or _unit(values))
            elif override.unit:
                decided = PgType(decided.shown, override.unit)
            types[table.name, column.name] = decided
    return _tied(source, types)


def affinity(declared: str) -> str:
    """SQLite's five rules, in their order."""
    upper = declared.upper()
    for parts, name in (
        (("INT",), "INTEGER"),
        (("CHAR", "CLOB", "TEXT"), "TEXT"),
        (("BLOB",), "BLOB"),
        (("REAL", "FLOA", "DOUB"), "REAL"),
    ):
        if any(part in upper for part in parts):
            return name
    return "NUMERIC" if declared else "BLOB"


def known_family(declared: str) -> str | None:
    """The family of a well-known name; a known beginning counts, as `VARCHAR(9) BINARY` has."""
    words = split(declared)[0].split()
    for length in range(len(words), 0, -1):
        if (family := _FAMILY.get(" ".join(words[:length]))) is not None:
            return family
    return None


def _decide(declared: str, values: list[Value]) -> PgType:
    family = known_family(declared)
    if family is None:
        return _by_values(declared, values)
    if family == "small":
        integers = [value for value in values if isinstance(value, int)]
        for name, bits in (("smallint", 15), ("integer", 31)):
            if all(-(2**bits) <= value < 2**bits for value in integers):
                return PgType(name)
        return PgType("bigint")
    if family == "numeric":
        return _numeric(split(declared)[1], values)
    if family == "date":
        unit = _unit(values)
        return _moments(declared, values) if _times_of_day(values, unit) else PgType("date", unit)
    if family == "timestamp":
        return _moments(declared, values)
    return PgType(_SHOWN.get(family, family))


def _numeric(arguments: tuple[int, ...], values: list[Value]) -> PgType:
    precision, scale = (*arguments, 0, 0)[:2]
    if not 1 <= precision <= 1000 or scale > precision:
        return PgType("numeric")
    narrow = PgType(f"numeric({precision},{scale})")
    numbers = [
        value
        for value in values
        if isinstance(value, int | float) or (isinstance(value, Text) and is_decimal(value))
    ]
    fit = not any(isinstance(expected(each, narrow, lambda *_: True), Bad) for each in numbers)
    return narrow if fit else PgType("numeric")


def _moments(declared: str, values: list[Value]) -> PgType:
    numbers = any(isinstance(value, int | float) for value in values)
    moments = [moment_of(value) for value in values if isinstance(value, Text)]
    says_so = "TIME ZONE" in declared.upper() or "TIMESTAMPTZ" in declared.upper()
    zoned = numbers or says_so or any(moment.zoned for moment in moments if moment)
    return PgType(_ZONED if zoned else _NAIVE, _unit(values))


def _times_of_day(values: list[Value], unit: str) -> bool:
    for value in values:
        if isinstance(value, Text):
            moment = moment_of(value)
            if moment and (moment.zoned or not moment.midnight):
                return True
        elif isinstance(value, int | float):
            made = expected(value, PgType(_ZONED, unit), lambda *_: True)
            if not isinstance(made, Bad) and made % 86_400_000_000:
                return True
    return False


def _unit(values: Iterable[Value]) -> str:
    numbers = [value for value in values if isinstance(value, int | float)]
    integers = [value for value in numbers if isinstance(value, int)]
    if not numbers:
        return ""
    # SQLite stores the Julian day of noon as an integer, in a column of NUMERIC affinity.
    if len(numbers) > len(integers) and all(_JULIAN[0] <= each < _JULIAN[1] for each in numbers):
        return "julian"
    if not integers:
        return "s"
    largest = max(map(abs, integers))
    return "s" if largest < 10**11 else "ms" if largest < 10**14 else "us"


def _by_values(declared: str, values: list[Value]) -> PgType:
    classes = {type(value) for value in values}
    if not values:
        empty = {"INTEGER": "bigint", "REAL": "double precision", "NUMERIC": "numeric"}
        bytes_or_text = "bytea" if affinity(declared) == "BLOB" and declared else "text"
        return PgType(empty.get(affinity(declared), bytes_or_text))
    if bytes in classes:
        return PgType("bytea")
    if Text in classes:
        return PgType("text")
    if float not in classes:
        return PgType("bigint")
    exact = all(abs(value) <= 2**53 for value in values if isinstance(value, int))
    return PgType("double precision" if exact else "numeric")


def tied_groups(source: Source) -> list[set[tuple[str, str]]]:
    """Columns that foreign keys tie together, directly or by others."""
    groups: list[set[tuple[str, str]]] = []
    for table in source.tables.values():
        for reference in table.references:
            parent = source.find(reference.to)
            columns = [parent.column(to) if parent and to else None for _, to in reference.pairs]
            if parent is None or None in columns:
                continue
            for (mine, _), other in zip(reference.pairs, columns, strict=True):
                own = table.column(mine)
                assert own is not None
                assert other is not None
                merged = {(table.name, own.name), (parent.name, other.name)}
                for group in [each for each in groups if each & merged]:
                    merged |= group
                    groups.remove(group)
                groups.append(merged)
    return groups


def _tied(source: Source, types: dict[tuple[str, str], PgType]) -> dict[tuple[str, str], PgType]:
    fixed = {(table.name, table.rowid_alias) for table in source.tables.values()}
    made = dict(types)
    for group in tied_groups(source):
        common = _widest({types[key].name for key in group})
        whole = common in ("smallint", "integer", "bigint")
        if common and (whole or not group & fixed):
            made.update(dict.fromkeys(group, PgType(common)))
    return made


def _widest(names: set[str]) -> str | None:
    if len(names) == 1:
        return None
    whole = ["smallint", "integer", "bigint"]
    if names <= set(whole):
        return max(names, key=whole.index)
    if names <= {*whole, "double precision", "numeric"}:
        return "numeric"
    for wide in ("bytea", "text"):
        if wide in names:
            return wide
    return None
