"""What translated expressions look like, and which are refused with what reason."""

import pytest

from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable
from dbopsd.migrate.importer.model.source_schema import Affinity, SourceColumn, SourceTable
from dbopsd.migrate.importer.translate.translator import (
    Column,
    NotTranslatable,
    Relation,
    Translator,
    columns_of,
    translate_view,
    without_catalog,
)

TYPES = {
    "n": "bigint",
    "r": "double precision",
    "p": "numeric(10,2)",
    "s": "text",
    "flag": "boolean",
    "d": "date",
    "ts": "timestamp without time zone",
    "tz": "timestamp with time zone",
    "tm": "time without time zone",
    "b": "bytea",
    "j": "json",
    "jb": "jsonb",
    "u": "uuid",
    "odd": "inet",
}
TRANSLATOR = Translator(TYPES, {name: name for name in TYPES})


def table(*columns: tuple[str, str, Affinity, str]) -> SourceTable:
    """Of names, declared types, affinities and collations."""
    return SourceTable(
        "t",
        tuple(
            SourceColumn(name, declared, affinity, collation=collation)
            for name, declared, affinity, collation in columns
        ),
    )


def planned(*columns: tuple[str, str, str]) -> PlannedTable:
    """Of sources, targets and types."""
    made = tuple(PlannedColumn(source, target, kind, "", "") for source, target, kind in columns)
    return PlannedTable("t", "t", made)


MIXED = Translator.of(
    table(
        ("code", "INTEGER_OR_TEXT", Affinity.INTEGER, "BINARY"),
        ("other", "TEXT", Affinity.TEXT, "BINARY"),
        ("any", "", Affinity.BLOB, "BINARY"),
        ("name", "TEXT", Affinity.TEXT, "NOCASE"),
        ("own", "TEXT", Affinity.TEXT, "german"),
        ("secret", "TEXT", Affinity.TEXT, "BINARY"),
    ),
    planned(
        ("code", "code", "text"),
        ("other", "other", "text"),
        ("any", "any", "text"),
        ("name", "name", "text"),
        ("own", "own", "text"),
    ),
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("n > 0", '("n" > 0)'),
        ("N > 0", '("n" > 0)'),
        ("n", '("n" <> 0)'),
        ("flag = 0", '("flag" = false)'),
        ("flag IN (0, 1)", '("flag" IN (false, true))'),
        ("NOT flag", '(NOT "flag")'),
        ("r >= 1.0", '("r" >= 1.0)'),
        ("s IN ('a', 'b')", "(\"s\" IN ('a', 'b'))"),
        ('s IN ("a", "it""s")', "(\"s\" IN ('a', 'it\"s'))"),
        ("s < 'm'", '(("s" COLLATE pg_catalog."C") < (\'m\' COLLATE pg_catalog."C"))'),
        ("length(s) >= 1", '(pg_catalog.length("s") >= 1)'),
        ("s LIKE 'a%'", "(\"s\" COLLATE pg_catalog.\"C\" ILIKE 'a%' ESCAPE '')"),
        ("s IS NULL OR n IS 5", '(("s" IS NULL) OR ("n" IS NOT DISTINCT FROM 5))'),
        ("NULL OR n = 1", '(NULL::pg_catalog.bool OR ("n" = 1))'),
        ("n / r > 2", '(("n"::pg_catalog.float8 / nullif("r", 0)) > 2)'),
        ("d >= '2024-01-31'", "(\"d\" >= '2024-01-31'::pg_catalog.date)"),
        ("json_valid(j)", '("j" IS NOT NULL OR NULL)'),
        ("s = 'back\\slash'", "(\"s\" = E'back\\\\slash')"),
    ],
)
def test_conditions(condition: str, expected: str) -> None:
    assert TRANSLATOR.condition(condition) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("code NOT IN ('PROJString', 'WKT')", "(NOT (\"code\" IN ('PROJString', 'WKT')))"),
        ("code = 4326", "(\"code\" = '4326')"),
        ("code = '04326'", "(\"code\" = '4326')"),
        ("any <> 'x'", "(\"any\" <> 'x')"),
        (
            "name = 'X'",
            (
                '(pg_catalog.lower("name" COLLATE pg_catalog."C")'
                " = pg_catalog.lower('X' COLLATE pg_catalog.\"C\"))"
            ),
        ),
    ],
)
def test_conditions_by_affinity_and_collation(condition: str, expected: str) -> None:
    assert MIXED.condition(condition) == expected


def test_names_are_those_of_postgresql() -> None:
    translator = Translator({"A b": "bigint", 'q"q': "text"}, {"A b": "a_b", 'q"q': 'x"y'})
    assert translator.condition('"a B" > 1') == '("a_b" > 1)'
    assert translator.condition("""[A b] = 2 AND "q""q" = 'z'""") == (
        '(("a_b" = 2) AND ("x""y" = \'z\'))'
    )


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("s", "a text is no condition in PostgreSQL"),
        ("b", "a bytea is no condition in PostgreSQL"),
        ("nothing > 1", "there is no such column in PostgreSQL"),
        ("rowid > 1", "PostgreSQL's rows have no such number"),
        ('"rowid" > 1', "PostgreSQL's rows have no such number"),
        ("odd = 1", "expressions with that type are not known here"),
        ("s = n", "SQLite compares a text with a number there"),
        ("length(s) = '5'", "SQLite compares a text with a number there"),
        ("'5' = 5", "SQLite compares a text with a number there"),
        ("nullif(n, '5') = 5", "SQLite compares a text with a number there"),
        ("n = 'five'", "SQLite compares a text with a number there"),
        ("strftime('%Y', d) = 2024", "SQLite compares a text with a number there"),
        ("s + 1 > 0", "SQLite would calculate with a text"),
        ("s REGEXP 'x'", "it is not known here"),
        ("s MATCH 'x'", "it is not known here"),
        ("s GLOB s", "a GLOB's pattern has to be a literal"),
        ("s GLOB '[a'", "a '[' of it is never closed"),
        ("s LIKE 'x!' ESCAPE '!'", "it ends with its ESCAPE"),
        ("my_function(s)", "the function is not known here"),
        ("s || r = 'x'", "SQLite's text of a double precision may be another than PostgreSQL's"),
        ("s || p = 'x'", "SQLite's text of a numeric may be another than PostgreSQL's"),
        ("p / 2 > 1", "SQLite divides integers and reals in two ways, and both may be there"),
        ("round(r, 2) > 1", "to a number of decimals SQLite rounds what it prints"),
        ("n % r = 0", "it is not certainly an integer"),
        ("typeof(p) = 'integer'", "its storage class cannot be told for certain"),
        ("typeof(n + 1) = 'integer'", "its storage class cannot be told for certain"),
        ("random() > 0", "chance may not be in an expression like this"),
        ("d > date('now')", "the time of today may not be in an expression like this"),
        ("ts > CURRENT_TIMESTAMP", "the time of today may not be in an expression like this"),
        ("ts <= '2024-01-31'", "differs at midnight"),
        ("d = '2024-01-31 10:00'", 'it is compared with the date "d"'),
        ("d > 'tomorrow'", "it is no date and no timestamp"),
        ("d > 5", "PostgreSQL does not compare date and integer"),
        ("tz > '2024-01-31T10:00Z'", "SQLite compares the texts, of whatever time zone they are"),
        ("replace(n, s, 'x') = '5'", "what it looks for may be an empty text"),
        ("ts > d", "SQLite has them in different forms and compares those"),
        ("length(ts) = 19", "SQLite's text of a timestamp without time zone may be another"),
        ("strftime('%f', ts) > '1'", "it is not known here"),
        ("datetime(ts, 'localtime') > 'x'", "its modifier 'localtime' is not known here"),
        ("strftime(s, ts) = 'x'", "its format is no literal"),
        ("date(n) = 'x'", "a integer may be read otherwise"),
        ("json_valid(s)", "it is a column of text in PostgreSQL"),
        ("json_extract(j, '$.a') > 5", "PostgreSQL does not compare PART OF JSON and integer"),
        ("json_extract(j, '$.a') = '5'", "a number or a truth in the JSON may be shown like that"),
        ("json_extract(s, '$.a') = 'x'", '"s" is a text in PostgreSQL'),
        ("jb = '{}'", "PostgreSQL does not compare jsonb and text"),
        ("b = 'x'", "PostgreSQL does not compare bytea and text"),
        ("u > 'x'", "a uuid has no such order in SQLite"),
        ("u = 'x'", "it is no UUID"),
        ("tm = '25:00'", "it is no time of day"),
        ("flag = 'maybe'", "PostgreSQL does not compare boolean and text"),
        ("(n, s) = (1, 'x')", "rows of values are not known here"),
        ("n IN (SELECT 1)", "a query may not be there"),
        ("EXISTS (SELECT 1)", "a query may not be there"),
        ("count(*) > 1", "it is not known here"),
        ("sum(n) > 1", "the function is not known here"),
        ("CASE WHEN n > 0 THEN 1 ELSE 'x' END = 1", "integer and text come together there"),
        ("coalesce(d, '') = ''", "dates and texts come together there"),
        ("substr(s, n) = 'x'", "may be negative, and count from the end"),
        ("n = 1 LIKE s", "operators follow each other in a way that is not understood"),
        ("n > 0; DROP TABLE t", "it is no expression"),
        ("n > 0 FROM t", "it is not understood as one expression"),
        ("n >", "it is not understood"),
        ("n > :value", "it is not known here"),
        ("s = char(0)", "PostgreSQL's text has none"),
        ("s = 'x' COLLATE german", "it is an application's own collation"),
    ],
)
def test_what_has_no_certain_equal_is_refused(condition: str, problem: str) -> None:
    with pytest.raises(NotTranslatable) as raised:
        TRANSLATOR.condition(condition)
    assert problem in raised.value.problem
    assert without_catalog(raised.value.construct) in raised.value.message
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ("code > 5", "SQLite compares a text with a number there"),
        ("code > 'a'", "SQLite has numbers in it too, which come before all texts there"),
        ("code = other", "one may be a number in SQLite where the other is a text"),
        ("any = 5", "SQLite compares a text with a number there"),
        ("any = '5'", "one may be a number in SQLite where the other is a text"),
        ("code = '5.5'", "it becomes a real beside such a column"),
        ("min(code, 'x') = 'x'", "SQLite has numbers in it too"),
        ("own = 'x'", "it is an application's own collation"),
        ("secret = 'x'", "the column is not carried"),
        ("\"secret\" = 'x'", "the column is not carried"),
    ],
)
def test_what_the_source_decides_is_refused(condition: str, problem: str) -> None:
    with pytest.raises(NotTranslatable) as raised:
        MIXED.condition(condition)
    assert problem in raised.value.problem


@pytest.mark.parametrize(
    ("expression", "type_name"),
    [
        ("r", "bigint"),
        ("s", "bigint"),
        ("s", "date"),
        ("ts", "date"),
        ("d", "timestamp without time zone"),
        ("n", "timestamp with time zone"),
        ("b", "text"),
        ("s", "bytea"),
        ("r", "text"),
        ("s", "json"),
        ("time(ts)", "timestamp without time zone"),
        ("datetime('now')", "text"),
        ("json_extract(j, '$.a')", "text"),
        ("n", "inet"),
    ],
)
def test_values_of_types_that_they_do_not_certainly_have(expression: str, type_name: str) -> None:
    with pytest.raises(NotTranslatable):
        TRANSLATOR.value(expression, type_name)


@pytest.mark.parametrize(
    ("default", "type_name", "expected"),
    [
        (
            "CURRENT_TIMESTAMP",
            "timestamp without time zone",
            "(pg_catalog.now() AT TIME ZONE 'utc')",
        ),
        ("CURRENT_TIMESTAMP", "timestamp with time zone", "pg_catalog.now()"),
        (
            "CURRENT_TIMESTAMP",
            "text",
            "pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'utc', 'YYYY-MM-DD HH24:MI:SS')",
        ),
        (
            "lower(hex(randomblob(16)))",
            "text",
            "pg_catalog.encode(pg_catalog.uuid_send(pg_catalog.gen_random_uuid()), 'hex')",
        ),
        ("0", "boolean", "false"),
        ("'t'", "boolean", "true"),
        ("x'00ff'", "bytea", "'\\x00ff'::pg_catalog.bytea"),
        ("active", "text", "'active'"),
        ("rowid", "text", "'rowid'"),
        ("true", "bigint", "1"),
        ("NULL", "text", "NULL"),
        ("+ 5", "bigint", "5"),
    ],
)
def test_defaults(default: str, type_name: str, expected: str) -> None:
    assert TRANSLATOR.default(default, type_name) == expected


@pytest.mark.parametrize(
    ("default", "type_name"),
    [
        ("'abc'", "bigint"),
        ("1.5", "bigint"),
        ("2", "boolean"),
        ("'maybe'", "boolean"),
        ("0", "timestamp without time zone"),
        ("'0000-00-00'", "date"),
        ("'2024-01-31 10:00'", "date"),
        ("'2024-01-31T10:00Z'", "timestamp without time zone"),
        ("'{bad'", "json"),
        ("'NaN'", "json"),
        ("'x'", "uuid"),
        ("'25:00'", "time without time zone"),
        ("x'00'", "text"),
        ("my_function()", "text"),
        ("datetime('now', 'localtime')", "text"),
        ("'a'", "inet"),
    ],
)
def test_defaults_that_would_be_bad_values(default: str, type_name: str) -> None:
    with pytest.raises(NotTranslatable):
        TRANSLATOR.default(default, type_name)


USERS = Relation(
    '"public"."users"',
    {
        "id": Column("id", "bigint"),
        "Name": Column("Name", "text", collation="NOCASE"),
        "code": Column("code", "text", Affinity.INTEGER),
        "doc": Column("doc", "json"),
    },
    key=("id",),
)
POSTS = Relation(
    '"public"."posts"',
    {
        "id": Column("id", "bigint"),
        "user_id": Column("user_id", "bigint"),
        "gone": Column("gone", "", carried=False),
    },
)
RELATIONS = {"users": USERS, "Posts": POSTS}


def test_a_view_in_full() -> None:
    view = translate_view(
        "CREATE VIEW v(who, n) AS SELECT u.NAME, count(*) FROM Users u -- all\n"
        "JOIN posts ON posts.user_id = u.id GROUP BY u.id ORDER BY 2 DESC",
        RELATIONS,
    )
    assert view.sql == (
        'SELECT "u"."Name" AS "who", pg_catalog.count(*) AS "n" FROM "public"."users" AS "u" '
        'JOIN "public"."posts" AS "posts" ON ("posts"."user_id" = "u"."id") '
        'GROUP BY "u"."id" ORDER BY pg_catalog.count(*) DESC NULLS LAST'
    )
    assert list(view.columns) == ["who", "n"]
    assert view.columns["who"].collation == "NOCASE"
    assert view.columns["n"].type == "bigint"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT * FROM nowhere", "there is no such table or view in PostgreSQL"),
        ("SELECT * FROM posts", "the column is not carried"),
        ("SELECT gone FROM posts", "the column is not carried"),
        ("SELECT rowid FROM users", "PostgreSQL's rows have no such number"),
        ("SELECT id FROM users, posts", "several tables have a column of that name"),
        ("SELECT users.id, posts.id FROM users, posts", "two of its columns have one name"),
        ("SELECT Name, id FROM users GROUP BY id + 1", "it is neither in GROUP BY"),
        ("SELECT id, max(user_id) AS m FROM posts", "it is neither in GROUP BY"),
        ("SELECT id FROM posts GROUP BY user_id", "it is neither in GROUP BY"),
        ("SELECT Name FROM users GROUP BY Name", "rows are put together by NOCASE"),
        ("SELECT DISTINCT Name FROM users", "rows are put together by NOCASE"),
        ("SELECT DISTINCT doc FROM users", "a json is not put together as in SQLite"),
        ("SELECT Name FROM users UNION SELECT 'x'", "rows are put together by NOCASE"),
        ("SELECT max(Name) AS m FROM users", "the least by NOCASE is not known here"),
        ("SELECT id FROM users ORDER BY code", "SQLite has numbers in it too"),
        (
            "SELECT json_extract(doc, '$.a') AS a FROM users",
            "it may be a number or a text in SQLite",
        ),
        ("SELECT id, code FROM users UNION SELECT id, 5 FROM posts", "come together there"),
        ("SELECT id AS x FROM users WHERE x > 1", "it is the name of an outcome, used before it"),
        ('SELECT id AS x FROM users WHERE "x" > 1', "it is the name of an outcome"),
        ("SELECT id FROM users NATURAL JOIN posts", "it is not known here"),
        ("SELECT value FROM json_each('[1]')", "it is no table and no query"),
        ("VALUES (1)", "such a query is not known here"),
        (
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
            "it is not known here",
        ),
        ("SELECT id FROM users LIMIT 1 + 1", "it is no literal number"),
        ("SELECT sum(id) OVER w AS s FROM users WINDOW w AS (ORDER BY id)", "not known"),
        (
            "SELECT sum(id) OVER (ORDER BY id ROWS 1 PRECEDING) AS s FROM users",
            "its window is of a kind not known here",
        ),
        ("SELECT group_concat(Name, id) AS g FROM users", "its separator is no literal"),
        ("SELECT sum(count(*)) AS s FROM users", "an aggregate may not be there"),
        ("SELECT id FROM users WHERE count(*) > 1", "an aggregate may not be there"),
        ("SELECT id FROM users ORDER BY count(*)", "it has the query's only aggregate"),
        ("SELECT (SELECT id FROM posts LIMIT 5) AS x", "its LIMIT is more than one row"),
        ("SELECT id FROM users UNION SELECT id FROM other.posts", "it is in another database"),
        ("SELECT id FROM users u, posts u", "two tables of the query have that name"),
        ("SELECT", "there are no columns"),
        ("SELECT FROM users", "there are no columns"),
    ],
)
def test_views_that_are_refused(query: str, problem: str) -> None:
    with pytest.raises(NotTranslatable) as raised:
        translate_view(f"CREATE VIEW v AS {query}", RELATIONS)
    assert problem in raised.value.problem


def test_columns_of_tells_those_that_are_not_carried() -> None:
    source = table(("a", "INT", Affinity.INTEGER, "BINARY"), ("b", "", Affinity.BLOB, "BINARY"))
    columns = columns_of(source, planned(("a", "x", "bigint")))
    assert columns["a"] == Column("x", "bigint", Affinity.INTEGER)
    assert not columns["b"].carried
