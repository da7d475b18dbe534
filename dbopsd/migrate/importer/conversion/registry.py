"""The conversions by name. To add one, write a class in its own file and add a line here."""

from collections.abc import Mapping
from typing import Final

from dbopsd.migrate.importer.conversion.base import Conversion
from dbopsd.migrate.importer.conversion.booleans import Boolean
from dbopsd.migrate.importer.conversion.byte_strings import Bytes
from dbopsd.migrate.importer.conversion.dates import Date
from dbopsd.migrate.importer.conversion.doubles import Double
from dbopsd.migrate.importer.conversion.integers import Integer
from dbopsd.migrate.importer.conversion.json_texts import Json, Jsonb
from dbopsd.migrate.importer.conversion.numerics import Numeric
from dbopsd.migrate.importer.conversion.texts import Strings
from dbopsd.migrate.importer.conversion.times import Time
from dbopsd.migrate.importer.conversion.timestamps import Timestamp, TimestampWithZone
from dbopsd.migrate.importer.conversion.uuids import Uuid

CONVERSIONS: Final[Mapping[str, type[Conversion]]] = {
    each.name: each
    for each in (
        Boolean,
        Integer,
        Double,
        Numeric,
        Strings,
        Bytes,
        Date,
        Timestamp,
        TimestampWithZone,
        Time,
        Json,
        Jsonb,
        Uuid,
    )
}
