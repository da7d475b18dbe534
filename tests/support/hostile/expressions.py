"""Defaults, CHECKs and generated columns: SQL that has to be said in PostgreSQL's way."""

from typing import Final

from tests.support.hostile.case import sql

CASES: Final = (
    sql(
        "defaults_literal",
        "defaults that are quoted wrongly, or mean something else for the new type",
        "create table t(id integer primary key, a int default -1, b text default 'it''s',"
        " c blob default x'00ff', d int default NULL, e boolean default TRUE, f boolean default 0,"
        " g boolean default '1', h text default 5, i real default 1e3, j int default +5,"
        " k text default \"quoted\", l date default '2024-01-01', m numeric default .5,"
        " n text default '', o json default '{}', p datetime default '2024-01-01 10:00',"
        " q text default NULL, r int default 0x10, s int default '7', u text default true,"
        " v boolean default 'yes', w decimal(5,2) default 1.5, x default 'any', y default 3)",
        "insert into t(id) values(1)",
        "insert into t(id) values(2)",
    ),
    sql(
        "defaults_expressions",
        "defaults that compute",
        "create table t(id integer primary key, a int default (1+1), b text default ('a'||'b'),"
        " c text default (upper('x')), d real default (1/2), e text default (date('now')),"
        " f datetime default (datetime('now', '+1 day')), g text default (hex(x'ff')),"
        " h int default (abs(-3)), i int default (random()), j datetime default CURRENT_TIMESTAMP,"
        " k date default CURRENT_DATE, l text default CURRENT_TIMESTAMP,"
        " m real default (julianday('2024-01-01')), n int default (unixepoch()),"
        " o text default (printf('%05d', 7)), p int default (length('abc')))",
        "insert into t(id) values(1)",
    ),
    sql(
        "defaults_that_do_not_fit",
        "a default that its column's type does not take",
        "create table t(id integer primary key, a int default 'abc', b boolean default 'maybe',"
        " c date default 'never', d json default '{', e uuid default 'x', f smallint default 99999,"
        " g datetime default 0, h time default '25:00', i decimal(3,1) default 12345)",
        "insert into t values(1,1,1,'2024-01-01','[]',NULL,1,'2024-01-01','10:00',1)",
    ),
    sql(
        "checks_of_booleans",
        "CHECK (flag IN (0, 1)) over what is a boolean now",
        "create table t(id integer primary key, a boolean check(a in (0,1)),"
        " b boolean not null default 1 check(b = 0 or b = 1), c bool check(c), d bool,"
        " check(a + b < 3), check(d is not 1), check(not c or b), check(d between 0 and 1),"
        " check(case when a then b else 1 end))",
        "insert into t values(1,0,1,1,0),(2,1,1,NULL,NULL)",
    ),
    sql(
        "checks_of_texts",
        "GLOB, LIKE without case, regular expressions, double-quoted strings",
        "create table t(id integer primary key, a text check(a glob '[A-Z]*'),"
        " b text check(b like 'x%'), c text check(length(trim(c)) > 0), d text"
        " check(d in ('x', 'y', \"z\")), e text check(instr(e, '@') > 1),"
        " f text check(substr(f, 1, 1) = '/'), g text check(g = lower(g)),"
        " h text check(h not like '%\\_%' escape '\\'), i text check(i <> ''),"
        " j text check(upper(j) is not 'BAD'), k text check(replace(k, '-', '') glob '[0-9]*'))",
        "insert into t values(1,'Ab','Xyz','c','z','a@b','/f','g','h','i','j','12-3')",
        "insert into t values(2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)",
    ),
    sql(
        "checks_of_numbers",
        "integer division, remainder, bits, comparisons with text",
        "create table t(id integer primary key, a int check(a / 2 > 1), b int check(b % 3 = 0),"
        " c real check(c >= 0.0 and c <= 1), d int check((d & 1) = 1), e int check(e),"
        " f int check(f > '5'), g numeric check(round(g, 2) = g), h int check(h between 1 and 9),"
        " i int check(-i < 0), j int check(j << 1 > 4), k int check(abs(k) == k),"
        " l int check(max(l, 3) = l), m int check(m isnull or m notnull), n int check(n is 5),"
        " o int check(~o < 0), p int check(a < p))",
        "insert into t values(1,5,3,0.5,3,1,7,1.25,5,1,4,2,9,1,5,1,9)",
    ),
    sql(
        "checks_of_types",
        "typeof(), which has no meaning in PostgreSQL",
        "create table t(id integer primary key, a check(typeof(a) = 'integer'),"
        " b text check(typeof(b) in ('text', 'null')), c real check(typeof(c) = 'real' and c > 0),"
        " d blob check(typeof(d) = 'blob' and length(d) = 2))",
        "insert into t values(1,1,'x',1.5,x'0102')",
    ),
    sql(
        "checks_of_json_and_dates",
        "functions of SQLite's own",
        "create table t(id integer primary key, j json check(json_valid(j)),"
        " k text check(json_valid(k)), l json check(json_extract(l, '$.a') > 0),"
        " m json check(json_type(m) = 'array'), d date check(d > '2020-01-01'),"
        " e text check(e is date(e)), f datetime check(f <= datetime(f, '+1 day')),"
        " g text check(strftime('%Y', g) = '2024'), h date check(julianday(h) > 2450000),"
        " i text check(date(i) is not null))",
        "insert into t values(1,'{}','[]','{\"a\":1}','[]','2024-01-01','2024-01-01',"
        "'2024-01-01 10:00','2024-05-05','2024-01-01','2024-01-01')",
    ),
    sql(
        "checks_violated",
        "rows that were there before the CHECK, or were let through",
        "create table t(id integer primary key, n int constraint positive check(n > 0), s text,"
        " check(length(s) < 3))",
        "pragma ignore_check_constraints = on",
        "insert into t values(1,-1,'long'),(2,5,'ab'),(3,0,'abc')",
    ),
    sql(
        "checks_written_oddly",
        "comments, line ends, parentheses and words in strings inside a CHECK",
        "create table t(id integer primary key, -- check(id > 'x')\n a int /* ' */ CHECK\n((a)\n"
        " >= (0) -- it's fine )\n), b text check(b <> 'check(x)') /* check(b) */,"
        ' "check" int check("check" > 0), constraint "c 1" check((a > 0) or (b = \')\')),'
        " CONSTRAINT c2 CHECK(a IS NOT NULL) CHECK(b IS NOT NULL))",
        "insert into t values(1,1,'x',1)",
    ),
    sql(
        "checks_collated",
        "a comparison by the column's own collation",
        "create table t(id integer primary key, s text collate nocase check(s = 'abc'),"
        " r text collate rtrim check(r = 'x'), u text check(u = 'abc' collate nocase),"
        " i text collate nocase check(i in ('yes', 'no')))",
        "insert into t values(1,'ABC','x  ','aBc','YES')",
    ),
    sql(
        "generated_of_all_kinds",
        "generated columns are copied into, or dropped",
        "create table t(id integer primary key, a int, b text,"
        " v1 int generated always as (a * 2) virtual, s1 int as (a + 1) stored,"
        " v2 int as (v1 + s1), t1 text as (b || '-' || a), t2 text as (upper(b)) stored,"
        " r real as (a / 2), r2 real as (a / 2.0), n int as (length(b)) not null,"
        " x text as (printf('%03d', a)),"
        " c int as (coalesce(a, 0)) unique, k text as (substr(b, -2)), cs int as"
        " (case when a > 1 then 1 else 0 end), bo boolean as (a > 1), i int as (iif(a, 1, 2)))",
        "create index by_v2 on t(v2)",
        "insert into t(id,a,b) values(1,3,'ab'),(2,-1,''),(3,0,'ä')",
    ),
    sql(
        "json_in_the_schema",
        "a reader that trusts no schema takes JSON functions in it for an attack",
        "create table t(id integer primary key, b json, x text as (json_extract(b, '$.x')))",
        "create index by_a on t(json_extract(b, '$.a'))",
        'insert into t(id, b) values(1,\'{"a":1,"x":"y"}\'),(2,\'[]\')',
    ),
    sql(
        "generated_first",
        "a generated column before those that it is made of, and as a key",
        "create table t(g int as (a + b) stored, a int, b int, h text as (a || b) virtual unique,"
        " d datetime, e date as (date(d)), f text as (strftime('%Y', d)))",
        "insert into t(a, b, d) values(1,2,'2024-01-01 10:00'),(5,6,NULL)",
    ),
    sql(
        "generated_with_bad_values",
        "what a generated column computes does not fit its type",
        "create table t(id integer primary key, s text, n int as (s), b boolean as (s),"
        " d date as (s) stored)",
        "insert into t(id, s) values(1,'1'),(2,'x')",
    ),
    sql(
        "added_columns",
        "old rows do not hold what was added later: SQLite makes it up when it is read",
        "create table t(id integer primary key, a int, gone text)",
        "insert into t values(1,1,'x'),(2,2,'y')",
        "alter table t add column b text default 'later'",
        "alter table t add column c int not null default 7",
        "alter table t add column d real",
        "alter table t add column e boolean not null default false check(e in (0, 1))",
        "alter table t add column f text as (a || b)",
        "alter table t drop column gone",
        'alter table t rename column a to "a new"',
        "insert into t(id, b) values(3, NULL)",
    ),
    sql(
        "expressions_without_end",
        "a translation that repeats its operands grows with every level, until memory ends",
        "create table t(id integer primary key, n int, r real, s text, ts datetime,"
        f" check({'round(' * 14}r{')' * 14} > 0),"
        f" check({'max(' * 24}n{', 1)' * 24} > 0),"
        f" check({'(' * 24}n{' between 0 and 9)' * 24}),"
        f" check({'(' * 24}n{' in (n, 1))' * 24} or n),"
        f" check(date(ts{', ' + repr('+1 month')}{(', ' + repr('+1 month')) * 12}) <> ''),"
        f" check({'(' * 40}n{')' * 40} > 0),"
        f" check(s{(' || ' + repr('x')) * 900} <> ''))",
        f"create index by_r on t({'round(' * 14}r{')' * 14})",
        f"create view v as select id, {'max(' * 24}n{', 1)' * 24} as m from t"
        f" where {'(' * 20}n{' in (n, id))' * 20}",
        f"create view j as select t.id from t{''.join(f' join t as t{i}' for i in range(20))}",
        "insert into t values(1,1,1.5,'a','2024-01-31 10:00:00'),(2,5,0.5,'b','2024-02-29')",
    ),
)
