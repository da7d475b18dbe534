"""Expressions, defaults and views, run by SQLite and, translated, by PostgreSQL: do they agree?"""

import re
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import set_json_loads

from dbopsd.migrate.importer.inspect.inspect_schema import inspect_schema
from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable
from dbopsd.migrate.importer.translate.translator import (
    NotTranslatable,
    Relation,
    Translator,
    columns_of,
    translate_view,
)
from tests.support.servers import PostgresServer
from tests.support.soak import Soak
from tests.support.sqliteexpressions import RandomExpressions

CREATE = """
CREATE TABLE t(
  id INTEGER PRIMARY KEY,
  n INT,
  small SMALLINT,
  r REAL,
  p NUMERIC,
  s TEXT,
  s2 TEXT,
  nocase TEXT COLLATE NOCASE,
  rt TEXT COLLATE RTRIM,
  flag BOOLEAN,
  d DATE,
  ts DATETIME,
  ts2 TIMESTAMP,
  tz DATETIME,
  epoch DATETIME,
  tm TIME,
  b BLOB,
  j JSON,
  code INTEGER_OR_TEXT,
  u UUID,
  "odd ""name" INT
)
"""
TYPES = {
    "id": "bigint",
    "n": "bigint",
    "small": "smallint",
    "r": "double precision",
    "p": "numeric",
    "s": "text",
    "s2": "text",
    "nocase": "text",
    "rt": "text",
    "flag": "boolean",
    "d": "date",
    "ts": "timestamp without time zone",
    "ts2": "timestamp without time zone",
    "tz": "timestamp with time zone",
    "epoch": "timestamp with time zone",
    "tm": "time without time zone",
    "b": "bytea",
    "j": "json",
    "code": "text",
    "u": "uuid",
    'odd "name': "integer",
}
MIXED = {"p": "", "code": ""}
CLASSES = {
    **dict.fromkeys(("id", "n", "small", "flag", "epoch", 'odd "name'), "integer"),
    "r": "real",
    "b": "blob",
}
UUID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
# What SQLite has; what PostgreSQL has follows from it.
ROWS: list[tuple[Any, ...]] = [
    (1, 5, 7, 1.5, 2.5, "abc", "abc", "Abc", "x", 1, "2024-01-31", "2024-01-31 10:20:30",
     "2024-01-31 10:20:31", "2024-01-31T10:20:30+02:00", 1700000000, "10:20:30", b"\x01\x02",
     '{"a": {"b": "x"}, "n": 5, "l": ["p", "q"]}', 4326, UUID, 3),
    (2, -7, -3, -2.25, 10, "ABC", "xyz", "aBC", "x  ", 0, "2024-02-29", "2024-02-29 00:00:00",
     "2024-02-28 23:59:59", "2024-02-29T23:30:00-01:00", 0, "00:00:00", b"",
     '{"a": {"b": null}, "n": "5"}', "PROJString", UUID.replace("6f", "7f"), 0),
    (3, 0, 0, 0.0, 0, "", "b", "", " ", 1, "1999-12-31", "1999-12-31 23:59:59.999999",
     "1999-12-31 23:59:59.999999", "1999-12-31T23:59:59Z", 946684799, "23:59:59", b"abc",
     "[1, 2]", "WKT", None, -5),
    (4, 100, 300, 1e10, 0.1, "Straße ÄÖ", "straße äö", "Ä", "y", 0, "2023-06-15",
     "2023-06-15 12:00:00.5", "2023-06-15 12:00:00", "2023-06-15T12:00:00.250Z", 1686830400,
     "12:00:00", b"\xff", '{"a": {"b": "12"}}', 10, UUID, 12),
    (5, 9, 9, 0.1, 1234567.25, "12", "012", "zz", "z ", 1, "2024-12-01", "2024-12-01 01:02:03",
     "2025-01-01 00:00:00", "2024-12-01T01:02:03Z", 1733015000, "01:02:03", b"\x01",
     '{"n": 1.5, "a": 1}', 5, None, 7),
    (6, None, None, None, None, None, None, None, None, None, None, None, None, None, None, None,
     None, None, None, None, None),
    (7, 2**40, 1, -0.5, -3, "a%b_c\nd", "a\\b", "A%B", "", 0, "2024-03-31", "2024-03-31 05:06:07",
     "2024-03-31 05:06:07", "2024-03-31T05:06:07Z", 1, "05:06:07", b"\x00", '"text"', "a*b", UUID,
     1),
]  # fmt: skip

CONDITIONS = """
n > 0
n >= -7 AND n < 100
n = 5 OR n IS NULL
NOT n
n
n AND s IS NOT NULL
NULL OR n > 0
NOT (n > 0 AND r > 0)
n <> 5
n != 5 AND n == n
n IS 5
n IS NOT 5
n IS NOT NULL
n IS NULL
n ISNULL OR n NOTNULL
n IN (1, 5, -7)
n NOT IN (1, 5)
n IN (1, NULL)
n IN (small, 5)
(n + 1) IN (small, r, NULL, 6)
(n IN (small, 100)) IN (n, 1)
s IN (s2, 'ABC')
n NOT IN (1, NULL)
n IN ()
flag IN (2, 1, NULL)
1 IN (epoch, NULL, 0)
'ABC' IN (nocase, 'x')
'' IN (rt, '5')
n BETWEEN 1 AND 10
n NOT BETWEEN 1 AND 10
n % 2 = 0
n % 2
n / 2 * 2 = n
n / 0 IS NULL
n / small > 0
small * 300 > 100
small * small * small * small >= 0
n + small > 5.5
n * 2.5 > 10
-n > 0
n & 1
n | 1 = n
(n << 2) >> 1 = n * 2
~n < 0
abs(n) > 6
n = '5'
'5' = n
n > '4'
n = '5.0'
n = 5.0
n IN ('5', '-7')
max(n, small) > 5
min(n, small, 3) < 3
r > 0
r = 0.1
r BETWEEN -180 AND 180
r >= 1.0
r * 3 = 0.30000000000000004
r + r > 1
r / 2 > 0.1
r / 0 IS NULL
r <> 1.5
r = '1.5'
round(r) = 2.0
round(r) < 0
round(n, 2) = n
round(r + 0.5) - 1 = round(r)
round(round(r * 3) / 2) = 2.0
round(r * 0.49999999999999994) > 0
round(-r / 3 + 0.5) < 0
round(0.49999999999999994) = 1
round(-0.49999999999999994) = -1
round(0.49999999999999989) = 0
round(2.4999999999999996) = 2
round(2.5) = 3 AND round(-2.5) = -3 AND round(3.5) = 4
round(4503599627370495.5) = 4503599627370496.0
round(4503599627370497.0) = 4503599627370497.0
round(9007199254740993.0) = 9007199254740992.0
round(1e300) = 1e300
round(9e999) > 1
round(p) > 1
round(n / 2.0) = 3
max(n, small, 7) = 7
max(n, r) = 5
min(r, small, -2) = -2
max(p, 3) > 2
max(s, s2) = 'abc'
min(s, 'b', s2) > 'A'
max(b, x'0100') = x'0102'
min(b, x'61') = x''
max(d, d) = '2024-01-31'
min(ts, ts2) = ts
max(tm, tm) > '10:00:00'
max(flag, n > 0)
min(flag, n > 0)
max(n, NULL) IS NULL
max(round(r), min(n, small), 1.5) > 4
r > n
p > 0.05
p = 0.1
p = 10
p * 2 = 0.2
p + n > 5
p / 2.0 > 1
p <= 1234567.25
CAST(r AS INTEGER) = 1
CAST(n AS REAL) / 2 > 2.4
CAST(n AS TEXT) = '5'
CAST('12' AS INTEGER) = 12
length(s) >= 3
length(s) = 0
length(n) > 1
length(b) = 2
length(code) >= 1
length(flag) = 1
s = 'abc'
s <> 'abc'
s = 12
s = "abc"
s > 'a'
s > 'ABD'
s >= s2
s < 'b' AND s2 > 'B'
s IN ('abc', 'ABC')
s NOT IN ('abc', 'x')
s IN (12, 13)
s BETWEEN 'a' AND 'm'
s LIKE 'a%'
s NOT LIKE 'A_C'
s LIKE '%Ä%'
s LIKE '%ä%'
s LIKE 'a\\%'
s2 LIKE 'a\\b'
s LIKE 'a\\%b%' ESCAPE '\\'
s LIKE '%x_c%' ESCAPE 'x'
n LIKE '1%'
s GLOB 'a*'
s GLOB 'A?C'
s GLOB '[A-Za-z]*'
s GLOB '[^a-z]*'
s GLOB '*%*'
s GLOB '*[_%]*'
code GLOB '[0-9]*'
code GLOB '*[*]b'
s NOT GLOB '*[^0-9]*'
s COLLATE NOCASE = 'abc'
s COLLATE NOCASE = 'STRASSE'
s COLLATE NOCASE = s2
nocase = 'abc'
nocase > 'ABB'
nocase IN ('ABC', 'ä')
nocase = 'ä'
nocase = s
nocase COLLATE BINARY = 'Abc'
nocase BETWEEN 'AA' AND 'ac'
rt = 'x'
rt = 'z  '
rt > ''
s || '!' = 'abc!'
s || n = 'abc5'
s || flag = 'abc1'
upper(s) = 'ABC'
lower(s) = 'straße Äö'
upper(s2) = 'STRAßE äö'
trim('  ' || s || ' ') = s
trim(s, 'abc') = ''
ltrim(s, 'a') = 'bc' AND rtrim(s, 'c') = 'ab'
substr(s, 1, 2) = 'ab'
substr(s, 2) = 'bc'
substr(s, -2) = 'bc'
substr(s, -2, 1) = 'b'
substr(s, -5, 3) = 'a'
substr(s, -3, 0) = ''
substr(s, -2, 5) = 'bc'
substr(s, -3, 2) = 'ab'
substr(s, -100, 99) = 'ab'
substr(s || s2, -4, 3) = 'bca'
substr(s, 0, 2) = 'a'
substr(s, instr(s, 'b') + 1) = 'c'
substr(s, 100) = ''
instr(s, 'b') > 0
instr(s, '')
replace(s, 'b', 'xx') = 'axxc'
replace(s, s2, '') = ''
replace(s, 'b', NULL) IS NULL
coalesce(s, 'none') = 'none'
coalesce(n, small, 0) = 0
ifnull(n, -1) = -1
nullif(n, 5) IS NULL
nullif(nocase, 'ABC') IS NULL
nullif('x', rt) = 'x'
nullif('ABC', nocase) IS NULL
coalesce('a' <> 'b', nullif(NULL, n)) = 1
CASE WHEN n > 0 THEN r > 1 ELSE CAST(NULL AS BLOB) END
iif(n > 0, 'pos', 'neg') = 'pos'
CASE WHEN n > 0 THEN 1 WHEN n < 0 THEN -1 ELSE 0 END = 1
CASE n WHEN 5 THEN 'five' WHEN '9' THEN 'nine' END = 'nine'
CASE n WHEN 5 THEN 1 WHEN 9 THEN 2 WHEN NULL THEN 3 ELSE 4 END > 1
CASE n WHEN small THEN 1 WHEN 1.5 THEN 2 ELSE 3 END = 3
CASE r WHEN 0.1 THEN 1 WHEN 1.5 THEN 2 END = 2
CASE nocase WHEN 'ABC' THEN 1 WHEN 'zZ' THEN 2 ELSE 3 END < 3
CASE s WHEN 'abc' THEN 1 WHEN s2 THEN 2 END = 1
CASE flag WHEN 1 THEN 'on' WHEN 0 THEN 'off' END = 'on'
CASE d WHEN '2024-01-31' THEN 1 WHEN '1999-12-31' THEN 2 END
CASE WHEN n > 0 THEN 1.5 ELSE 2 END > 1.7
typeof(n) = 'integer'
typeof(s) IN ('text', 'null')
typeof(r) = 'real' AND typeof(b) = 'blob'
unicode(s) = 97
unicode(s) IS NULL
s = char(97, 98, 99)
printf('%d-%s', n, s) = '5-abc'
printf('%05d', n) = '-0007'
printf('%03d|%s', n, s) LIKE '100|%'
printf('%02d', n) = '-7'
printf('%03d', n) = '-07'
printf('%09d|%01d|%0d', n, small, n) = '000000005|7|5'
printf('%030d', n) LIKE '%1099511627776'
printf('%05d', length(s)) = '00003'
printf('%03d', n * 1000) = '5000'
hex(b) = '0102'
b = x'0102'
b > x'01'
b IS NULL OR length(b) < 3
substr(b, 1, 1) = x'61'
flag = 1
flag = 0
flag
NOT flag
flag IN (0, 1)
flag NOT IN (0)
flag <> 1
flag > 0
flag >= 0 AND flag < 2
flag = TRUE
flag IS TRUE
flag IS NOT FALSE
flag IS 1
flag IS NOT 1
flag = (n > 0)
flag + 1 = 2
flag * n > 0
coalesce(flag, 0) = 0
CASE WHEN flag THEN n ELSE 0 END > 3
(n > 0) = 1
(n > 0) + (r > 0) = 2
n IS TRUE
n IS NOT TRUE
d = '2024-01-31'
d > '2024-01-31'
d BETWEEN '2024-01-01' AND '2024-12-31'
d IN ('2024-02-29', '1999-12-31')
ts >= '2024-01-31'
ts < '2024-01-31'
ts >= '2024-01-31 10:20:30'
ts = '2024-01-31 10:20:30'
ts2 >= ts
ts2 > ts
ts IS ts2
date(ts) = '2024-01-31'
date(ts) = d
date(d) = d
datetime(ts) = '2024-01-31 10:20:30'
time(ts) = '10:20:30'
strftime('%Y', d) = '2024'
strftime('%Y-%m', ts) = '2024-02'
strftime('%d.%m.%Y %H:%M:%S', ts) = '31.01.2024 10:20:30'
strftime('%j', d) = '031'
strftime('%w', d) = '3'
strftime('%w', ts2) = '6'
strftime('%j', ts2) = '365'
strftime('%s', ts) = '1706696430'
CAST(strftime('%Y', d) AS INTEGER) > 2000
n < strftime('%Y', d)
date(ts, '+1 day') = '2024-02-01'
date(d, '+1 month') = '2024-03-02'
date(d, '-1 month') = '2024-03-02'
date(d, '+1 month', '+1 month', '-1 year', '+13 months') > '2024-05-01'
datetime(ts2, '-14 months') = '1998-10-31 23:59:59'
date(d, '-3000 years', '+3000 years') = d
date(d, '+48 months', '-4 years') = d
datetime(ts, '+1 month', 'start of month', '+2 hours') = '2024-03-01 02:00:00'
date(d, '+1 year') = '2025-03-01'
date(d, 'start of month', '+1 month', '-1 day') = '2024-02-29'
datetime(ts, '+90 minutes') = '2024-01-31 11:50:30'
julianday(ts) > 2460341
julianday(ts2) - julianday(ts) > 0
datetime(tz) = '2024-01-31 08:20:30'
date(tz) = '2024-03-01'
epoch > 1000
epoch = 0
epoch IN (1, 1700000000)
date(epoch, 'unixepoch') = '2023-11-14'
datetime(epoch, 'unixepoch') = '1970-01-01 00:00:00'
tm > '10:00:00'
tm = '00:00:00'
tm BETWEEN '00:00:00' AND '11:00:00'
json_valid(j) OR j IS NULL
json_extract(j, '$.a.b') = 'x'
json_extract(j, '$.a.b') IS NULL
json_extract(j, '$.l[1]') = 'q'
j ->> '$.a.b' = 'x'
j ->> 'n' IS NOT NULL
json_extract(j, '$.a.b') IN ('x', 'y')
j = '[1, 2]'
length(j) > 8
j LIKE '%"a"%'
code = 'WKT'
code NOT IN ('PROJString', 'WKT')
code = 4326
code = '4326'
code = '04326'
code IN (5, 'WKT')
code IS NULL OR length(code) >= 1
code LIKE '4%'
u = '6f9619ff-8b86-d011-b42d-00cf4fc964ff'
u IN ('7f9619ff-8b86-d011-b42d-00cf4fc964ff')
u IS NOT NULL
"odd ""name" > 2
[odd "name] * 2 > 6
`odd "name` % 3 = 0
NOT n = 5
NOT n IS NULL
NOT n BETWEEN 1 AND 5 AND s IS NOT NULL
n = 5 = flag
n > 0 = flag
n - 1 - 1 = 3
n - (1 - 1) = 5
2 * (n + 1) = 12
-n + 5 = 0
- - n = 5
length(s) * 2 > n
length(s) * length(s2) > 8
(s = 'abc') IS NULL
n > 0 OR r > 0 AND flag
(n > 0 OR r > 0) AND flag
1
0
1.5
TRUE
NULL
"""

VALUES = [
    ("n * 2", "bigint"),
    ("small * 2", "bigint"),
    ("small + 1", "smallint"),
    ("n / 3", "bigint"),
    ("n * r", "double precision"),
    ("r", "numeric"),
    ("r / 3", "numeric"),
    ("p * n", "numeric"),
    ("p * 1.1", "double precision"),
    ("n", "numeric(20,2)"),
    ("n > 0", "boolean"),
    ("n > 0", "bigint"),
    ("CASE WHEN n > 0 THEN 1 ELSE 0 END", "boolean"),
    ("flag", "bigint"),
    ("s || '-' || s2", "text"),
    ("lower(s)", "text"),
    ("n", "text"),
    ("d", "text"),
    ("length(s)", "bigint"),
    ("strftime('%Y', d)", "bigint"),
    ("strftime('%Y-%m-%d', ts)", "text"),
    ("strftime('%s', ts)", "text"),
    ("strftime('%s', ts2)", "bigint"),
    ("date(ts)", "date"),
    ("date(ts)", "text"),
    ("datetime(ts, '+1 month')", "timestamp without time zone"),
    ("datetime(ts)", "text"),
    ("julianday(ts)", "double precision"),
    ("julianday(tz)", "double precision"),
    ("strftime('%H:%M', tz)", "text"),
    ("time(ts)", "text"),
    ("coalesce(n, 0)", "bigint"),
    ("coalesce(r, n)", "double precision"),
    ("substr(s, 1, 1) || '.'", "text"),
    ("printf('%06d', id)", "text"),
    ("round(r)", "double precision"),
    ("round(r / 3 - 0.3)", "double precision"),
    ("round(p)", "numeric"),
    ("min(s, s2)", "text"),
    ("max(b, x'01')", "bytea"),
    ("max(ts, ts2)", "timestamp without time zone"),
    ("printf('%05d', n)", "text"),
    ("date(d, '+1 month')", "text"),
    ("abs(r)", "double precision"),
    ("max(n, r)", "double precision"),
    ("n % 7", "bigint"),
    ("hex(b)", "text"),
    ("b", "bytea"),
    ("NULL", "text"),
    ("'it''s'", "text"),
    ("nullif(s, '')", "text"),
    ("iif(flag, s, s2)", "text"),
    ("n", ""),
    ("lower(nocase)", ""),
    ("coalesce(s, 'x')", ""),
    ("n + small", ""),
]

VIEWS = [
    "SELECT * FROM t",
    "SELECT t.*, n * 2 AS double FROM t WHERE n > 0",
    "SELECT id, n AS x, 'lit' AS y, NULL AS z, 1.5 AS w, x'01' AS v FROM t",
    "SELECT id, n > 0 AS positive, flag, NOT flag AS un, coalesce(flag, 0) AS cf FROM t",
    ("SELECT count(*) AS c, count(n) AS cn, sum(n) AS sn, avg(n) AS an, total(n) AS tn, "
    "min(n) AS mn, max(s) AS ms, sum(flag) AS sf, max(flag) AS mf, min(d) AS md FROM t"),
    "SELECT sum(n) AS s, total(n) AS t, avg(n) AS a FROM t WHERE id < 0",
    "SELECT flag, count(*) AS c, sum(r) AS s FROM t GROUP BY flag",
    "SELECT flag AS f, count(*) AS c FROM t GROUP BY f HAVING count(*) > 1",
    "SELECT strftime('%Y', d) AS year, count(*) AS c FROM t GROUP BY 1 ORDER BY 1",
    "SELECT flag, count(DISTINCT s) AS c FROM t GROUP BY flag ORDER BY c DESC, flag",
    "SELECT DISTINCT flag FROM t ORDER BY flag",
    "SELECT DISTINCT s FROM t ORDER BY s DESC",
    "SELECT id FROM t ORDER BY s, n DESC",
    "SELECT id FROM t ORDER BY n DESC LIMIT 2 OFFSET 1",
    "SELECT id FROM t ORDER BY nocase COLLATE NOCASE, id DESC LIMIT 5",
    "SELECT a.id AS i, b.id AS k FROM t a JOIN t b ON a.n < b.n",
    "SELECT a.id AS i, b.id AS k FROM t AS a LEFT JOIN t AS b ON a.u = b.u AND a.id <> b.id",
    "SELECT a.id AS i, b.id AS k FROM t a, t b LEFT JOIN u ON u.t_id = a.id WHERE a.n = b.n",
    "SELECT t.id, name FROM t LEFT JOIN u ON u.t_id = t.id",
    "SELECT * FROM t JOIN u USING (id)",
    "SELECT id, t_id FROM t LEFT JOIN u USING (id)",
    "SELECT t.id AS i, u.id AS k FROM t CROSS JOIN u",
    "SELECT t.id AS i, u.id AS k FROM u RIGHT JOIN t ON u.t_id = t.id",
    "SELECT t.id AS i, u.id AS k FROM u FULL JOIN t ON u.t_id = t.id",
    "SELECT t.id, t.s, count(u.id) AS c FROM t LEFT JOIN u ON u.t_id = t.id GROUP BY t.id",
    "SELECT id, (SELECT name FROM u WHERE u.t_id = t.id ORDER BY name) AS first FROM t",
    "SELECT id, (SELECT count(*) FROM u WHERE u.t_id = t.id) AS c FROM t",
    "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id)",
    "SELECT id FROM t WHERE id IN (SELECT t_id FROM u)",
    "SELECT id FROM t WHERE n > (SELECT avg(n) FROM t WHERE n < 1000)",
    "SELECT x.i, x.m FROM (SELECT id AS i, n * 2 AS m FROM t WHERE n > 0) x WHERE x.m > 10",
    "SELECT i FROM (SELECT id AS i FROM t) WHERE i > 3",
    ("WITH big AS (SELECT id, n FROM t WHERE n > 5), c(k) AS (SELECT count(*) FROM big) "
    "SELECT big.id, c.k FROM big, c"),
    "SELECT id, s FROM t WHERE n > 0 UNION ALL SELECT id, name FROM u",
    "SELECT s FROM t UNION SELECT s2 FROM t ORDER BY 1",
    "SELECT id FROM t EXCEPT SELECT t_id FROM u",
    "SELECT id FROM t EXCEPT SELECT 1 INTERSECT SELECT 2",
    "SELECT id FROM t UNION SELECT id FROM u UNION ALL SELECT 1 ORDER BY id DESC LIMIT 3",
    "SELECT 'a' AS k, flag FROM t UNION ALL SELECT 'b', CAST(0 AS BOOLEAN) FROM u",
    "SELECT id, NULL AS x FROM t UNION ALL SELECT id, name FROM u",
    "SELECT id, n FROM t UNION ALL SELECT id, 1.5 FROM u",
    "SELECT t_id, group_concat(name) AS names FROM (SELECT * FROM u ORDER BY id) GROUP BY t_id",
    "SELECT t_id, group_concat(name, '; ') AS names FROM u WHERE id = 1 GROUP BY t_id",
    ("SELECT id, row_number() OVER (ORDER BY n DESC) AS k, sum(n) OVER (PARTITION BY flag) AS s, "
    "lag(n) OVER (ORDER BY id) AS p, rank() OVER (ORDER BY s) AS q FROM t"),
    "SELECT count(*) FILTER (WHERE n > 0) AS c, sum(n) FILTER (WHERE flag) AS s FROM t",
    ("SELECT id, printf('%s #%d', s, n) AS label, upper(substr(s, 1, 1)) || substr(s, 2) AS cap "
    "FROM t"),
    ("SELECT id, date(ts) AS d, strftime('%H:%M', ts) AS h, julianday(ts2) - julianday(ts) AS gap "
    "FROM t"),
    "SELECT id, datetime(epoch, 'unixepoch') AS at FROM t",
    "SELECT id, CASE WHEN n > 0 THEN 'p' WHEN n < 0 THEN 'n' END AS sign FROM t",
    "SELECT \"odd \"\"name\" AS \"a \"\"b\" FROM t",
    "SELECT T.ID, T.S FROM main.T WHERE t.Id = 1",
    "SELECT id, s FROM t WHERE s LIKE 'a%' AND id IS NOT NULL",
    "SELECT id, n FROM t WHERE n > 0 AND ts < datetime('now') AND d < date('now', '-1 day')",
    "SELECT flag, max(n) - min(n) AS spread FROM t GROUP BY flag HAVING spread > 1",
    "SELECT code, count(*) AS c FROM t GROUP BY code",
]  # fmt: skip


OTHER = """
CREATE TABLE u(id INTEGER PRIMARY KEY, t_id INT, name TEXT)
"""
OTHER_TYPES = {"id": "bigint", "t_id": "bigint", "name": "text"}
OTHER_ROWS = [(1, 1, "one"), (2, 1, "another"), (3, 2, "two"), (20, None, None)]


@dataclass(frozen=True)
class Pair:
    """The same tables in both."""

    sqlite: sqlite3.Connection
    postgres: psycopg.Connection[Any]
    translator: Translator
    relations: dict[str, Relation]


def planned(name: str, types: dict[str, str]) -> PlannedTable:
    columns = [
        PlannedColumn(
            source,
            source,
            type_name,
            conversion="",
            evidence="",
            storage_class=CLASSES.get(source, MIXED.get(source, "text")),
            unit="s" if source == "epoch" else "",
        )
        for source, type_name in types.items()
    ]
    return PlannedTable(name, name, tuple(columns))


def in_postgres(source: str, value: Any) -> Any:
    """A value of a column as the documented mapping has it."""
    if value is None:
        return None
    match TYPES.get(source, ""):
        case "boolean":
            return bool(value)
        case "numeric":
            return Decimal(repr(value))
        case "timestamp with time zone" if isinstance(value, int):
            return datetime.fromtimestamp(value, tz=UTC)
        case "timestamp with time zone":
            return datetime.fromisoformat(value)
        case "text":
            return str(value)
    return value


def fill(connection: psycopg.Connection[Any], name: str, types: dict[str, str], rows: Any) -> None:
    table = sql.Identifier(name)
    columns = [sql.SQL("{} {}").format(sql.Identifier(c), sql.SQL(t)) for c, t in types.items()]
    create = sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY (id))")
    connection.execute(create.format(table, sql.SQL(", ").join(columns)))
    holders = sql.SQL(", ").join(sql.SQL("%s::{}").format(sql.SQL(t)) for t in types.values())
    insert = sql.SQL("INSERT INTO {} VALUES ({})").format(table, holders)
    for row in rows:
        values = [in_postgres(c, v) for c, v in zip(types, row, strict=True)]
        connection.execute(insert, values)


@pytest.fixture(scope="module")
def both(postgres: PostgresServer) -> Iterator[Pair]:
    """Both with `t` and `u` in them."""
    name = postgres.create_database()
    with (
        closing(sqlite3.connect(":memory:")) as source,
        psycopg.connect(postgres.dsn(dbname=name), autocommit=True) as target,
    ):
        set_json_loads(lambda text: text.decode() if isinstance(text, bytes) else text, target)
        target.execute("SET TIME ZONE 'Asia/Kolkata'")
        source.execute(CREATE)
        source.execute(OTHER)
        source.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(TYPES))})", ROWS)
        source.executemany("INSERT INTO u VALUES (?, ?, ?)", OTHER_ROWS)
        fill(target, "t", TYPES, ROWS)
        fill(target, "u", OTHER_TYPES, OTHER_ROWS)
        schema = inspect_schema(source)
        relations = {}
        for table, types in (("t", TYPES), ("u", OTHER_TYPES)):
            found = schema.table(table)
            assert found is not None
            columns = columns_of(found, planned(table, types))
            relations[table] = Relation(f'"public"."{table}"', columns, ("id",))
        table = schema.table("t")
        assert table is not None
        yield Pair(source, target, Translator.of(table, planned("t", TYPES)), relations)
    postgres.drop_database(name)


def same(found: Any, expected: Any) -> bool:
    """Whether PostgreSQL's value is SQLite's, under the documented mapping."""
    if found is None or expected is None:
        return found is expected
    if isinstance(found, bool):
        return found == bool(expected)
    if isinstance(found, Decimal):
        return found == Decimal(repr(expected)) or float(found) == expected
    if isinstance(found, datetime):
        if isinstance(expected, int):
            return found.timestamp() == expected
        return found == datetime.fromisoformat(expected)
    if isinstance(found, date | time):
        return found.isoformat() == expected
    if isinstance(found, uuid.UUID):
        return str(found) == expected
    if isinstance(found, int | float):
        return not isinstance(expected, str | bytes) and found == expected
    if isinstance(found, str) and isinstance(expected, int):
        return found == str(expected)
    return type(found) is type(expected) and found == expected


def truths(both: Pair, condition: str) -> dict[int, int | None]:
    """By the row's key: what SQLite takes the condition for."""
    truth = f"CASE WHEN ({condition}) THEN 1 WHEN NOT ({condition}) THEN 0 END"
    return dict(both.sqlite.execute(f"SELECT id, {truth} FROM t"))


def translated_truths(both: Pair, translated: str) -> dict[int, int | None]:
    """The same of PostgreSQL."""
    found = both.postgres.execute(f"SELECT id, {translated} FROM t")
    return {key: None if value is None else int(value) for key, value in found}


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_whatever_is_translated_agrees(both: Pair, soak: Soak) -> None:
    made = RandomExpressions(soak.random(), [name for name in TYPES if '"' not in name])
    agreed = 0
    for _ in range(soak.scale(2_000, 200_000)):
        condition = made.condition()
        try:
            expected = truths(both, condition)
            translated = both.translator.condition(condition)
        except (sqlite3.OperationalError, NotTranslatable):
            continue
        try:
            assert translated_truths(both, translated) == expected, (condition, translated)
        except psycopg.errors.NumericValueOutOfRange:
            continue  # SQLite goes on with reals, as is documented
        agreed += 1
    assert agreed > soak.scale(100, 10_000)


@pytest.mark.parametrize("condition", CONDITIONS.strip().splitlines())
def test_conditions(both: Pair, condition: str) -> None:
    translated = both.translator.condition(condition)
    expected = truths(both, condition)
    assert len(expected) == len(ROWS)
    assert translated_truths(both, translated) == expected
    with both.postgres.transaction(force_rollback=True):
        # What it holds for passes a CHECK, and what is NULL does too.
        both.postgres.execute(f"DELETE FROM t WHERE NOT {translated}")
        both.postgres.execute(f"ALTER TABLE t ADD CHECK ({translated})")
        both.postgres.execute(f"CREATE INDEX ON t (id) WHERE {translated}")
        count = both.postgres.execute("SELECT count(*) FROM t").fetchone()
    assert count == (sum(value != 0 for value in expected.values()),)


@pytest.mark.parametrize(("expression", "type_name"), VALUES)
def test_values(both: Pair, expression: str, type_name: str) -> None:
    translated = both.translator.value(expression, type_name)
    declared = {"bigint": "INT", "numeric": "NUMERIC", "text": "TEXT", "boolean": "BOOLEAN"}
    affinity = declared.get(type_name.partition("(")[0], "")
    both.sqlite.execute("SAVEPOINT before")
    try:
        both.sqlite.execute(f"ALTER TABLE t ADD COLUMN made {affinity} AS ({expression})")
        expected = dict(both.sqlite.execute("SELECT id, made FROM t"))
    finally:
        both.sqlite.execute("ROLLBACK TO before")
        both.sqlite.execute("RELEASE before")
    with both.postgres.transaction(force_rollback=True):
        if type_name:
            add = f"ALTER TABLE t ADD made {type_name} GENERATED ALWAYS AS ({translated}) STORED"
            both.postgres.execute(add)
            found = dict(both.postgres.execute("SELECT id, made FROM t"))
        else:
            both.postgres.execute(f"CREATE INDEX ON t (({translated}))")
            found = dict(both.postgres.execute(f"SELECT id, {translated} FROM t"))
    assert found.keys() == expected.keys()
    different = {
        key: (value, expected[key])
        for key, value in found.items()
        if not same(value, expected[key])
    }
    assert different == {}


@pytest.mark.parametrize("query", VIEWS)
def test_views(both: Pair, query: str) -> None:
    both.sqlite.execute(f"CREATE TEMP VIEW made AS {query}")
    try:
        cursor = both.sqlite.execute("SELECT * FROM made")
        expected = cursor.fetchall()
        names = [column[0] for column in cursor.description]
    finally:
        both.sqlite.execute("DROP VIEW made")
    view = translate_view(f"CREATE VIEW made AS {query}", both.relations, names)
    assert list(view.columns) == names
    with both.postgres.transaction(force_rollback=True):
        both.postgres.execute(f"CREATE VIEW made AS {view.sql}")
        made = both.postgres.execute("SELECT * FROM made")
        found = made.fetchall()
        assert [column.name for column in made.description or ()] == names
        types = both.postgres.execute(
            "SELECT format_type(atttypid, NULL) FROM pg_attribute "
            "WHERE attrelid = 'made'::regclass AND attnum > 0 ORDER BY attnum"
        ).fetchall()
    assert [name for (name,) in types] == [column.type for column in view.columns.values()]
    if not ordered(query):
        expected = rearranged(found, expected)
    assert len(found) == len(expected)
    different = [
        (one, other)
        for one, other in zip(found, expected, strict=True)
        if not all(map(same, one, other))
    ]
    assert different == []


DEFAULTS = [
    ("'it''s'", "TEXT", "text"),
    ("word", "TEXT", "text"),
    ('"quoted"', "TEXT", "text"),
    ("5", "TEXT", "text"),
    ("1.5", "TEXT", "text"),
    ("''", "TEXT", "text"),
    ("5", "INT", "bigint"),
    ("-5", "INT", "bigint"),
    ("'7'", "INT", "bigint"),
    ("5.0", "INT", "bigint"),
    ("0x10", "INT", "bigint"),
    ("-9223372036854775808", "INT", "bigint"),
    ("(1 + 2 * 3)", "INT", "bigint"),
    ("(-5)", "INT", "smallint"),
    ("true", "BOOLEAN", "boolean"),
    ("FALSE", "BOOLEAN", "boolean"),
    ("0", "BOOLEAN", "boolean"),
    ("1", "BOOLEAN", "boolean"),
    ("1.5", "REAL", "double precision"),
    ("1", "REAL", "double precision"),
    ("-1e300", "REAL", "double precision"),
    ("'2.5'", "REAL", "double precision"),
    ("9e999", "REAL", "double precision"),
    ("1.10", "NUMERIC", "numeric"),
    ("12", "NUMERIC", "numeric(10,2)"),
    ("x'00ff'", "BLOB", "bytea"),
    ("'abc'", "BLOB", "bytea"),
    ("NULL", "TEXT", "text"),
    ("'2024-01-31'", "DATE", "date"),
    ("'2024-01-31 10:20:30'", "DATETIME", "timestamp without time zone"),
    ("'2024-01-31'", "DATETIME", "timestamp without time zone"),
    ("'2024-01-31T10:20:30+02:00'", "DATETIME", "timestamp with time zone"),
    ("'2024-01-31T10:20:30Z'", "DATETIME", "timestamp with time zone"),
    ("'10:20:30'", "TIME", "time without time zone"),
    ("'{\"a\": [1]}'", "JSON", "json"),
    ("'6f9619ff-8b86-d011-b42d-00cf4fc964ff'", "UUID", "uuid"),
    ("(length('abc') || 'x')", "TEXT", "text"),
    ("(upper('abc'))", "TEXT", "text"),
    ("(date('2024-01-31', '+1 month'))", "TEXT", "text"),
    ("(strftime('%Y', '2024-01-31'))", "TEXT", "text"),
    ("(julianday('2024-01-31 10:00'))", "REAL", "double precision"),
    ("(coalesce(NULL, 5))", "INT", "bigint"),
]


@pytest.mark.parametrize(("default", "declared", "type_name"), DEFAULTS)
def test_defaults(both: Pair, default: str, declared: str, type_name: str) -> None:
    with made_by_default(both, default, declared, type_name) as (found, expected):
        pass
    if isinstance(found, datetime) and isinstance(expected, str) and found.tzinfo is None:
        expected = datetime.fromisoformat(expected).isoformat()
    if isinstance(found, bytes) and isinstance(expected, str):
        expected = expected.encode()
    assert same(found, expected), f"{found!r} and {expected!r}"


@contextmanager
def made_by_default(
    both: Pair, default: str, declared: str, type_name: str
) -> Iterator[tuple[Any, Any]]:
    """PostgreSQL's and SQLite's value; the table `made` is there meanwhile."""
    both.sqlite.execute(f"CREATE TABLE made(id INT, c {declared} DEFAULT {default})")
    try:
        table = inspect_schema(both.sqlite).table("made")
        assert table is not None
        told = table.columns[1].default
        both.sqlite.execute("INSERT INTO made(id) VALUES (1)")
        (expected,) = both.sqlite.execute("SELECT c FROM made").fetchone()
    finally:
        both.sqlite.execute("DROP TABLE made")
    assert told is not None
    translated = both.translator.default(told, type_name)
    with both.postgres.transaction(force_rollback=True):
        both.postgres.execute(f"CREATE TABLE made(id int, c {type_name} DEFAULT {translated})")
        both.postgres.execute("INSERT INTO made(id) VALUES (1)")
        found = both.postgres.execute("SELECT c FROM made").fetchone()
        assert found is not None
        yield found[0], expected


NOW = [
    ("CURRENT_TIMESTAMP", "DATETIME", "timestamp without time zone"),
    ("CURRENT_TIMESTAMP", "DATETIME", "timestamp with time zone"),
    ("CURRENT_TIMESTAMP", "TEXT", "text"),
    ("(datetime('now'))", "DATETIME", "timestamp without time zone"),
    ("(datetime('now', '+1 day'))", "DATETIME", "timestamp with time zone"),
    ("(datetime('now'))", "TEXT", "text"),
    ("(strftime('%Y-%m-%d %H:%M:%S', 'now'))", "TEXT", "text"),
    ("(strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))", "TEXT", "text"),
    ("CURRENT_DATE", "DATE", "date"),
    ("(date('now'))", "TEXT", "text"),
    ("(date('now', 'start of year', '-1 year'))", "DATE", "date"),
    ("CURRENT_TIME", "TIME", "time without time zone"),
    ("(time('now'))", "TEXT", "text"),
    ("(strftime('%s', 'now'))", "INT", "bigint"),
    ("(strftime('%s', 'now'))", "TEXT", "text"),
    ("(unixepoch())", "INT", "bigint"),
    ("(strftime('%s', 'now') * 1000)", "INT", "bigint"),
    ("(strftime('%Y', 'now'))", "INT", "bigint"),
    ("(julianday('now'))", "REAL", "double precision"),
]


@pytest.mark.parametrize(("default", "declared", "type_name"), NOW)
def test_defaults_of_now(both: Pair, default: str, declared: str, type_name: str) -> None:
    with made_by_default(both, default, declared, type_name) as (found, expected):
        assert near(found, expected), f"{found!r} and {expected!r}"


def near(found: Any, expected: Any) -> bool:
    """Whether both were taken within two minutes, and look alike."""
    if isinstance(found, int | float):
        scale = {int: 1000 if expected > 10**11 else 1, float: 1 / 86400}[type(found)]
        return abs(found - expected) <= 120 * scale
    if isinstance(found, str):
        shape = str.maketrans("0123456789", "9999999999")
        if found.translate(shape) != expected.translate(shape):
            return False
        return found[:10] == expected[:10] or "00:0" in found + expected or found.isdigit()
    if isinstance(found, datetime):
        zone = found.tzinfo and UTC
        moment = datetime.fromisoformat(expected).replace(tzinfo=zone)
        return abs((found - moment).total_seconds()) <= 120
    return isinstance(found, time) or found.isoformat() == expected


RANDOM = [
    ("(lower(hex(randomblob(16))))", "TEXT", "text", "[0-9a-f]{32}"),
    ("(hex(randomblob(4)))", "TEXT", "text", "[0-9A-F]{8}"),
    ("(lower(hex(randomblob(20))))", "TEXT", "text", "[0-9a-f]{40}"),
    (
        (
            "(lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4' || "
            "substr(lower(hex(randomblob(2))), 2) || '-' || "
            "substr('89ab', abs(random()) % 4 + 1, 1) "
            "|| substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6))))"
        ),
        "UUID",
        "uuid",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    ),
    ("(hex(randomblob(16)))", "UUID", "uuid", "[0-9a-f-]{36}"),
    ("(abs(random()) % 10)", "INT", "bigint", "[0-9]"),
    ("(random())", "INT", "bigint", "-?[0-9]{1,19}"),
]


@pytest.mark.parametrize(("default", "declared", "type_name", "pattern"), RANDOM)
def test_defaults_of_chance(
    both: Pair, default: str, declared: str, type_name: str, pattern: str
) -> None:
    with made_by_default(both, default, declared, type_name):
        both.postgres.execute("INSERT INTO made(id) SELECT generate_series(2, 100)")
        found = [str(value) for (value,) in both.postgres.execute("SELECT c FROM made")]
    assert all(re.fullmatch(pattern, value) for value in found), found[0]
    assert len(set(found)) > 5


def ordered(query: str) -> bool:
    """Whether its rows come in an order that it asks for."""
    return " ORDER BY " in query.rpartition(" FROM ")[2].rpartition(")")[2]


def rearranged(found: list[Any], expected: list[Any]) -> list[Any]:
    """The expected rows in the order of those that they are the same as; the others at the end."""
    left = list(expected)
    made = []
    for row in found:
        alike = next((each for each in left if all(map(same, row, each))), None)
        if alike is not None:
            left.remove(alike)
            made.append(alike)
    return [*made, *left]
