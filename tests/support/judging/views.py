"""The judge of views: they show the same rows, or are named in the report."""

import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg

from tests.support.judging import target
from tests.support.judging.objects import Judged
from tests.support.judging.source import quoted
from tests.support.judging.values import Bad, Oracle, PgType, Value, arrived, expected, known


def judge_views(judged: Judged, schema: str, oracle: Oracle) -> Iterator[str]:
    """Each view of the file."""
    there = target.relations(judged.connection, schema)
    for view in judged.source.views:
        told = judged.report.about("view", name=view)
        excused = any(each.excused for each in told)
        if there.get(view) != "v":
            if not excused:
                yield f"the view {view} is lost"
            continue
        yield from (
            f"view {view}: {each}" for each in _judge(judged, schema, view, oracle, excused)
        )


def _judge(judged: Judged, schema: str, view: str, oracle: Oracle, excused: bool) -> Iterator[str]:
    described = judged.connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 ORDER BY attnum",
        (f"{quoted(schema)}.{quoted(view)}",),
    ).fetchall()
    names = [name for name, _ in described]
    types = [PgType(shown, "s") for _, shown in described]
    try:
        cursor = judged.source.connection.execute(f"SELECT * FROM {quoted(view)}")
        rows = cursor.fetchall()
    except sqlite3.Error as error:
        yield f"it is broken in SQLite ({error}), and there in PostgreSQL"
        return
    columns = [
        each[0].decode() if isinstance(each[0], bytes) else each[0] for each in cursor.description
    ]
    if columns != names and not excused:
        yield f"its columns are {names} instead of {columns}"
        return
    if not judged.whole:
        return
    if unknown := [each.shown for each in types if not known(each)]:
        yield f"the judge does not know {unknown}"
        return
    shown = ", ".join(f"{quoted(name)}::text" for name in names)
    try:
        found = target.query(
            judged.connection, f"SELECT {shown} FROM {quoted(schema)}.{quoted(view)}"
        )
    except psycopg.Error as error:
        yield f"it cannot be read: {error}"
        return
    here = Counter(
        tuple(_here(value, of, oracle) for value, of in zip(row, types, strict=True))
        for row in rows
    )
    both = Counter(
        tuple(_rounded(arrived(text, of), of) for text, of in zip(row, types, strict=True))
        for row in found
    )
    if here != both:
        yield f"only here {list(here - both)[:3]}, only there {list(both - here)[:3]}"


def _here(value: Value, of: PgType, oracle: Oracle) -> Any:
    """What a view's value is, in the type that PostgreSQL gives it."""
    made = expected(value, of, oracle)
    return f"{value!r} is no {of.name}" if isinstance(made, Bad) else _rounded(made, of)


def _rounded(made: Any, of: PgType) -> Any:
    """Sums and means may differ in their last digits."""
    if made is not None and of.name == "double precision":
        return format(struct.unpack("d", made)[0], ".12g")
    return format(made, ".12g") if isinstance(made, Decimal) else made
