"""Views of PostgreSQL 15 as later majors write them; each pair was written by 15.20 and 16.6."""

import pytest

from dbopsd.migrate.versions.fingerprint.view_text import without_table_prefixes


@pytest.mark.parametrize(
    ("fifteen", "later"),
    [
        ("SELECT t.a,\n t.b + 1 AS c\n FROM app.t;", "SELECT a,\n b + 1 AS c\n FROM app.t;"),
        (
            "SELECT u.\"A.b\", (u.home).zip AS zip FROM app.users u WHERE (u.x = 'u.x'::text);",
            "SELECT \"A.b\", (home).zip AS zip FROM app.users u WHERE (x = 'u.x'::text);",
        ),
        (
            'SELECT "t.""x".a FROM s."t.""x" WHERE ("t.""x".a > 0);',
            'SELECT a FROM s."t.""x" WHERE (a > 0);',
        ),
        (
            (
                "SELECT g.g FROM generate_series(1, 3) g(g) WHERE (g.g > ( SELECT min(a.id) AS min"
                " FROM app.a WHERE (a.id > g.g)));"
            ),
            (
                "SELECT g FROM generate_series(1, 3) g(g) WHERE (g > ( SELECT min(a.id) AS min"
                " FROM app.a WHERE (a.id > g.g)));"
            ),
        ),
        (
            "WITH c AS ( SELECT t.a FROM t) SELECT c.a FROM c ORDER BY c.a DESC LIMIT 2;",
            "WITH c AS ( SELECT t.a FROM t) SELECT a FROM c ORDER BY a DESC LIMIT 2;",
        ),
        (
            "SELECT s.a FROM ( SELECT t.a FROM t) s FOR UPDATE OF s;",
            "SELECT a FROM ( SELECT t.a FROM t) s FOR UPDATE OF s;",
        ),
        (
            (
                "SELECT EXTRACT(year FROM t.a) AS y, app.f(t.a) AS f, t.b::app.k AS b,"
                " (t.c COLLATE app.german) AS c FROM app.t TABLESAMPLE system (10);"
            ),
            (
                "SELECT EXTRACT(year FROM a) AS y, app.f(a) AS f, b::app.k AS b,"
                " (c COLLATE app.german) AS c FROM app.t TABLESAMPLE system (10);"
            ),
        ),
        (
            "SELECT app.a, app.f(app.b) AS f, app.c::app.k AS c FROM s.app;",
            "SELECT a, app.f(b) AS f, c::app.k AS c FROM s.app;",
        ),
        (
            "SELECT t.*::app.t AS t, t.a, row_to_json(t.*) AS j FROM app.t;",
            "SELECT t.*::app.t AS t, a, row_to_json(t.*) AS j FROM app.t;",
        ),
        (
            "SELECT t.a AS b, t.b AS a FROM app.t ORDER BY t.a, (t.b + 1), t.c;",
            "SELECT a AS b, b AS a FROM app.t ORDER BY t.a, (b + 1), c;",
        ),
        (
            "SELECT DISTINCT ON (t.a) t.a, t.b FROM app.t ORDER BY t.a, t.b NULLS LAST;",
            "SELECT DISTINCT ON (a) a, b FROM app.t ORDER BY a, b NULLS LAST;",
        ),
        (
            "SELECT rank() OVER (PARTITION BY t.b ORDER BY t.a DESC, t.c) AS b, t.c AS a FROM t;",
            "SELECT rank() OVER (PARTITION BY t.b ORDER BY t.a DESC, c) AS b, c AS a FROM t;",
        ),
        (
            (
                "SELECT array_agg(t.b ORDER BY t.a) AS a, sum(t.a) OVER w AS b FROM t"
                " WINDOW w AS (ORDER BY t.b ROWS UNBOUNDED PRECEDING) GROUP BY t.a, t.b;"
            ),
            (
                "SELECT array_agg(b ORDER BY t.a) AS a, sum(a) OVER w AS b FROM t"
                " WINDOW w AS (ORDER BY t.b ROWS UNBOUNDED PRECEDING) GROUP BY a, b;"
            ),
        ),
        (
            (
                "SELECT DISTINCT ON (t.b, t.c) t.b AS c, t.c AS b FROM t"
                " ORDER BY CASE WHEN t.b THEN t.b ELSE t.b END, t.c, COALESCE(t.b, t.c);"
            ),
            (
                "SELECT DISTINCT ON (t.b, t.c) b AS c, c AS b FROM t"
                " ORDER BY CASE WHEN b THEN b ELSE b END, t.c, COALESCE(b, c);"
            ),
        ),
        (
            "SELECT DISTINCT t.a, t.b AS c FROM t ORDER BY t.a, t.b;",
            "SELECT DISTINCT a, b AS c FROM t ORDER BY a, b;",
        ),
    ],
)
def test_columns_of_an_only_relation_lose_its_name(fifteen: str, later: str) -> None:
    assert without_table_prefixes(f"VIEW AS {fifteen}") == f"VIEW AS {later}"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a.id, b.id AS other FROM (app.a JOIN app.b ON ((a.id = b.id)));",
        "SELECT a.id FROM app.a, LATERAL f(a.id) f(x);",
        "SELECT a.id FROM app.a UNION ALL SELECT b.id FROM app.b ORDER BY 1;",
        "VALUES (1,'a.b'::text), (2,'c.d'::text);",
        "SELECT 1 AS a;",
    ],
)
def test_other_views_are_as_they_were(text: str) -> None:
    assert without_table_prefixes(f"VIEW AS {text}") == f"VIEW AS {text}"
