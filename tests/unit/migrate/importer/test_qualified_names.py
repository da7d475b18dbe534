"""No generated SQL names a type, a function, a collation or a relation without its schema."""

import random
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from dbopsd.errors import DbopsError
from dbopsd.migrate.importer.inspect.inspect_schema import inspect_schema
from dbopsd.migrate.importer.model.mapping import Mapping
from dbopsd.migrate.importer.model.plan import Plan
from dbopsd.migrate.importer.model.requests import ImportRequest
from dbopsd.migrate.importer.plan import ddl
from dbopsd.migrate.importer.plan.plan_builder import build_plan
from dbopsd.migrate.importer.postgres.catalog_names import FUNCTIONS, TYPES, qualified_type
from dbopsd.migrate.importer.profile.profile_table import profile_table
from dbopsd.migrate.importer.translate.translator import NotTranslatable, Translator
from tests.support.hostile import CASES
from tests.support.soak import Soak
from tests.support.sqliteexpressions import RandomExpressions

STAGING = "staging"
# Literals first: in them may be anything.
_TOKEN = re.compile(
    r"""E?'(?:[^'\\]|''|\\.)*'|(?:"(?:[^"]|"")*"|[A-Za-z_][\w$]*)(?:\.(?:"(?:[^"]|"")*"|\w+))*|::|\S"""
)
# Grammar of PostgreSQL's, which no search_path has a part in.
_GRAMMAR = frozenset(
    {
        *("AND", "ARRAY", "AS", "BY", "CAST", "CHECK", "COALESCE", "CONSTRAINT", "ELSE", "EXISTS"),
        *("EXTRACT", "FILTER", "FROM", "GREATEST", "IN", "IS", "JOIN", "KEY", "LEAST", "NOT"),
        *("NULLIF", "ON", "OR", "OVER", "SELECT", "THEN", "UNIQUE", "UNION", "ALL", "EXCEPT"),
        *("INTERSECT", "USING", "WHEN", "WHERE", "WITH", "VALUES", "DISTINCT", "LIKE", "ILIKE"),
        *("CASE", "BETWEEN", "HAVING", "DEFAULT", "INTERVAL", "ZONE", "LIMIT", "TABLE", "ANY"),
    }
)


def bare_names(sql: str) -> Iterator[str]:
    """What is called, cast to, collated by or read, without a schema."""
    # In EXTRACT and in IS DISTINCT FROM a value follows the word.
    tokens = _TOKEN.findall(re.sub(r"(extract\(|DISTINCT )(\w+ )?FROM ", r"\1", sql))
    ctes = {
        name
        for name, word, following in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if word == "AS" and following == "("
    }
    for before, token, after in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if token.startswith(("'", "E'")) and token.endswith("'"):
            continue
        plain = re.fullmatch(r"[A-Za-z_][\w$]*", token) is not None
        if before == "::" and not token.startswith("pg_catalog."):
            yield f"::{token}"
        elif before == "COLLATE" and not token.startswith("pg_catalog."):
            yield f"COLLATE {token}"
        elif before in {"FROM", "JOIN", "INTO", "REFERENCES", "VIEW", "TABLE", "ON"}:
            known = token in ctes or token == "(" or "." in token
            if not known and token.startswith('"'):
                yield f"{before} {token}"
        elif plain and after == "(" and token.upper() not in _GRAMMAR:
            yield f"{token}("


def called(sql: str) -> set[str]:
    """The functions of pg_catalog that it calls."""
    return set(re.findall(r"pg_catalog\.(\w+)\(", re.sub(r"'(?:[^']|'')*'", "''", sql)))


def statements(plan: Plan) -> Iterator[str]:
    for table in plan.tables:
        yield ddl.create_table(STAGING, table)
    for each in plan.objects:
        yield from filter(None, (each.ddl, each.validate, each.violations, each.fallback))


def plan_of(path: Path) -> Plan:
    with closing(sqlite3.connect(path)) as connection:
        schema = inspect_schema(connection)
        profiles = {each.name: profile_table(connection, each) for each in schema.tables}
        return build_plan(schema, profiles, ImportRequest(source=str(path)), Mapping(), STAGING)


@pytest.mark.parametrize("case", CASES)
def test_plans_of_hostile_files(case: str, tmp_path: Path) -> None:
    path = CASES[case].make(tmp_path)
    with suppress(sqlite3.Error, DbopsError):
        for sql in statements(plan_of(path)):
            assert list(bare_names(sql)) == [], sql
            assert called(sql) <= FUNCTIONS | set(TYPES.values()) | {"bit"}, sql


def test_random_expressions(soak: Soak) -> None:
    columns = {name.replace(" ", "_"): name for name in TYPES if name != "real"}
    translator = Translator(columns, {name: name for name in columns})
    made = 0
    for seed in range(soak.scale(3000, 100_000)):
        source = RandomExpressions(random.Random(seed), tuple(columns)).condition()
        with suppress(NotTranslatable):
            sql = translator.condition(source)
            assert list(bare_names(sql)) == [], f"{source}: {sql}"
            assert called(sql) <= FUNCTIONS | set(TYPES.values()), sql
            made += 1
    assert made > 100


def test_types_are_qualified() -> None:
    assert qualified_type("numeric(10, 2)") == "pg_catalog.numeric(10,2)"
    assert qualified_type("character varying(20)") == "pg_catalog.varchar(20)"
    assert qualified_type("timestamp without time zone") == "pg_catalog.timestamp"


@pytest.mark.parametrize(
    ("sql", "bare"),
    [
        ("SELECT lower(x)", ["lower("]),
        ("SELECT pg_catalog.lower(x)::text", ["::text"]),
        ('SELECT x COLLATE "C"', ['COLLATE "C"']),
        ('SELECT 1 FROM "pg_authid" AS a', ['FROM "pg_authid"']),
        ('SELECT 1 FROM "s"."t" AS a JOIN "u" ON true', ['JOIN "u"']),
        ('WITH "c" AS (SELECT 1) SELECT \'lower(x)::text FROM "t"\' FROM "c"', []),
        ("SELECT coalesce(pg_catalog.sum(x), 0)::pg_catalog.int8", []),
    ],
)
def test_the_lint_finds_them(sql: str, bare: list[str]) -> None:
    assert list(bare_names(sql)) == bare
