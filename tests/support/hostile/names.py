"""Names that PostgreSQL reserves, cuts, or takes for something else."""

from typing import Final

from tests.support.hostile.case import sql

_LONG: Final = "a_name_that_goes_on_and_on_and_on_until_it_is_longer_than_63_bytes_"
_LONG_UMLAUT: Final = "ä" * 40

CASES: Final = (
    sql(
        "system_columns",
        "PostgreSQL's system columns are no names for columns",
        'create table t(ctid int, xmin int, xmax, cmin text, cmax, tableoid int, "CTID2", oid int)',
        "insert into t values(1,2,3,'4',5,6,7,8)",
        "create index by_ctid on t(ctid, xmin)",
    ),
    sql(
        "rowid_names_taken",
        "columns hide the rowid under all of its names",
        "create table t(rowid text, _rowid_ text, oid text)",
        "insert into t values('a','b','c'),('a','b','c'),(NULL,NULL,NULL)",
        "create table two(rowid integer, v int)",
        "insert into two values(5,1),(5,1),(NULL,1)",
    ),
    sql(
        "rowid_names_taken_and_bad",
        "a row that has no name is to be rejected",
        "create table t(rowid text, _rowid_ text, oid int)",
        "insert into t values('a','b','c'),('a','b','d'),(NULL,NULL,1)",
    ),
    sql(
        "long_names_collide",
        "names are cut to 63 bytes, and two become one",
        f'create table "{_LONG}one"(id integer primary key, "{_LONG}a" int, "{_LONG}b" int)',
        f'create table "{_LONG}two"(id integer primary key, "{_LONG_UMLAUT}a" int unique,'
        f' "{_LONG_UMLAUT}b" int references "{_LONG}one"(id))',
        f'create index "{_LONG}index_one" on "{_LONG}one"("{_LONG}a")',
        f'create index "{_LONG}index_two" on "{_LONG}one"("{_LONG}b")',
        f'insert into "{_LONG}one" values(1,2,3)',
        f'insert into "{_LONG}two" values(1,2,1)',
    ),
    sql(
        "odd_characters",
        "quotes, dots, percent signs, backslashes, line ends in names",
        'create table "it\'s a ""table"".x %s %(a)s {0} \\ ; -- /* 😀"('
        '"a.b" int, "c d" text, "e%f" int, "g\\h" int, "😀" int, "i\nj\tk" int, "$1" int,'
        ' "l\'m" int, "n""o" int, "p--q" int, "/*" int, ":r" int, "?1" int, "@s" int)',
        'insert into "it\'s a ""table"".x %s %(a)s {0} \\ ; -- /* 😀"'
        " values(1,'2',3,4,5,6,7,8,9,10,11,12,13,14)",
        'create unique index "i.n%d\\""ex" on "it\'s a ""table"".x %s %(a)s {0} \\ ; -- /* 😀"'
        '("a.b", "n""o")',
    ),
    sql(
        "names_without_letters",
        "an empty name, blanks, and names that differ in a blank",
        'create table ""("" int, " " int, "a" int, "a " int, " a" int)',
        'insert into "" values(1,2,3,4,5)',
        'create table " "("1" int, "0x" int, "-" int)',
        'insert into " " values(1,2,3)',
    ),
    sql(
        "names_of_postgresql",
        "tables that are called like PostgreSQL's own things",
        'create table "user"(id integer primary key, "table" int)',
        "create table pg_class(a int)",
        "create table pg_foo(a int)",
        'create table "public"(a int)',
        'create table "information_schema"(a int)',
        'create table "main.t"(a int)',
        'create table "public.t"(a int)',
        'create table "int4"(a int, "text" text)',
        'create table "text"(a text)',
        'insert into "user" values(1,2)',
        'insert into "main.t" values(1)',
        "insert into \"text\" values('x')",
    ),
    sql(
        "names_of_generated_things",
        "the names that PostgreSQL gives keys and sequences are taken by tables",
        "create table t(id integer primary key, u text unique)",
        "create table t_pkey(id integer primary key)",
        "create table t_id_seq(id integer primary key)",
        "create table t_u_key(id integer primary key, t_u_key_key int unique)",
        "create table _t(a int)",
        "insert into t values(7,'a')",
        "insert into t_id_seq values(8)",
    ),
    sql(
        "same_names_of_different_things",
        "constraints of two tables share a name, an index is called like a column",
        "create table a(id integer primary key, n int constraint positive check(n>0),"
        " constraint positive check(id>0))",
        "create table b(id integer primary key, n int constraint positive check(n>0),"
        " a_id int constraint positive references a(id))",
        "create index n on a(n)",
        "insert into a values(1,1)",
        "insert into b values(1,1,1)",
    ),
    sql(
        "mixed_case",
        "capitals are lost, and references in another case find nothing",
        "create table Users(UserID integer primary key, eMail text collate nocase, N int)",
        "create table ORDERS(id integer primary key, userid int references USERS(USERID),"
        " check(ID > 0))",
        "create index IX_Users on USERS(EMAIL, n)",
        "create view ActiveUsers as select USERID, Email from users where N = 1",
        "insert into users values(1,'A@x',1)",
        "insert into orders values(1,1)",
    ),
    sql(
        "names_in_expressions",
        "CHECKs, indexes, generated columns and views over names that need quotes",
        'create table "or der"("se""lect" int check("se""lect" > 0), [fr om] text,'
        ' `wh\'ere` int as ("se""lect" + 1), "user" text default \'u\','
        " check(length([fr om]) < 9))",
        'create index "i 1" on "or der"(lower([fr om])) where "se""lect" > 1',
        'create view "v w" as select "se""lect" as "a b", [fr om], "user" from "or der"',
        'insert into "or der"("se""lect", [fr om]) values(2, \'x\')',
    ),
    sql(
        "names_of_the_importer",
        "tables that are called like the importer's own",
        "create table import_rejects(id integer primary key, reason text)",
        "create table imports(id integer primary key, dbops text)",
        "create table dbops(id integer primary key)",
        "create table _dbops_rejects(source_table text, key text)",
        "insert into import_rejects values(1,'x')",
        "insert into imports values(1,'y')",
    ),
)
