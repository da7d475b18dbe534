"""Foreign keys that are odd, broken, or broken by the import itself."""

from typing import Final

from tests.support.hostile.case import sql

CASES: Final = (
    sql(
        "composite_references",
        "columns of a composite key are paired in the wrong order; NULL makes it hold",
        "create table p(a int, b text, v int, primary key(b, a))",
        "create table c(x text, y int, foreign key(x, y) references p(b, a),"
        " foreign key(y, x) references p(a, b))",
        "create table implicit(x text, y int, foreign key(x, y) references p)",
        "insert into p values(1,'one',0),(2,'two',0)",
        "insert into c values('one',1),(NULL,2),('two',NULL),(NULL,NULL)",
        "insert into implicit values('two',2)",
    ),
    sql(
        "references_unique",
        "a foreign key to a UNIQUE column, to a partial and to an expression index",
        "create table p(id integer primary key, code text unique, part text, low text)",
        "create unique index part on p(part) where id > 0",
        "create unique index low on p(lower(low))",
        "create table c(code text references p(code), part text references p(part),"
        " low text references p(low))",
        "insert into p values(1,'a','b','c')",
        "insert into c values('a','b','c')",
    ),
    sql(
        "references_not_unique",
        "SQLite lets a foreign key name columns that are not unique, or do not exist",
        "create table p(id integer primary key, n int)",
        "create table c(n int references p(n), m int references p(missing),"
        " k int references nowhere(id), l int references nowhere, o int references v(id))",
        "create view v as select 1 as id",
        "insert into p values(1,5),(2,5)",
        "insert into c values(5,5,5,5,1)",
    ),
    sql(
        "references_itself",
        "rows before their parents, a row that is its own",
        "create table t(id integer primary key, parent int references t(id) on delete cascade)",
        "insert into t values(1,9),(2,2),(9,NULL)",
        "create table e(boss int references e, id integer primary key)",
        "insert into e values(2,1),(1,2)",
    ),
    sql(
        "references_deferred",
        "DEFERRABLE, and what is done on update and delete",
        "create table p(id integer primary key)",
        "create table c(a int references p deferrable initially deferred,"
        " b int references p on update cascade on delete set null,"
        " c int default 1 references p on delete set default on update restrict,"
        " d int references p not deferrable, e int references p deferrable initially immediate,"
        " f int references p match full)",
        "insert into p values(1)",
        "insert into c values(1,1,1,1,1,1)",
    ),
    sql(
        "reference_types_differ",
        "SQLite compares a number with a text by affinity, PostgreSQL refuses",
        "create table p(id integer primary key, code text unique, d real unique)",
        "create table c(p_id text references p(id), code integer references p(code),"
        " d int references p(d))",
        "insert into p values(1,'7',1.0),(2,'x',2.5)",
        "insert into c values('1',7,1),('2',NULL,NULL)",
    ),
    sql(
        "reference_types_widen",
        "columns that are tied need one type, through a chain of tables",
        "create table a(id smallint primary key)",
        "create table b(id int2 primary key references a(id))",
        "create table c(id int references b(id), n numeric references d(n))",
        "create table d(n int primary key)",
        "insert into a values(1),(2)",
        "insert into b values(2)",
        "insert into c values(2,5)",
        "insert into d values(5)",
    ),
    sql(
        "reference_nocase",
        "the parent's collation decides in SQLite whether a child has a parent",
        "create table p(name text collate nocase primary key)",
        "create table c(name text references p(name))",
        "insert into p values('Alpha'),('beta')",
        "insert into c values('ALPHA'),('Beta'),('beta')",
    ),
    sql(
        "parent_is_rejected",
        "the parent has a bad value: its children become orphans",
        "create table p(id integer primary key, n integer)",
        "create table c(id integer primary key, p_id int not null references p(id))",
        "insert into p values(1,'bad'),(2,2)",
        "insert into c values(1,1),(2,2),(3,1)",
    ),
    sql(
        "orphans_in_many_columns",
        "foreign keys that hold for some rows",
        "create table p(id integer primary key, a int, b int, unique(a, b))",
        "create table c(p_id int references p(id), a int, b int,"
        " foreign key(a, b) references p(a, b))",
        "insert into p values(1,1,1)",
        "insert into c values(1,1,1),(2,1,2),(3,NULL,7),(NULL,NULL,NULL),(0,0,0)",
    ),
    sql(
        "references_in_a_ring",
        "three tables in a circle, with keys that do not hold",
        "create table a(id integer primary key, b int not null references b(id))",
        "create table b(id integer primary key, c int not null references c(id))",
        "create table c(id integer primary key, a int not null references a(id))",
        "insert into a values(1,1),(2,9)",
        "insert into b values(1,1)",
        "insert into c values(1,2)",
    ),
    sql(
        "two_references_of_one_column",
        "one column with two parents, and the same foreign key twice",
        "create table p(id integer primary key)",
        "create table q(id text primary key)",
        "create table c(x int references p(id) references p(id), y int,"
        " foreign key(x) references p, foreign key(y) references p(id),"
        " foreign key(y) references q(id))",
        "insert into p values(1)",
        "insert into q values('1')",
        "insert into c values(1,1)",
    ),
)
