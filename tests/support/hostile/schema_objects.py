"""Views, triggers, virtual tables, and DDL that is written in unusual ways."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.support.hostile.case import Case, run, sql


def _application_collation(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_collation("german", lambda one, two: (one > two) - (one < two))
        connection.execute(
            "create table t(id integer primary key, s text collate german, u text unique)"
        )
        connection.execute("create index by_s on t(s)")
        connection.execute("create unique index by_u on t(u collate german)")
        connection.execute("insert into t values(1,'ä','x'),(2,'b','y')")


def _application_function(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("slug", 1, str.lower, deterministic=True)
        connection.execute("create table t(id integer primary key, s text, check(slug(s) <> ''))")
        connection.execute("create index by_slug on t(slug(s))")
        connection.execute("create view v as select slug(s) as s from t")
        connection.execute("insert into t values(1,'A'),(2,'b')")


def _missing_module(path: Path) -> None:
    run(
        path,
        "create table t(id integer primary key, s text)",
        "insert into t values(1,'a')",
        "pragma writable_schema = on",
        "insert into sqlite_schema values('table','spell','spell',0,"
        "'CREATE VIRTUAL TABLE spell USING spellfix1')",
        "pragma writable_schema = reset",
    )


def _null_in_not_null(path: Path) -> None:
    run(
        path,
        "create table t(id integer primary key, s text, n int)",
        "insert into t values(1,NULL,1),(2,'a',NULL),(3,NULL,NULL),(4,'b',4)",
        "pragma writable_schema = on",
        "update sqlite_schema set sql ="
        " 'create table t(id integer primary key, s text not null, n int not null)'",
        "pragma writable_schema = reset",
    )


CASES: Final = (
    Case(
        "application_collation",
        "a collation that only the application has: nothing sorted by it can be read",
        _application_collation,
    ),
    Case(
        "application_function",
        "a function that only the application has, in an index, a CHECK and a view",
        _application_function,
    ),
    Case("missing_module", "a virtual table whose module is not there", _missing_module),
    Case("null_in_not_null", "NULLs from before the column was NOT NULL", _null_in_not_null),
    sql(
        "views_of_all_kinds",
        "views that say it in SQLite's way",
        "create table t(id integer primary key, g text, n int, r real, d datetime, b boolean)",
        "insert into t values(1,'a',1,1.5,'2024-01-01 10:00',1),(2,'a',2,NULL,'2024-02-01',0),"
        "(3,'b',7,0.5,NULL,NULL)",
        "create view v_group as select g, count(*) as c, sum(n) as s, total(r) as tr,"
        " avg(n) as a, max(d) as d from t group by g",
        "create view v_concat as select g, group_concat(n, ';') as ns from t group by g",
        "create view v_window as select id, row_number() over (partition by g order by n) as rn,"
        " sum(n) over (order by id) as running from t",
        "create view v_recursive as with recursive c(x) as (select 1 union all select x + 1 from c"
        " where x < 5) select x from c",
        "create view v_on_view(a, b) as select g, c from v_group where c > 1",
        "create view v_division as select id, n / 2 as half, n % 2 as odd, n * 1.0 / 2 as h from t",
        "create view v_flag as select id from t where b",
        "create view v_flag_2 as select id, b = 1 as yes from t where b = 0 or b is null",
        "create view v_iif as select id, iif(n > 1, 'big', 'small') as size, ifnull(r, 0) as r"
        " from t",
        "create view v_values as values(1, 'one'), (2, 'two')",
        "create view v_date as select id, date(d) as day, strftime('%Y-%m', d) as month from t",
        "create view v_like as select id from t where g like 'A%'",
        "create view v_limit as select id from t order by n desc limit 2 offset 1",
        "create view v_left as select t.id, u.id as other from t left join t u on u.n = t.n + 1",
        "create view v_union as select g from t union select 'z' except select 'b'",
        "create view v_exists as select id from t where exists (select 1 from t x where x.n > t.n)",
        "create view v_case as select case g when 'a' then 1 when 'b' then 2 end as k from t",
    ),
    sql(
        "views_that_do_not_translate",
        "views that mean nothing in PostgreSQL, or something else",
        "create table t(id integer primary key, g text, n int)",
        "insert into t values(1,'a',1),(2,'a',2),(3,'b',3)",
        "create view v_bare as select g, id, max(n) as n from t group by g",
        "create view v_rowid as select rowid as r, g from t",
        "create view v_typeof as select typeof(g) as ty from t",
        "create view v_json as select key, value from json_each('[1,2]')",
        'create view v_string as select id from t where g = "a"',
        "create view v_number_as_text as select id || '' as s from t where g > 1",
        "create view v_last as select last_insert_rowid() as l",
        "create view v_same as select id, id, n as id from t",
        "create view v_noname as select 1 + 1, max(n) from t",
        "create view v_glob as select id from t where g glob 'a*'",
    ),
    sql(
        "views_broken",
        "views over tables that are gone, and views over those",
        "create table t(id integer primary key, a int)",
        "create view v_missing_table as select * from gone",
        "create view v_missing_column as select b from t",
        "create view v_on_broken as select * from v_missing_table",
        "create view v_star as select * from t",
        "alter table t add column later int default 3",
        "insert into t(id, a) values(1,2)",
    ),
    sql(
        "triggers_of_all_kinds",
        "triggers that nobody mentions",
        "create table t(id integer primary key, n int, updated_at text)",
        "create table log(what text)",
        "create view v as select id, n from t",
        "create trigger t_ai after insert on t begin insert into log values('i;''x'); end",
        "create trigger t_bu before update of n on t when new.n < 0 begin"
        " select raise(abort, 'negative'); end",
        "create trigger v_ii instead of insert on v begin insert into t(n) values(new.n); end",
        "create trigger t_ad after delete on t for each row begin select case when old.n > 0"
        " then raise(ignore) end; end",
        "insert into t(n) values(1)",
    ),
    sql(
        "full_text_search",
        "virtual tables, and the tables behind them, are copied as if they were the user's",
        "create virtual table notes using fts5(title, body)",
        "insert into notes values('a','alpha beta'),('b','gamma')",
        "create table docs(id integer primary key, body text)",
        "create virtual table docs_fts using fts5(body, content='docs', content_rowid='id')",
        "create virtual table old using fts4(x, y)",
        "insert into docs values(1,'delta')",
        "insert into old values('p','q')",
        "create table notes_extra(id integer primary key)",
        "create table other_data(id integer primary key, block blob)",
        "insert into other_data values(1, x'00')",
        "create view v as select * from notes",
    ),
    sql(
        "rtree",
        "a spatial index",
        "create virtual table boxes using rtree(id, minx, maxx, miny, maxy)",
        "insert into boxes values(1, 0, 1, 0, 1)",
        "create table places(id integer primary key references boxes(id), name text)",
        "insert into places values(1, 'here')",
    ),
    sql(
        "strict_tables",
        "STRICT tables, and ANY, which keeps what it is given",
        "create table t(id integer primary key, a int, b real, c text, d blob, e any) strict",
        "insert into t values(1,1,1.5,'x',x'00',1),(2,NULL,NULL,NULL,NULL,'007'),"
        "(3,2,2,'',x'','x')",
        "create table w(k any primary key, v int) strict, without rowid",
        "insert into w values(1,1),('1',2),(x'31',3)",
    ),
    sql(
        "created_by_select",
        "no keys, and declared types that are no more than affinities",
        "create table s(a varchar(5), b datetime, c decimal(5,2), d boolean, e)",
        "insert into s values('x','2024-01-01',1.5,1,NULL),(1,2,'z','t',x'00')",
        "create table t as select a, b, c, d, e, a || b as f, c * 2 from s",
    ),
    sql(
        "ddl_written_oddly",
        "comments and quotes of all kinds in the DDL",
        "create table if not exists \"t\" /* it's */ ( -- a 'comment' with ); in it\n"
        "  [id] INTEGER /* , */ PRIMARY KEY ASC NOT NULL,\n  `b` TEXT DEFAULT ')' -- last, one\n,"
        '\'c\' int, "d" varchar ( 10 , 2 ) collate "NOCASE"\n) -- end',
        "insert into t values(1,'x',2,'D')",
        "create table u(a int,b text,primary key(a,b),foreign key(a)references t(id))without rowid",
        "insert into u values(1,'x')",
        "create table w(a\tint\nunique,b text--\n)",
    ),
    sql(
        "statistics_and_internals",
        "SQLite's own tables are taken for the user's",
        "create table t(id integer primary key autoincrement, a int)",
        "create index by_a on t(a)",
        "insert into t(a) values(1),(2),(3)",
        "analyze",
        "pragma user_version = 42",
        "pragma application_id = 1234567",
    ),
    sql(
        "many_tables",
        "one table after another costs a round of everything",
        *(
            f"create table t{n}(id integer primary key, n int unique, p int references t{n // 2})"
            for n in range(60)
        ),
        *(f"insert into t{n} values(1,{n},1)" for n in range(60)),
    ),
)
