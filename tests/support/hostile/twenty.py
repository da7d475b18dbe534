"""Twenty kinds of trouble that most importers have been seen to fail at."""

from typing import Final

from tests.support.hostile.case import sql

CASES: Final = (
    sql(
        "01_text_in_int",
        "a text in an INTEGER column becomes NULL or 0, or ends the import without a name",
        "create table t(id integer primary key, qty integer)",
        "insert into t values(1,10),(2,'lots'),(3,5)",
    ),
    sql(
        "03_bool_01tf",
        "booleans as numbers and as words in one column",
        "create table t(id integer primary key, b boolean default 0)",
        "insert into t values(1,0),(2,1),(3,'t'),(4,'f'),(5,'true'),(6,NULL)",
    ),
    sql(
        "04b_epoch_s_datetime",
        "seconds since 1970 are taken for something else",
        "create table t(id integer primary key, d datetime)",
        "insert into t values(1,1647950409)",
    ),
    sql(
        "05b_iso_frac_tz",
        "fractions are cut, zones are dropped",
        "create table t(id integer primary key, d datetime)",
        "insert into t values(1,'2024-01-01T10:00:00.123456Z'),(2,'2024-01-01 10:00'),"
        "(3,'2024-01-01'),(4,'2024-01-01 10:00:00.123+02:00')",
    ),
    sql(
        "07_nul_in_text",
        "the text ends at its NUL character",
        "create table t(id integer primary key, s text)",
        "insert into t values(1,'a'||char(0)||'b'),(2,'ok')",
    ),
    sql(
        "09_blob_in_text",
        "bytes that are no text stand in a TEXT column",
        "create table t(id integer primary key, s text)",
        "insert into t values(1,x'ff00fe'),(2,'ok')",
    ),
    sql(
        "12_real_precision",
        "REAL becomes float4",
        "create table t(id integer primary key, r real)",
        "insert into t values(1,3.141592653589793),(2,123456789.123456789)",
    ),
    sql(
        "13_bigint_in_int",
        "INT becomes int4",
        "create table t(id integer primary key, n int)",
        "insert into t values(1,9223372036854775807),(2,-9223372036854775808)",
    ),
    sql(
        "15_without_rowid",
        "there is no rowid to read by",
        "create table t(k text primary key, v integer) without rowid",
        "insert into t values('a',1)",
    ),
    sql(
        "17b_int_pk_not_autoinc_insert",
        "the next row gets a number that is taken",
        "create table t(id integer primary key, s text)",
        "insert into t values(41,'x')",
    ),
    sql(
        "18_fk_cycle",
        "no order of the tables satisfies the foreign keys",
        "create table a(id integer primary key, b_id int references b(id))",
        "create table b(id integer primary key, a_id int references a(id))",
        "insert into a values(1,1)",
        "insert into b values(1,1)",
    ),
    sql(
        "18b_fk_orphan",
        "the foreign key does not hold",
        "create table p(id integer primary key)",
        "create table c(id integer primary key, p_id int references p(id))",
        "insert into c values(1,99)",
    ),
    sql(
        "19_check",
        "CHECKs are dropped",
        "create table t(id integer primary key, n int check(n>0), s text check(length(s)<5))",
        "insert into t values(1,4,'ab')",
    ),
    sql(
        "20_partial_unique_idx",
        "the index loses its condition, and the rows are no longer unique",
        "create table t(id integer primary key, email text, deleted int)",
        "create unique index ux on t(email) where deleted=0",
        "insert into t values(1,'a',0),(2,'a',1),(3,'a',1)",
    ),
    sql(
        "22_trigger_view",
        "views and triggers are dropped",
        "create table t(id integer primary key, n int)",
        "create view v as select id,n*2 as n2 from t",
        "create trigger tr after insert on t begin update t set n=n+1 where id=new.id; end",
        "insert into t values(1,4)",
    ),
    sql(
        "24_default_funcs",
        "defaults that call functions",
        "create table t(id integer primary key, a datetime default current_timestamp,"
        " b text default (datetime('now')), c text default (strftime('%Y','now')),"
        " d integer default (strftime('%s','now')),"
        " e text default (lower(hex(randomblob(16)))), f time default current_time)",
        "insert into t(id) values(1)",
    ),
    sql(
        "25_json",
        "JSON that is none, and the escape that jsonb does not take",
        "create table t(id integer primary key, j json)",
        """insert into t values(1,'{"a":1}'),(2,'{bad'),(3,'{"u":"\\u0000"}')""",
    ),
    sql(
        "30_kw_names",
        "reserved words, capitals, quotes in names",
        'create table "order"("select" integer primary key, "from" text, "Mixed Case" int,'
        ' "ünïcode" text, "a""b" text, "references" int references "order"("select"))',
        'create index "my idx" on "order"("Mixed Case")',
        """insert into "order" values(1,'f',2,'u','q',1)""",
    ),
    sql(
        "35_backslash_tab",
        "what means something in COPY's text format",
        "create table t(id integer primary key, s text)",
        "insert into t values(1,'a\\b'||char(9)||'c'||char(10)||'d\\N'),(2,'\\N'),(3,'\\.'),(4,'')",
    ),
    sql(
        "43_time",
        "dates and times that do not exist",
        "create table t(id integer primary key, d date, tm time)",
        "insert into t values(1,19000,'10:00'),(2,'2024-02-30','25:00')",
    ),
)
