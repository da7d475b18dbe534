"""SQLite's date and time functions: https://sqlite.org/lang_datefunc.html.

They show a moment as a text or a number. Here it is a timestamp without time zone, of UTC's clock.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dbopsd.db.identifiers import literal
from dbopsd.migrate.importer.conversion.instants import read_timestamp
from dbopsd.migrate.importer.translate.budget import join
from dbopsd.migrate.importer.translate.convert import padded
from dbopsd.migrate.importer.translate.types import (
    MOMENTS,
    Clock,
    Kind,
    NotTranslatable,
    ShownMoment,
    Typed,
    text,
)

NOW: Final = "(pg_catalog.now() AT TIME ZONE 'utc')"
_FORMATS: Final = {"date": "%Y-%m-%d", "time": "%H:%M:%S", "datetime": "%Y-%m-%d %H:%M:%S"}
_CLOCKS: Final = {
    "%Y-%m-%d": (Clock.DATE, "day"),
    "%Y-%m-%d %H:%M:%S": (Clock.SECONDS, "second"),
    "%H:%M:%S": (Clock.TIME, "second"),
}
_FIELDS: Final = {
    "%Y": ("year", 4, "YYYY"),
    "%m": ("month", 2, "MM"),
    "%d": ("day", 2, "DD"),
    "%H": ("hour", 2, "HH24"),
    "%M": ("minute", 2, "MI"),
    "%S": ("second", 2, "SS"),
    "%j": ("doy", 3, "DDD"),
    "%w": ("dow", 1, ""),
}
_SHIFT: Final = re.compile(r"([+-]?)(\d{1,9}) (second|minute|hour|day|month|year)s?")
_START: Final = re.compile(r"start of (day|month|year)")
_WORD: Final = re.compile(r"%.|[^%]+", re.DOTALL)
# https://sqlite.org/src/file/src/date.c: a moment is milliseconds since the first Julian day.
_EPOCH_MS: Final = 210_866_760_000_000
_DAY_MS: Final = "86400000"
# The first day of a month before all times that SQLite has.
_FIRST: Final = "'4713-01-01 00:00:00 BC'::pg_catalog.timestamp"


@dataclass(frozen=True)
class _Moment:
    sql: str
    fine: bool = False
    """Whether it may have microseconds, which SQLite rounds once it calculates."""
    now: bool = False

    def calculated(self) -> str:
        """As SQLite has it once it calculates: to the nearest millisecond."""
        if not self.fine:
            return self.sql
        half = "'500 microseconds'::pg_catalog.interval"
        return f"pg_catalog.date_trunc('milliseconds', {self.sql} + {half})"


def translate_date(name: str, arguments: Sequence[Typed], *, immutable: bool) -> Typed:
    """date, time, datetime, strftime, unixepoch or julianday. Raises `NotTranslatable`."""
    arguments = list(arguments)
    shape = _FORMATS.get(name, "")
    if name == "strftime":
        if not arguments or not isinstance(arguments[0].constant, str):
            raise NotTranslatable("strftime()", "its format is no literal")
        shape = arguments.pop(0).constant  # type: ignore[assignment]
    moment = _moment(name, arguments)
    if moment.now and immutable:
        raise NotTranslatable(
            f"{name}()", "the time of today may not be in an expression like this"
        )
    if name == "julianday":
        return _julian_day(moment)
    if name == "unixepoch":
        return _seconds(moment)
    return _show(shape, moment, immutable=immutable)


def _moment(name: str, arguments: list[Typed]) -> _Moment:
    what = f"{name}()"
    modifiers = []
    for argument in arguments[1:]:
        if not isinstance(argument.constant, str):
            raise NotTranslatable(what, "a modifier is no literal")
        modifiers.append(" ".join(argument.constant.lower().split()))
    moment = _source(what, arguments[0], modifiers) if arguments else _Moment(NOW, now=True)
    if modifiers:
        moment = replace(moment, sql=moment.calculated(), fine=False)
    for modifier in modifiers:
        moment = replace(moment, sql=_modified(what, moment.sql, modifier))
    return moment


def _source(what: str, value: Typed, modifiers: list[str]) -> _Moment:
    """The moment that the first argument is. Takes the modifier that tells how from `modifiers`."""
    from_epoch = modifiers[:1] in (["unixepoch"], ["auto"])
    if isinstance(value.constant, str):
        if value.constant.lower() == "now":
            return _Moment(NOW, now=True)
        found = read_timestamp(value.constant.encode())
        if found is not None and found.exact and found.offset_us is None:
            return _Moment(
                f"{text(value.constant).sql}::pg_catalog.timestamp", fine="." in value.constant
            )
    shown = value.moment
    known = shown is not None and shown.clock is not Clock.TIME
    if shown is not None and known and (shown.clock is Clock.EPOCH) == from_epoch:
        del modifiers[: int(from_epoch)]
        return _Moment(shown.sql, now=NOW in shown.sql)
    if value.kind in MOMENTS and value.column:
        if not value.unit and not from_epoch:
            return _of_text(value)
        counted = {"s": from_epoch, "julian": not modifiers or modifiers[0] != "unixepoch"}
        if counted.get(value.unit) and value.storage_class in {"integer", "real"}:
            del modifiers[: int(from_epoch)]
            sql = value.sql if value.kind is Kind.TIMESTAMP else _in_utc(value.sql)
            if value.kind is not Kind.DATE:
                return _Moment(sql, fine=value.storage_class == "real")
    raise NotTranslatable(f"{what} of {value.sql}", f"a {value.kind.value} may be read otherwise")


def _of_text(value: Typed) -> _Moment:
    if value.kind is Kind.DATE:
        return _Moment(f"{value.sql}::pg_catalog.timestamp")
    if value.kind is Kind.TIMESTAMP:
        return _Moment(value.sql, fine=True)
    # To bring a time into UTC is a calculation for SQLite.
    return _Moment(_Moment(_in_utc(value.sql), fine=True).calculated())


def _in_utc(sql: str) -> str:
    return f"({sql} AT TIME ZONE 'UTC')"


def _modified(what: str, sql: str, modifier: str) -> str:
    if found := _START.fullmatch(modifier):
        return f"pg_catalog.date_trunc('{found[1]}', {sql})"
    shift = _SHIFT.fullmatch(modifier)
    if shift is None:
        raise NotTranslatable(what, f"its modifier '{modifier}' is not known here")
    sign, count, unit = shift.groups()
    interval = f"'{sign}{int(count)} {unit}'::pg_catalog.interval"
    if unit in {"month", "year"}:
        # The day of the month stays: 31 January and a month is 3 March, and not 28 February. So
        # years and months are counted from the first of a month on, and then days are added.
        return f"({_FIRST} + (pg_catalog.age({sql}, {_FIRST}) + {interval}))"
    return f"({sql} + {interval})"


def _julian_day(moment: _Moment) -> Typed:
    since = f"pg_catalog.floor(extract(epoch FROM {moment.calculated()}) * 1000) + {_EPOCH_MS}"
    sql = f"(({since})::pg_catalog.float8 / {_DAY_MS}::pg_catalog.float8)"
    return Typed(sql, Kind.DOUBLE, nonnegative=True)


def _seconds(moment: _Moment) -> Typed:
    sql = f"pg_catalog.floor(extract(epoch FROM {moment.calculated()}))::pg_catalog.int8"
    shown = ShownMoment(f"pg_catalog.date_trunc('second', {moment.calculated()})", Clock.EPOCH)
    return Typed(sql, Kind.INTEGER, "bigint", nonnegative=moment.now, moment=shown)


def _show(shape: str, moment: _Moment, *, immutable: bool) -> Typed:
    words = _WORD.findall(shape)
    for word in words:
        if word.startswith("%") and word not in {*_FIELDS, "%%", "%s"}:
            raise NotTranslatable(f"'{word}' in a time's format", "it is not known here")
    if shape == "%s":
        seconds = _seconds(moment)
        return replace(
            seconds, sql=f"{seconds.sql}::pg_catalog.text", kind=Kind.TEXT, digits=moment.now
        )
    clock = _CLOCKS.get(shape)
    shown = None
    if clock is not None:
        shown = ShownMoment(f"pg_catalog.date_trunc('{clock[1]}', {moment.sql})", clock[0])
    digits = bool(words) and all(word in _FIELDS for word in words)
    template = None if immutable else _template(words)
    if template is not None:
        bare = moment.sql[1:-1] if moment.sql == NOW else moment.sql
        sql = f"pg_catalog.to_char({bare}, {template})"
    else:
        sql = f"({join(' || ', (_piece(word, moment) for word in words or ['']))})"
    return Typed(sql, Kind.TEXT, digits=digits, moment=shown)


def _template(words: list[str]) -> str | None:
    """What to_char takes; None: there is something that it does not have."""
    parts = []
    for word in words:
        if word in _FIELDS and word != "%w":
            parts.append(_FIELDS[word][2])
        elif word.startswith("%") or '"' in word or "\\" in word:
            return None
        else:
            parts.append(f'"{word}"' if any(map(str.isalnum, word)) else word)
    return literal("".join(parts)).strip()


def _piece(word: str, moment: _Moment) -> str:
    if word == "%s":
        return f"{_seconds(moment).sql}::pg_catalog.text"
    if word in _FIELDS:
        field, digits, _ = _FIELDS[word]
        # The day of the week is calculated, the others are what was written.
        return padded(field, moment.calculated() if word == "%w" else moment.sql, digits)
    return text(word.replace("%%", "%")).sql
