"""Dates and times in the many ways that SQLite's users keep them."""

from pathlib import Path
from typing import Final

from tests.support.hostile.case import Case, fill, sql, values


def _quoted(*each: str) -> str:
    return values(*(f"'{value}'" for value in each))


def _nanoseconds_at_the_end(path: Path) -> None:
    rows: list[tuple[object, ...]] = [(n, f"2024-01-01 00:00:{n % 60:02}") for n in range(3000)]
    rows.append((3000, "2024-01-01 00:00:00.123456789"))
    create = "create table t(id integer primary key, d datetime)"
    fill(path, create, "insert into t values(?,?)", rows)


CASES: Final = (
    sql(
        "iso_naive",
        "forms of ISO 8601 without a zone",
        "create table t(id integer primary key, d datetime)",
        "insert into t values "
        + _quoted(
            *("2024-01-31", "2024-01-31 10:20", "2024-01-31T10:20", "2024-01-31 10:20:30"),
            *("2024-01-31T10:20:30.5", "2024-01-31 10:20:30.123456", "2024-01-31 10:20:30.1200000"),
            *("0001-01-01", "9999-12-31 23:59:59.999999", "2024-02-29", "1582-10-10", "1969-12-31"),
        ),
    ),
    sql(
        "iso_zones",
        "zones are dropped, or applied the wrong way round",
        "create table t(id integer primary key, d datetime)",
        "insert into t values "
        + _quoted(
            *("2024-01-31T10:20:30Z", "2024-01-31 10:20z", "2024-01-31 10:20:30+05:30"),
            *("2024-01-31T10:20:30-0800", "2024-01-31 10:20:30 +02:00", "2024-01-31 10:20:30+02"),
            *("2024-01-31 10:20:30.25-00:00", "2024-06-30 10:20:30", "2024-03-31 02:30:00"),
            *("2024-01-31T10:20:30+14:00", "2024-01-31T10:20:30-12:00", "2024-01-31"),
        ),
    ),
    sql(
        "iso_zones_at_the_ends",
        "an instant that leaves the years 1 to 9999 in UTC",
        "create table t(id integer primary key, d datetime)",
        "insert into t values "
        + _quoted("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-10:00", "2024-01-01T00:00Z"),
    ),
    sql(
        "not_timestamps",
        "dates that do not exist, or in another order, are guessed at",
        "create table t(id integer primary key, d datetime)",
        "insert into t values "
        + _quoted(
            *("2024-02-30", "2023-02-29 10:00", "2024-01-01 24:00", "2016-12-31 23:59:60"),
            *("2024-1-5", "0000-01-01", "10000-01-01", "-0044-03-15", "01/02/2024", "now", ""),
            *("2024-W01-1", " 2024-01-01", "2024-01-01 ", "20240101", "2024-01-01  10:00"),
            *("2024-01-01T10", "2024-13-01", "2024-01-01 10:60", "2024-01-01 10:00:00,5"),
            *("Mon Jan  1 10:00:00 2024", "2024-01-01T10:00:00+25:00", "2024-01-01 10:00 CET"),
            *(
                "1704067200",
                "2024-01-01T10:00:00.",
                "infinity",
                "today",
                "\u0662\u0660\u0662\u0664-01-01",
            ),
        ),
        "insert into t values(90, x'00'),(91, '2024-01-01 10:00:00')",
    ),
    Case(
        "nanoseconds",
        "more digits than PostgreSQL has are rounded away, in one row of thousands",
        _nanoseconds_at_the_end,
    ),
    sql(
        "epochs",
        "the unit of a number is guessed wrongly: the year 54191, or 1970",
        "create table t(id integer primary key, s datetime, ms timestamp, us timestamp,"
        " f datetime, n datetime, z datetime)",
        "insert into t values(1,1704067200,1704067200123,1704067200123456,1704067200.25,-86400,0)",
        "insert into t values(2,0,0,0,0.5,-1,0)",
        "insert into t values(3,NULL,-1,-1,-1.5,-62135596800,NULL)",
    ),
    sql(
        "epoch_units_mixed",
        "seconds and milliseconds in one column",
        "create table t(id integer primary key, d datetime)",
        "insert into t values(1,1704067200),(2,1704067200123),(3,0)",
    ),
    sql(
        "epoch_beside_iso",
        "numbers and texts in one column",
        "create table t(id integer primary key, d datetime, e timestamp)",
        "insert into t values(1,1704067200,'2024-01-01 10:00'),"
        "(2,'2024-01-01 10:00',1704067200123),(3,'2024-01-01T10:00:00+01:00','2024-01-01')",
    ),
    sql(
        "epoch_beyond_the_years",
        "a number that is no year of four digits in any unit",
        "create table t(id integer primary key, d datetime)",
        "insert into t values(1,9223372036854775807),(2,1704067200123456),(3,-9223372036854775808)",
    ),
    sql(
        "julian_days",
        "Julian days become 1970",
        "create table t(id integer primary key, d datetime, e real)",
        "insert into t values(1,2460310.25,2460310.25),(2,2451545.123456789,2451545.0)",
    ),
    sql(
        "julian_days_at_noon",
        "SQLite stores the Julian day of noon as an integer, which then looks like seconds",
        "create table t(id integer primary key, d datetime)",
        "insert into t values(1,julianday('2024-01-01 12:00')),(2,julianday('2024-01-01 18:30')),"
        "(3,julianday('2024-01-02 06:00'))",
    ),
    sql(
        "julian_days_of_year_zero",
        "one value out of range changes the meaning of all others",
        "create table t(id integer primary key, d datetime)",
        "insert into t values(1,2460310.25),(2,1721100.25),(3,2460311.75)",
    ),
    sql(
        "dates",
        "a DATE column with midnights in other forms",
        "create table t(id integer primary key, a date, b date, c date, d date)",
        "insert into t values(1,'2024-01-31','2024-01-31 00:00:00',1704067200,'2024-01-31T00:00'),"
        "(2,'0001-01-01','2024-01-31T00:00:00.000',0,NULL),(3,'9999-12-31','2024-01-31',NULL,NULL)",
    ),
    sql(
        "dates_with_times",
        "the time of day in a DATE column is dropped",
        "create table t(id integer primary key, a date, b date, c date)",
        "insert into t values(1,'2024-01-31','2024-01-31',1704067200),"
        "(2,'2024-01-31 10:00','2024-01-31T10:00:00Z',1704067201)",
    ),
    sql(
        "not_dates",
        "almost dates",
        "create table t(id integer primary key, d date)",
        "insert into t values "
        + _quoted("2024-02-30", "2024-1-1", "31.01.2024", "", "0000-00-00", "2024-01", "2024"),
    ),
    sql(
        "times_of_day",
        "times that are written, and times that do not exist",
        "create table t(id integer primary key, tm time)",
        "insert into t values "
        + _quoted(
            *("10:00", "10:00:01", "10:00:00.123456", "00:00", "23:59:59.999999", "10:00:00.50"),
            *("24:00", "24:00:00", "23:59:60", "1:00", "10", "10:00 AM", "10:00+02:00", "25:00"),
            *("10:60", "", " 10:00", "10:00:00.1234567", "-10:00", "10:00:00."),
        ),
        "insert into t values(90,36000),(91,0.5),(92,NULL)",
    ),
    sql(
        "date_forms_are_one_key",
        "two texts that are two keys are the same date",
        "create table t(d date primary key, n int)",
        "insert into t values('2024-01-31',1),('2024-01-31 00:00:00',2)",
    ),
    sql(
        "timestamp_forms_are_one_key",
        "two texts are the same instant, and the key is a foreign one's target",
        "create table p(d datetime unique, n int)",
        "create table c(d datetime references p(d))",
        "insert into p values('2024-01-31 10:00',1),('2024-01-31T10:00:00',2)",
        "insert into c values('2024-01-31 10:00')",
    ),
    sql(
        "dates_as_text",
        "a TEXT column that holds dates stays what it is",
        "create table t(id integer primary key, d text)",
        "insert into t values(1,'2024-01-31 10:00'),(2,'2024-01-31T10:00:00Z'),(3,'soon')",
    ),
)
