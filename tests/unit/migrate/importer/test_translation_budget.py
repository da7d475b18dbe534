"""A short text never becomes SQL without end, and nothing nests until Python gives up."""

import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbopsd.migrate.importer.model.plan import Fate
from dbopsd.migrate.importer.model.requests import IdentifierCase
from dbopsd.migrate.importer.model.source_schema import SourceView
from dbopsd.migrate.importer.plan.names import Namespace
from dbopsd.migrate.importer.plan.views import plan_views
from dbopsd.migrate.importer.translate.budget import MAX_SOURCE, FileBudget, join
from dbopsd.migrate.importer.translate.translator import (
    Column,
    NotTranslatable,
    Relation,
    Translator,
    translate_view,
)
from dbopsd.migrate.importer.translate.types import MAX_SQL, Kind, Typed
from tests.support.soak import Soak
from tests.support.sqliteexpressions import RandomExpressions

TYPES = {
    "n": "bigint",
    "r": "double precision",
    "p": "numeric",
    "s": "text",
    "b": "bytea",
    "flag": "boolean",
    "d": "date",
    "ts": "timestamp without time zone",
    "j": "json",
}
TRANSLATOR = Translator(TYPES, {name: name for name in TYPES})
RELATIONS = {"t": Relation('"public"."t"', {name: Column(name, TYPES[name]) for name in TYPES})}
MAX_BYTES = 24 * 2**20
"""What a translation may take beside what there is; that of four kilobytes takes a few."""


@contextmanager
def little_memory() -> Iterator[None]:
    """MemoryError if what runs inside takes more than a translation may."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def check_message(why: NotTranslatable) -> None:
    """What a report says of it is short, however long the SQL is."""
    assert len(why.message) < 500


def translated(source: str) -> str:
    """The condition; empty: it is refused. It is never much longer than its source."""
    try:
        made = TRANSLATOR.condition(source)
    except NotTranslatable as why:
        check_message(why)
        return ""
    assert len(made) <= min(MAX_SQL, 8192 + 64 * len(source))
    return made


# Each with what it nests in: the operand comes again in the translation, or in PostgreSQL's own.
NESTED = {
    "round": ("round(", "r", ")"),
    "round of a sum": ("round(", "r", " + 0.25)"),
    "max": ("max(", "n", ", 1)"),
    "min of four": ("min(", "s", ", 'a', 'b', s)"),
    "max of blobs": ("max(", "b", ", x'01')"),
    "between": ("(", "n", " BETWEEN 0 AND 9)"),
    "in": ("(", "n", " IN (n, 1))"),
    "in of two types": ("(", "n", " IN (1, 'x', 2.5))"),
    "case": ("CASE ", "n", " WHEN 1 THEN 2 WHEN n THEN 3 ELSE 4 END"),
    "case of two types": ("CASE ", "flag", " WHEN 1 THEN 2 WHEN 7 THEN 3 ELSE 4 END"),
    "nullif": ("nullif(", "s", " COLLATE NOCASE, 'x')"),
    "substr": ("substr(", "s", ", -5, 3)"),
    "printf": ("printf('%05d', length(", "s", "))"),
    "iif": ("iif(", "n", ", n, 1)"),
    "date": ("date(", "ts", ", '+1 month')"),
    "strftime": ("strftime('%Y-%m-%d %H:%M:%S', ", "ts", ", '+1 year')"),
    "concatenation": ("(", "s", " || s)"),
    "replace": ("replace(", "s", ", 'a', 'bb')"),
    "hex": ("hex(", "b", ")"),
    "parentheses": ("(", "n", ")"),
    "not": ("NOT ", "n", ""),
    "minus": ("- ", "n", ""),
    "query": ("(SELECT ", "n", ")"),
    "cast": ("CAST(", "n", " AS TEXT)"),
    "json": ("json_extract(", "j", ", '$.a')"),
}


@pytest.mark.parametrize("depth", [3, 14, 24, 60, 10_000])
@pytest.mark.parametrize("kind", NESTED)
def test_nested_in_itself(kind: str, depth: int) -> None:
    before, inner, after = NESTED[kind]
    with little_memory():
        translated(f"{before * depth}{inner}{after * depth}")


CHAINS = {
    "or": ("n", " OR n > {}"),
    "and": ("n", " AND n > {}"),
    "plus": ("n", " + {}"),
    "concatenation": ("s", " || 'x{}'"),
    "comparison": ("n", " < {}"),
    "is": ("n", " IS {}"),
    "like": ("s", " LIKE 'x{}'"),
    "collate": ("s", " COLLATE NOCASE"),
    "arrow": ("j", " ->> 'x{}'"),
}


@pytest.mark.parametrize("count", [10, 500, 3000])
@pytest.mark.parametrize("kind", CHAINS)
def test_chains(kind: str, count: int) -> None:
    first, more = CHAINS[kind]
    with little_memory():
        translated(first + "".join(more.format(number) for number in range(count)))


@pytest.mark.parametrize(
    "source",
    [
        "date(ts" + ", '+1 month'" * 2000 + ") = 'x'",
        "strftime('" + "%Y%w" * 5000 + "', ts" + ", '+1 month'" * 500 + ") = 'x'",
        "n IN (" + ", ".join(map(str, range(5000))) + ")",
        "(" * 10 + "n" + " BETWEEN 0 AND 9)" * 10 + " IN (" + "'x', 1, " * 3000 + "1)",
        "coalesce(" + ", ".join(["(((n BETWEEN 1 AND 2) BETWEEN 0 AND 1) IN (n, 1))"] * 99) + ")",
        "CASE " + f"WHEN {'(' * 13}n{' IN (n, 1))' * 13} THEN 1 " * 180 + "END",
        "CASE " + "WHEN ((n BETWEEN 1 AND 2) BETWEEN 0 AND 1) THEN 1 " * 500 + "END",
        "printf('" + "%0255d" * 90 + "'" + ", n" * 90 + ") = 'x'",
        "printf('%099999999999d', n) = 'x'",
        "length(zeroblob(1000000000)) > 1",
        "s GLOB '" + "[" * 20_000 + "'",
        "s = '" + "x" * MAX_SOURCE + "'",
        "n > " + "9" * 20_000,
        "n > -" + "9" * 5000 + "." + "9" * 5000,
        "n > 1e" + "9" * 5000,
        "n IN (SELECT 1" + " UNION SELECT 1" * 1000 + ")",
    ],
    ids=range(16),
)
def test_much_of_one_thing(source: str) -> None:
    with little_memory():
        translated(source)


def test_what_has_a_sane_size_is_carried() -> None:
    """Each operand stands in it once, where PostgreSQL has a way to say that."""
    assert translated("round(" * 14 + "r" + ")" * 14 + " > 0").count('"r"') == 1
    assert translated("max(" * 24 + "n" + ", 1)" * 24 + " > 0").count('"n"') == 1
    assert translated("min(" * 24 + "b" + ", x'01')" * 24 + " > x'00'").count('"b"') == 1
    assert translated("date(ts" + ", '+1 month'" * 12 + ") = '2024-01-31'").count('"ts"') == 3
    assert translated("CASE n WHEN 1 THEN 2 WHEN 3 THEN 4 ELSE 5 END > 2").count('"n"') == 1
    assert translated("substr(s, -5, 3) = 'abc'").count('"s"') == 1
    assert translated("printf('%05d', n) = '-0001'").count('"n"') == 1
    assert translated("n" + " + n" * 200 + " > 1")
    assert translated("n = 0" + "".join(f" OR n = {each}" for each in range(1000)))
    assert translated("n IN (" + ", ".join(map(str, range(3000))) + ")")


def test_what_postgresql_would_repeat_is_seen_to_be_repeated() -> None:
    """`x IN (a, b)` with columns is made of two comparisons there, each with its own `x`."""
    assert translated("(n + 1) IN (n, r)").count('"n"') == 3
    assert translated("(n + 1) IN (1, 2)").count('"n"') == 1


@pytest.mark.parametrize("seed", range(12))
def test_random_expressions(seed: int, soak: Soak) -> None:
    """They become SQL of a sane size, or a reason, in little memory."""
    for number in range(soak.scale(3, 200)):
        numbers = random.Random(seed * 1000 + number)
        expressions = RandomExpressions(numbers, tuple(TYPES))
        source = expressions.condition()
        wanted = numbers.randint(130, 4000)
        while len(source) < wanted:
            before, _, after = NESTED[numbers.choice(sorted(NESTED))]
            inner = numbers.choice((source, source, expressions.condition()))
            times = numbers.randint(1, 12)
            grown = f"{before * times}{inner}{after * times}"
            source = f"({source}) AND ({grown})" if inner is not source else grown
        with little_memory():
            translated(source)


QUERIES = {
    "joins": lambda n: "SELECT 1 FROM t" + "".join(f" JOIN t AS t{i}" for i in range(n)),
    "cross joins": lambda n: "SELECT 1 FROM t" + "".join(f", t AS t{i}" for i in range(n)),
    "queries in FROM": lambda n: "SELECT n FROM (" * n + "SELECT n FROM t" + ")" * n,
    "parentheses in FROM": lambda n: "SELECT 1 FROM " + "(" * n + "t" + ")" * n,
    "parentheses": lambda n: "(" * n + "SELECT n FROM t" + ")" * n,
    "unions": lambda n: "SELECT n FROM t" + " UNION SELECT n FROM t" * n,
    "grouped unions": lambda n: "SELECT n FROM (" * n + "SELECT 1" + " UNION SELECT 1)" * n,
    "with": lambda n: (
        "WITH "
        + ", ".join(f"c{i} AS (SELECT * FROM {f'c{i - 1}' if i else 't'})" for i in range(n))
        + f" SELECT n FROM c{n - 1}"
    ),
    "aggregates": lambda n: "SELECT sum(" + "round(" * n + "r" + ")" * n + ") AS a FROM t",
    "exists": lambda n: "SELECT " + "EXISTS (SELECT " * n + "1" + ")" * n + " AS a",
    "columns": lambda n: "SELECT " + ", ".join(f"round(n) AS c{i}" for i in range(n)) + " FROM t",
    "group": lambda n: "SELECT 1 AS a FROM t GROUP BY " + ", ".join(["n"] * n),
    "windows": lambda n: "SELECT sum(" + "max(" * n + "n" + ", 1)" * n + ") OVER () AS a FROM t",
    "between": lambda n: "SELECT " + "(" * n + "n" + " BETWEEN 0 AND 9)" * n + " AS a FROM t",
}


@pytest.mark.parametrize("count", [2, 20, 200, 5000])
@pytest.mark.parametrize("kind", QUERIES)
def test_views(kind: str, count: int) -> None:
    query = QUERIES[kind](count)
    with little_memory():
        try:
            made = translate_view(f"CREATE VIEW v AS {query}", RELATIONS)
        except NotTranslatable as why:
            check_message(why)
        else:
            assert len(made.sql) <= min(MAX_SQL, 8192 + 64 * len(query) + 2048)


def test_sql_is_never_longer_than_it_may_be() -> None:
    assert Typed("x" * MAX_SQL, Kind.TEXT).kind is Kind.TEXT
    with pytest.raises(NotTranslatable, match="too long"):
        Typed("x" * (MAX_SQL + 1), Kind.TEXT)


def test_a_file_has_a_budget_of_its_own() -> None:
    file = FileBudget(100)
    translator = Translator(TYPES, {name: name for name in TYPES}, file)
    made = translator.condition("n > 1")
    for _ in range(100 // len(made) - 1):
        translator.condition("n > 1")
    with pytest.raises(NotTranslatable, match="all of it becomes too long in PostgreSQL"):
        translator.condition("n > 1")
    with pytest.raises(NotTranslatable, match="all of it becomes too long in PostgreSQL"):
        translate_view("CREATE VIEW v AS SELECT n FROM t", RELATIONS, (), file)


def test_join_stops_as_soon_as_it_is_too_long() -> None:
    def parts() -> Iterator[str]:
        yield "x" * MAX_SQL
        yield "x"
        pytest.fail("it goes on")

    with pytest.raises(NotTranslatable, match="too long"):
        join(", ", parts())
    assert join(", ", ("x" * MAX_SQL,)) == "x" * MAX_SQL


def test_views_that_wait_for_each_other_are_read_once_each() -> None:
    """A long row of views, the last one first, is not gone through once for each of them."""
    views = [
        SourceView(f"v{number}", f"CREATE VIEW v{number} AS SELECT * FROM v{number + 1}")
        for number in range(400)
    ]
    views.append(SourceView("v400", "CREATE VIEW v400 AS SELECT 1 AS a"))
    views.append(SourceView("lost", "CREATE VIEW lost AS SELECT * FROM nothing"))
    views.append(SourceView("more", "CREATE VIEW more AS SELECT * FROM lost"))
    style = IdentifierCase.PRESERVE
    planned = plan_views(views, {}, Namespace(style), style, FileBudget(), "app")
    fates = {each.name: each.fate for each in planned}
    assert [each.name for each in planned][:401] == [f"v{number}" for number in range(400, -1, -1)]
    assert fates["lost"] is fates["more"] is Fate.NOT_CARRIED
    assert len([fate for fate in fates.values() if fate is Fate.CARRIED]) == 401
