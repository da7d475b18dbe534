"""Random views on a table whose columns and schema have names that are easily mistaken."""

import random

TABLES = """
    CREATE SCHEMA app;
    CREATE DOMAIN app.k AS integer;
    CREATE TABLE app.t (a integer, b integer, c integer, "X y" integer, app integer, t integer);
    CREATE TABLE app.u (z integer);
    CREATE FUNCTION app.f(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1';
    CREATE FUNCTION app.rows(integer) RETURNS SETOF app.t LANGUAGE sql AS 'SELECT * FROM app.t';
"""
_COLUMNS = ("a", "b", "c", '"X y"', "app", "t")
_FROM = (
    *("app.t AS q",) * 4,
    "(SELECT * FROM app.t) AS q",
    "app.rows(3) AS q",
    '(VALUES (1, 2, 3, 4, 5, 6)) AS q (a, b, c, "X y", app, t)',
    "app.t AS q JOIN app.u ON q.a = z",
    "app.t AS q, app.u",
    "app.t AS q TABLESAMPLE bernoulli (10)",
)


def random_view(rng: random.Random) -> str:
    """The query of a view."""
    outputs = [(_expression(rng), name) for name in rng.sample(_COLUMNS, rng.randint(1, 4))]
    expressions = [text for text, _ in outputs]
    distinct = rng.choice(("", "", "DISTINCT ", f"DISTINCT ON ({expressions[0]}) "))
    listed = ", ".join(f"{text} AS {name}" for text, name in outputs)
    query = f"SELECT {distinct}{listed} FROM {rng.choice(_FROM)}"
    if rng.random() < 0.4:
        query += f" WHERE {_expression(rng)} > {_expression(rng)}"
    if distinct:
        query += f" ORDER BY {expressions[0]}"
    elif rng.random() < 0.3:
        query += f" GROUP BY {', '.join(expressions)} HAVING count(*) > 1"
    else:
        query += f" ORDER BY {_expression(rng)}, q.{rng.choice(_COLUMNS)}{_order(rng)}"
    if rng.random() < 0.3:
        query = (
            f"SELECT rank() OVER (PARTITION BY q.b ORDER BY q.a) AS {rng.choice(_COLUMNS)},"
            f" sum({_expression(rng)}) OVER w AS d, array_agg(q.b) OVER w AS e"
            f" FROM app.t AS q WINDOW w AS (PARTITION BY {_expression(rng)} ORDER BY q.a)"
            f" ORDER BY q.{rng.choice(_COLUMNS)}"
        )
    if rng.random() < 0.2:
        query = f"WITH w AS (SELECT a FROM app.t AS y) {query} LIMIT 3"
    return query


def _order(rng: random.Random) -> str:
    return rng.choice(("", " DESC", " NULLS FIRST"))


def _expression(rng: random.Random, depth: int = 0) -> str:
    column = f"q.{rng.choice(_COLUMNS)}"
    if depth > 2 or rng.random() < 0.35:
        return column
    one, two = (_expression(rng, depth + 1) for _ in range(2))
    return rng.choice(
        (
            f"({one} + 7)",
            f"app.f({one})",
            f"coalesce({one}, {two})",
            f"CASE WHEN {one} > 1 THEN {two} ELSE {column} END",
            f"(SELECT max(i.a) FROM app.t AS i WHERE i.a = {column})",
            f"({one})::app.k",
            f"nullif({one}, {two})",
            f"extract(epoch FROM make_interval(secs => {one}))::integer",
            f"(ARRAY[{one}, 2])[1]",
            f"length(({one})::text || 'q.a''t.b' || E'\\\\q.a')",
        )
    )
