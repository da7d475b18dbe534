"""Keys, uniqueness, indexes and the numbers that go on."""

import random
import sqlite3
import string
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.support.hostile.case import Case, fill, run, sql


def _long_keys(path: Path) -> None:
    noise = random.Random(7)
    longest = ["".join(noise.choices(string.printable, k=9000)) for _ in range(3)]
    rows: list[tuple[object, ...]] = [(key, number) for number, key in enumerate(longest)]
    fill(path, "create table t(k text primary key, n int)", "insert into t values(?,?)", rows)
    run(path, "create index both on t(n, k)")


def _application_collations(path: Path) -> None:
    """Comparisons that plain SQLite does not know, in tables with and without a rowid."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_collation("unicase", _compare_folded)
        for statement in (
            "create table tags(tag text primary key collate unicase, usn integer) without rowid",
            "create table decks(id integer primary key, name text not null collate unicase)",
            "create unique index idx_decks_name on decks(name)",
            "create table b(id integer primary key, t text, u text)",
            "create unique index bu on b(t collate unicase)",
            "create index bi on b(u collate unicase, id)",
            "create table pairs(a text collate unicase, b int, primary key(b, a)) without rowid",
            "insert into tags values('Verb',0),('\u00c4hre',1),('z',2)",
            "insert into decks values(1,'Deutsch'),(2,'b')",
            "insert into b values(1,'A','x'),(2,'c','X')",
            "insert into pairs values('x',1),('y',1)",
        ):
            connection.execute(statement)


def _compare_folded(one: str, other: str) -> int:
    return (one.casefold() > other.casefold()) - (one.casefold() < other.casefold())


CASES: Final = (
    Case(
        "application_collations",
        "plain SQLite cannot open such a table, and PostgreSQL compares by another collation",
        _application_collations,
    ),
    sql(
        "null_in_primary_key",
        "SQLite's primary keys may be NULL, in many rows",
        "create table t(k text primary key, v int)",
        "insert into t values(NULL,1),(NULL,2),('a',3)",
        "create table two(a text, b int, v int, primary key(a, b))",
        "insert into two values(NULL,1,1),(NULL,1,2),('a',NULL,3),('a',1,4)",
    ),
    sql(
        "null_in_primary_key_and_bad",
        "rejected rows whose key is NULL",
        "create table t(k text primary key, v int)",
        "insert into t values(NULL,'x'),(NULL,'y'),('a',3)",
    ),
    sql(
        "int_primary_key_is_no_integer",
        "INT PRIMARY KEY is not the rowid: it may be NULL and hold text",
        "create table t(id int primary key, v text)",
        "insert into t values(1,'a'),(NULL,'b'),(NULL,'c'),(3000000000,'d')",
        "create table d(id integer primary key desc, v text)",
        "insert into d values(1,'a'),(NULL,'b'),(NULL,'c')",
    ),
    sql(
        "duplicate_rows",
        "rows without a key that are the same row twice",
        "create table t(a int, b text)",
        "insert into t values(1,'x'),(1,'x'),(1,'x'),(NULL,NULL),(NULL,NULL)",
    ),
    sql(
        "nocase_unique",
        "uniqueness without case is lost, or folds more than SQLite does",
        "create table t(id integer primary key, email text collate nocase unique, n text)",
        "insert into t values(1,'A@x','a'),(2,'b@X','A'),(3,'Ä@x','ä'),(4,'ä@x','Ä')",
        "create unique index by_n on t(n)",
        "create index by_n_nocase on t(n collate nocase)",
    ),
    sql(
        "nocase_primary_key",
        "the key compares without case",
        "create table t(k text collate nocase primary key, v int) without rowid",
        "insert into t values('A',1),('b',2),('É',3),('é',4)",
        "create table c(k text references t(k))",
        "insert into c values('a'),('B')",
    ),
    sql(
        "rtrim_unique",
        "trailing blanks do not count",
        "create table t(id integer primary key, s text collate rtrim unique)",
        "insert into t values(1,'a  '),(2,'b'),(3,' b'),(4,'c'||char(9))",
    ),
    sql(
        "one_and_text_one",
        "the number and the text are two values, until both are text",
        "create table t(v unique, n int)",
        "insert into t values(1,1),('1',2),(x'31',3)",
        "create table u(v unique, n int)",
        "insert into u values(1,1),('1',2),(2,3)",
    ),
    sql(
        "booleans_are_one_key",
        "two values that are the same boolean",
        "create table t(id integer primary key, b boolean unique)",
        "insert into t values(1,1),(2,'t'),(3,0)",
    ),
    sql(
        "decimals_are_one_key",
        "two texts that are the same number",
        "create table t(a text, n numeric, unique(n, a))",
        "create table u(n any_text unique, m decimal(5,1) primary key)",
        "insert into t values('1',1),('1.0',1)",
        "insert into u values('1',1.0),('1.0',2)",
    ),
    sql(
        "rowids_far_apart",
        "ranges of rowids are made by dividing",
        "create table t(id integer primary key, v text)",
        "insert into t values(-9223372036854775808,'first'),(-5,'b'),(0,'c'),(1,'d'),"
        "(9000000000000000000,'e')",
        "create table u(v text)",
        "insert into u(rowid, v) values(-3,'a'),(1,'b'),(9223372036854775807,'last')",
    ),
    sql(
        "largest_rowid",
        "there is no next number",
        "create table t(id integer primary key, v text)",
        "insert into t values(9223372036854775807,'last')",
        "create table neg(id integer primary key, v text)",
        "insert into neg values(-5,'a'),(-1,'b')",
    ),
    sql(
        "sequence_ahead",
        "numbers of deleted rows are given again",
        "create table t(id integer primary key autoincrement, v text)",
        "insert into t values(5000000000,'a'),(1,'b')",
        "delete from t where id > 1",
        "create table e(id integer primary key autoincrement, v text)",
        "insert into e values(500,'a')",
        "delete from e",
        "create table n(id integer primary key autoincrement)",
    ),
    sql(
        "sequence_tampered",
        "sqlite_sequence holds what it should not",
        "create table t(id integer primary key autoincrement, v text)",
        "insert into t values(7,'a')",
        "update sqlite_sequence set seq = 3",
        "create table u(id integer primary key autoincrement, v text)",
        "insert into u values(7,'a')",
        "update sqlite_sequence set seq = 'x' where name = 'u'",
        "insert into sqlite_sequence values('t', 9), ('gone', 5), (NULL, NULL)",
    ),
    sql(
        "without_rowid_keys",
        "composite keys, descending, of all classes",
        "create table t(a int, b text, c real, v blob, primary key(c desc, a, b)) without rowid",
        "insert into t values(1,'x',1.5,x'00'),(1,'x',2.5,NULL),(2,'',1.5,x'ff')",
        "create table b(k blob primary key, n int) without rowid",
        "insert into b values(x'00',1),(x'',2),(x'ff00',3)",
        "create table r(k real primary key, n int) without rowid",
        "insert into r values(1,1),(1.5,2),(-0.0,3)",
        "create table m(k primary key, n int) without rowid",
        "insert into m values(1,1),('a',2),(1.5,3)",
    ),
    Case(
        "keys_too_long",
        "PostgreSQL's index entries have 2704 bytes at most",
        _long_keys,
    ),
    sql(
        "json_key",
        "json has no order, and no key over it",
        "create table t(j json primary key, k json unique, n int)",
        "create index by_j on t(j)",
        "insert into t values('[1]','[2]',1),('[2]','[3]',2)",
    ),
    sql(
        "on_conflict_clauses",
        "what SQLite does instead of an error is not what PostgreSQL does",
        "create table t(id integer primary key on conflict replace, a text unique on conflict"
        " ignore, b text not null on conflict fail, unique(a, b) on conflict rollback)",
        "insert into t values(1,'a','b')",
    ),
    sql(
        "indexes_of_all_kinds",
        "conditions, expressions, orders and collations of indexes are dropped",
        "create table t(id integer primary key, a int, b text, c text collate nocase, d real)",
        "create index i_desc on t(a desc, b asc)",
        "create index i_expr on t(a + 1, lower(b))",
        "create index i_partial on t(b) where a is not null and d > 0.5",
        "create unique index i_unique_expr on t(abs(a))",
        "create index i_nocase on t(b collate nocase desc)",
        "create index i_binary on t(c collate binary)",
        "create index i_same_one on t(a)",
        "create index i_same_two on t(a)",
        "create unique index i_unique_partial on t(c) where b = 'x'",
        "create index i_substr on t(substr(b, -3))",
        "create index i_id on t(id)",
        "insert into t values(1,1,'1','y',1.5),(2,-2,'[]','Y',0.1),(3,NULL,NULL,'y',NULL)",
    ),
    sql(
        "unique_of_all_kinds",
        "several UNIQUE constraints over the same columns, in another order, with NULLs",
        "create table t(a int unique, b int, c int, unique(a, b), unique(b, a), unique(c),"
        " constraint named unique(b, c))",
        "insert into t values(1,1,NULL),(NULL,1,NULL),(NULL,1,2),(2,NULL,3)",
    ),
    sql(
        "key_repeats_itself",
        "a key that names a column twice, and an index that repeats the key",
        "create table t(a int primary key, b int)",
        "create unique index again on t(a)",
        "create index twice on t(b, b)",
        "insert into t values(1,1)",
    ),
)
