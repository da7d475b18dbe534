"""Text, bytes, and text that is meant as something else."""

import json
import random
from pathlib import Path
from typing import Final

from tests.support.hostile.case import Case, fill, sql, values

_MEGABYTE: Final = 2**20


def _characters(path: Path) -> None:
    each = (
        *("cr\r", "crlf\r\nlf\n", "\ufeffBOM", "\x01\x02\x1b[31m\x7f\x80\x9f", "😀👩‍👩‍👧‍👦"),
        *("e\u0301 é", "\uffff\ufffe\ufdd0", "\U0010ffff", "\u202eevil", "\u2028\u2029\x85"),
        *("\ufffd", "\t", '"', "'", "\\", "\\x41", "\\000", "NULL", "null", "\\N", "%s %(a)s {}"),
        *("a,b;c|d", "$$", "$1", "{1,2}", "ß ẞ İ \u0131", "\u200b", "\ue000"),
    )
    rows: list[tuple[object, ...]] = list(enumerate(each))
    fill(path, "create table t(id integer primary key, s text)", "insert into t values(?,?)", rows)


def _large(path: Path) -> None:
    noise = random.Random(5).randbytes(5 * _MEGABYTE)
    text = "".join(chr(0x4E00 + byte) for byte in noise[: _MEGABYTE * 2])
    rows: list[tuple[object, ...]] = [(1, "x" * 5 * _MEGABYTE, noise), (2, text, b""), (3, "", b"")]
    create = "create table t(id integer primary key, s text, b blob)"
    fill(path, create, "insert into t values(?,?,?)", rows)


def _json(path: Path) -> None:
    good = (
        *('{"a":1,"a":2}', "1", '"text"', "null", "true", "[]", " [1 , 2 ]\n", "1e400", "-0"),
        *('"\\ud83d\\ude00"', '{"k":123456789012345678901234567890.10}', '"é"', '{"":0}', "1.50"),
        *('{"u":"\\u0000"}', '{"b":1, "a":2}', "12345678901234567890", "1E5", '"\\/"'),
    )
    bad = (
        *("{bad", "NaN", "[Infinity]", "[1,]", "{'a':1}", "", " ", "\ufeff{}", "{a:1}", "[1] x"),
        *('"\\x"', "01", "1.", ".5", "+1", '"\t"', "[1 // c\n]", "TRUE", '{"a"}', '"open'),
        *('"\\ud800"', '"\\udc00\\ud800"', "\u00a0[]"),
    )
    rows: list[tuple[object, ...]] = list(enumerate((*good, *bad)))
    rows += [(100, 5), (101, 1.5), (102, b"{}"), (103, None)]
    create = "create table t(id integer primary key, j json)"
    fill(path, create, "insert into t values(?,?)", rows)


def _deep_json(path: Path) -> None:
    depths = (10, 500, 900, 3000)
    rows: list[tuple[object, ...]] = [(depth, "[" * depth + "]" * depth) for depth in depths]
    create = "create table t(id integer primary key, j json)"
    fill(path, create, "insert into t values(?,?)", rows)


def _jsonb(path: Path) -> None:
    each = ('{"b": 1, "a": [1.50, null]}', '{"u":"\\u0000"}', "[]", '"a\\u00e4"', "{", "1e3")
    altered = ('{"a":1,"a":2}', '[{"b":{"k":1,"\\u006b":1}}]', "-0", '{"z":-0.0}')
    rows: list[tuple[object, ...]] = list(enumerate((*each, *altered)))
    rows.append((99, json.dumps({"long": "y" * 70_000})))
    create = "create table t(id integer primary key, j jsonb)"
    fill(path, create, "insert into t values(?,?)", rows)


_UUID: Final = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"

CASES: Final = (
    Case("characters", "characters that some step takes for its own", _characters),
    Case("large_values", "values of megabytes, that do and do not compress", _large),
    Case("json_of_all_kinds", "JSON that one parser takes and another does not", _json),
    Case("json_deep", "nesting that ends a recursive parser", _deep_json),
    Case("jsonb_declared", "jsonb takes less than json", _jsonb),
    sql(
        "not_utf8",
        "bytes that are no UTF-8 become question marks, or end the import at the first",
        "create table t(id integer primary key, s text)",
        "insert into t values "
        + values(
            *("cast(x'ff' as text)", "cast(x'c328' as text)", "cast(x'eda080' as text)"),
            *("cast(x'c0af' as text)", "cast(x'f4908080' as text)", "cast(x'e282' as text)"),
            *("cast(x'47fc6e746572' as text)", "cast(x'f09f9880' as text)", "'fine'"),
        ),
    ),
    sql(
        "nul_everywhere",
        "a NUL at the start makes an empty text, in a blob it is right",
        "create table t(id integer primary key, s text, b blob)",
        "insert into t values(1,char(0),x'00'),(2,char(0)||'a',x'0000'),(3,'a'||char(0),x''),"
        "(4,'',zeroblob(3))",
    ),
    sql(
        "nul_in_key_of_text",
        "the row whose key has a NUL cannot be named by it",
        "create table t(k text primary key, v int) without rowid",
        "insert into t values('a'||char(0)||'b',1),('ok',2),(cast(x'ff' as text),3)",
    ),
    sql(
        "empty_is_not_null",
        "the empty text becomes NULL, blanks are trimmed",
        "create table t(id integer primary key, s text not null, c char(5), v varchar(3), b blob)",
        "insert into t values(1,'',' a ','longer than three',x''),(2,' ','abcde ','',NULL),"
        "(3,'a  ',NULL,'  ',x'20')",
    ),
    sql(
        "leading_zeros",
        "postcodes and telephone numbers become numbers",
        "create table t(id integer primary key, zip text, phone varchar(20), code, any phone)",
        "insert into t values(1,'00501','+49 30 1','007','0049'),(2,'1e5','0x1F','1e5','1e5')",
    ),
    sql(
        "text_in_blob",
        "text and numbers in a BLOB column",
        "create table t(id integer primary key, b blob)",
        f"insert into t values {values(repr('text'), '5', '1.5', 'NULL', repr('ä'), '1e300')}",
    ),
    sql(
        "uuids",
        "a UUID as text in several forms, as bytes, and almost one",
        "create table t(id integer primary key, u uuid, g uniqueidentifier)",
        f"insert into t values(1,'{_UUID}',x'{_UUID.replace('-', '')}'),"
        f"(2,'{_UUID.upper()}','{{{_UUID}}}'),(3,'{_UUID.replace('-', '')}',NULL)",
        f"insert into t values(4,'{_UUID[:-1]}',NULL),(5,x'00',NULL),(6,'urn:uuid:{_UUID}',NULL),"
        f"(7,'{_UUID} ',NULL),(8,'',NULL),(9,'{_UUID.replace('-', '', 1)}',NULL),(10,42,NULL),"
        f"(11,'{{{_UUID}',NULL),(12,'g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',NULL)",
    ),
    sql(
        "uuid_forms_are_one_key",
        "two texts that are two keys are the same UUID",
        "create table t(u uuid primary key, n int)",
        f"insert into t values('{_UUID}',1),('{_UUID.upper()}',2)",
    ),
)
