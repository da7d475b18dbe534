"""Numbers, and what stands where numbers were meant to."""

from pathlib import Path
from typing import Final

from tests.support.hostile.case import Case, fill, sql, values


def _text_after_thousands(path: Path) -> None:
    rows: list[tuple[object, ...]] = [(number, number * 7) for number in range(5000)]
    rows.append((5000, "the last row says something else"))
    fill(path, "create table t(id integer primary key, v)", "insert into t values(?,?)", rows)


def _null_for_thousands(path: Path) -> None:
    rows: list[tuple[object, ...]] = [(number, None, None, None) for number in range(5000)]
    rows.append((5000, 2.5, b"\0", "x"))
    create = "create table t(id integer primary key, a, b blob, c)"
    fill(path, create, "insert into t values(?,?,?,?)", rows)


CASES: Final = (
    sql(
        "reals_extreme",
        "infinities, negative zero and denormals are errors, NULL or 0",
        "create table t(id integer primary key, r real, d double precision, n numeric)",
        "insert into t(id, r, d, n) values (1,9e999,-9e999,9e999),(2,-0.0,0.0,-0.0),"
        "(3,1.7976931348623157e308,-1.7976931348623157e308,1.7976931348623157e308),"
        "(4,5e-324,2.2250738585072014e-308,5e-324),(5,0.1+0.2,1.0/3,0.1+0.2),"
        "(6,1e16,123456789012345680.0,1e22),(7,NULL,NULL,NULL)",
    ),
    sql(
        "integers_beyond_double",
        "integers beside reals become doubles and lose their last digits",
        "create table t(id integer primary key, v)",
        f"insert into t values {values('9007199254740993', '0.5', '-9223372036854775808')}",
    ),
    sql(
        "integers_beside_reals",
        "a column of both is read with the type of its first row",
        "create table t(id integer primary key, v, w numeric)",
        "insert into t values(1,1,1),(2,1.5,1.5),(3,9007199254740992,9007199254740993)",
    ),
    sql(
        "text_in_numeric",
        "text that is almost a number becomes 0 or a prefix of itself",
        "create table t(id integer primary key, n numeric)",
        "insert into t values "
        + values(
            *("'12abc'", "'1e400'", "'0x10'", "' 12 '", "'1_000'", "''", "'12,50'", "'NaN'"),
            *("'inf'", "'.'", "'-'", "'1e'", "x'31'", "'\u0661\u0662'", "7"),
        ),
    ),
    sql(
        "text_numbers_in_decimal",
        "decimal text of more digits than a double has is rounded on the way",
        "create table t(id integer primary key, n decimal(40,12), m text)",
        "insert into t values(1,'123456789012345678901234567890.123456789012','0.10'),"
        "(2,'0.1','00.10'),(3,'1e2','1e2')",
    ),
    sql(
        "decimal_does_not_fit",
        "values are rounded to a scale that SQLite never enforced",
        "create table t(id integer primary key, a decimal(10,2), b decimal(3), c numeric(5,2))",
        "insert into t values(1,12.345,999,999.99),(2,99999999999.99,1000,-0.01),(3,0.1,-5,1e2)",
    ),
    sql(
        "decimal_fits",
        "a declared precision and scale is lost",
        "create table t(id integer primary key, price decimal(10,2), p decimal(1000,0))",
        "insert into t values(1,12.34,5),(2,12345678.9,7),(3,-0.01,NULL),(4,0,0)",
    ),
    sql(
        "decimal_odd_declarations",
        "numeric(2,5), numeric(0), numeric(-1) and numeric(5000,2) are errors in PostgreSQL",
        "create table t(id integer primary key, a decimal(2,5), b decimal(0), c numeric(5000,2),"
        " d decimal(10,-2), e decimal(+5))",
        "insert into t values(1,0.00012,1,1.25,1200,3)",
    ),
    sql(
        "small_integers",
        "SMALLINT means nothing in SQLite, and its values overflow",
        "create table t(id integer primary key, a smallint, b tinyint, c int2, d smallint)",
        "insert into t values(1,40000,300,3000000000,-32768),(2,-1,255,0,32767)",
    ),
    sql(
        "reals_in_integer",
        "fractions in an INTEGER column are rounded",
        "create table t(id integer primary key, n integer, m bigint)",
        "insert into t values(1,1.5,1),(2,1e300,2),(3,9.3e18,3),(4,9e999,4),(5,-9e999,5),"
        "(6,2.0,6),(7,9223372036854775808,7),(8,-0.5,NULL)",
    ),
    sql(
        "every_class_in_one_column",
        "the first value decides, the others are lost",
        "create table t(id integer primary key, v, w text, x blob, y integer, z any_type)",
        "insert into t values(1,1,1,1,1,1),(2,1.5,1.5,1.5,1.5,1.5),(3,'a','a','a','a','a'),"
        "(4,x'00ff',x'00ff',x'00ff',x'00ff',x'00ff'),(5,NULL,NULL,NULL,NULL,NULL)",
    ),
    sql(
        "numbers_as_text_by_values",
        "numbers in a column of texts become 1.0 or 1.500000e+00",
        "create table t(id integer primary key, v)",
        "insert into t values "
        + values("1", "1.0", "1.5", "1e16", "1e-7", "9e999", "-9e999", "-0.0", "'a'", "'1'"),
    ),
    Case(
        "text_after_thousands",
        "the types are inferred from the first rows",
        _text_after_thousands,
    ),
    Case(
        "null_for_thousands",
        "a column of NULLs at first is taken for text, or for nothing",
        _null_for_thousands,
    ),
    sql(
        "booleans_of_all_kinds",
        "'Y', 2 and -1 are true, or false, or NULL, as the importer likes",
        "create table t(id integer primary key, b boolean, c bool)",
        "insert into t values(1,'Y','N'),(2,'yes','no'),(3,'on','OFF'),(4,1.0,0.0),(5,'T','F')",
        "insert into t values(6,2,1),(7,-1,1),(8,' t',1),(9,'',1),(10,'wahr',1),(11,0.5,1),"
        "(12,x'01',1),(13,'1','0'),(14,'truE','falsE'),(15,'tru',1)",
    ),
    sql(
        "affinity_traps",
        "declared names whose affinity is not what they say",
        "create table t(id integer primary key, a floating point, b charint, c point,"
        " d unsigned big int, e 'varchar(255) character set utf8', f integer_or_text,"
        " g native character(70), h double unsigned, i string, j long, k number(10), l int(11))",
        "insert into t values(1,'7','007','5',18446744073709551615,'007','007','007','1.50',"
        "'007','8','12','13')",
        "insert into t values(2,1.5,'x','y',5,NULL,'x','ä',2,'abc','zz',NULL,NULL)",
    ),
    sql(
        "money_as_text",
        "currency signs and separators",
        "create table t(id integer primary key, m money)",
        f"insert into t values {values('12.5', repr('$12.00'), repr('1,000'), '-3')}",
    ),
    sql(
        "nothing_in_any_column",
        "a table without rows, and one whose columns are all NULL",
        "create table none(a int, b real, c text, d blob, e, f datetime, g json, h boolean,"
        " i decimal(5,2), j uuid, k date, l time, m gibberish, n smallint, o doubly, p jsonb)",
        "create table nulls(a int, b real, c text, d blob, e, f datetime, g json, h boolean,"
        " i decimal(5,2), j uuid, k date, l time, m gibberish, n smallint, o doubly, p jsonb)",
        "insert into nulls default values",
        "insert into nulls default values",
    ),
)
