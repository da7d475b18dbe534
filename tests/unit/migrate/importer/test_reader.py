"""Tables of SQLite files as Arrow arrays, by both ways."""

import sqlite3
from contextlib import closing

import pytest

from dbopsd.migrate.importer.conversion.values import Text, literal
from dbopsd.migrate.importer.model.plan import PlannedColumn, PlannedTable
from dbopsd.migrate.importer.processes.limits import Limits
from dbopsd.migrate.importer.processes.messages import Setup, encode, line
from dbopsd.migrate.importer.snapshot import reader
from dbopsd.migrate.importer.snapshot.reader import TableUnreadable
from tests.support.loaded_modules import loaded_modules

LONG = 2**40
WAYS = pytest.mark.parametrize("longest", [1, LONG], ids=["arrow", "rows"])


def read(path, planned, *key_range, **more):
    """By rows where values may be long, and more than the batch of a file of a few pages holds."""
    if planned.max_value_bytes == LONG:
        more = {"batch_bytes": 4096, **more}
    return reader.read_table(path, planned, *key_range, **more)


@pytest.fixture
def make(tmp_path):
    """`make(sql, *rows) -> Path`: the SQL run, the rows inserted into `t`."""

    def make(sql, *rows):
        path = tmp_path / "a b?c#%.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(sql)
            for row in rows:
                marks = ", ".join("?" * len(row))
                connection.execute(f"INSERT INTO t VALUES ({marks})", row)
            connection.commit()
        return path

    return make


def column(name, storage_class="", **more):
    return PlannedColumn(name, name, "text", "text", "", storage_class, **more)


def table(*columns, source="t", rowid="rowid", **more):
    return PlannedTable(source, source, columns, rowid=rowid, **more)


def rows(batches):
    return [
        tuple(values.value(row) for values in batch.columns)
        for batch in batches
        for row in range(batch.rows)
    ]


@WAYS
def test_every_class_of_value_comes_as_it_is(make, longest):
    values = [
        None,
        *(0, -(2**63), 2**63 - 1),
        *(0.5, 5e-324, float("inf"), float("-inf")),
        *("", "é😀", "a\0b", b"", b"\0\xff"),
    ]
    path = make("CREATE TABLE t (a BLOB)", *([value] for value in values))
    found = rows(read(path, table(column("a"), max_value_bytes=longest)))
    assert found == [(v.encode() if isinstance(v, str) else v,) for v in values]
    assert [isinstance(each, Text) for (each,) in found] == [isinstance(v, str) for v in values]


@WAYS
def test_a_column_of_one_class_is_one_array(make, longest):
    path = make(
        "CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB)",
        (None, None, None, None),
        (1, 2, "x\0y", b"z"),
    )
    columns = [
        column(*each) for each in zip("irsb", ("integer", "real", "text", "blob"), strict=True)
    ]
    (batch,) = read(path, table(*columns, max_value_bytes=longest))
    assert [list(each.arrays) for each in batch.columns] == [
        ["integer"],
        ["real"],
        ["text"],
        ["blob"],
    ]
    assert rows([batch]) == [(None,) * 4, (1, 2.0, b"x\0y", b"z")]


@WAYS
def test_text_that_is_no_text_comes_as_its_bytes(make, longest):
    path = make(
        "CREATE TABLE t (a TEXT);"
        "INSERT INTO t VALUES (CAST(x'ff00fe' AS TEXT)), (CAST(x'eda080' AS TEXT))"
    )
    found = rows(read(path, table(column("a", "text"), max_value_bytes=longest)))
    assert found == [(b"\xff\0\xfe",), (b"\xed\xa0\x80",)]


@WAYS
def test_utf16_comes_as_utf8(make, longest):
    path = make("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (a TEXT)", ["é😀"], ["a\0b"])
    found = rows(read(path, table(column("a", "text"), max_value_bytes=longest)))
    assert found == [("é😀".encode(),), (b"a\0b",)]


@WAYS
@pytest.mark.parametrize(
    ("key_range", "expected"),
    [(None, [-5, 1, 2, 9]), ((1, 2), [1, 2]), ((-(2**63), 1), [-5, 1]), ((3, 8), [])],
)
def test_a_range_of_rowids_has_both_its_ends(make, longest, key_range, expected):
    sql = "CREATE TABLE t (a, b); CREATE INDEX i ON t (b, a);"
    path = make(
        sql + "INSERT INTO t (rowid, a, b) VALUES (9, 9, 1), (1, 1, 2), (-5, -5, 3), (2, 2, 0)"
    )
    found = rows(read(path, table(column("a"), max_value_bytes=longest), key_range))
    assert found == [(each,) for each in expected]


@WAYS
def test_what_the_mapping_says_is_read(make, longest):
    path = make("CREATE TABLE t (a, b)", (1, "x"), (2, "y"), (3, "z"))
    planned = table(
        column("a", expression="a * 10 -- ten times"),
        column("b", "text", expression="upper(b)"),
        where="a > 1 OR b = 'x' -- all of them",
        max_value_bytes=longest,
    )
    assert rows(read(path, planned, (2, 3))) == [(20, b"Y"), (30, b"Z")]


def test_other_columns_may_be_asked_for(make):
    path = make("CREATE TABLE t (a, b AS (a + 1))", (1,))
    columns = (column("a"), column("b", generated="a + 1"))
    planned = table(*columns)
    assert rows(read(path, planned)) == [(1,)]
    assert rows(read(path, planned, columns=columns)) == [(1, 2)]


def test_names_may_be_anything(make):
    path = make('CREATE TABLE "t""; DROP" ("a""b", "select", "rowid")')
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('INSERT INTO "t""; DROP" VALUES (1, 2, 3)')
        connection.commit()
    planned = table(*map(column, ('a"b', "select", "rowid")), source='t"; DROP', rowid="_rowid_")
    (batch,) = read(path, planned, (1, 1))
    assert rows([batch]) == [(1, 2, 3)]
    assert batch.name(0) == "_rowid_=1" or batch.name(0) == "rowid=1"


@WAYS
def test_a_column_that_is_not_there_is_an_error_and_not_a_text(make, longest):
    path = make("CREATE TABLE t (a)", (1,))
    with pytest.raises(TableUnreadable, match=r"'t' of .*no such column: t.b"):
        list(read(path, table(column("b"), max_value_bytes=longest)))


OTHERS = (("integer", 2.5), ("integer", "x"), ("real", "x"))


# Row by row, a text and a blob both come as bytes, and the profile is relied on.
@pytest.mark.parametrize(
    ("longest", "storage_class", "other"),
    [
        *((way, *values) for way in (1, LONG) for values in OTHERS),
        (1, "text", b"x"),
    ],
)
def test_a_value_of_another_class_than_planned_is_an_error(make, longest, storage_class, other):
    own = {"integer": 1, "real": 1.5, "text": "a"}[storage_class]
    path = make("CREATE TABLE t (a)", (own,), (other,))
    planned = table(column("a", storage_class), max_value_bytes=longest)
    with pytest.raises(TableUnreadable, match="'t'"):
        list(read(path, planned))


@WAYS
def test_a_damaged_page_is_an_error(make, longest):
    path = make("CREATE TABLE t (a)", *([b"x" * 3000] for _ in range(100)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    with pytest.raises(TableUnreadable, match="malformed"):
        list(read(path, table(column("a"), max_value_bytes=longest)))


@WAYS
@pytest.mark.parametrize(
    ("sql", "key", "expected"),
    [
        ("CREATE TABLE t (a INTEGER PRIMARY KEY, b)", ("a",), ["a=1", "a=2"]),
        ("CREATE TABLE t (a, b, PRIMARY KEY (b, a))", ("b", "a"), ["b='x', a=1", "rowid=2"]),
        ("CREATE TABLE t (a, b)", (), ["rowid=1", "rowid=2"]),
    ],
)
def test_rows_have_names(make, longest, sql, key, expected):
    path = make(sql, (1, "x"), (2, None))
    (batch,) = read(path, table(column("a"), key=key, max_value_bytes=longest))
    assert [batch.name(0), batch.name(1)] == expected


def test_a_table_without_rowid_is_read_whole(make):
    path = make("CREATE TABLE t (a PRIMARY KEY, b) WITHOUT ROWID", ("k", 1), ("a", 2))
    planned = table(column("b"), rowid="", key=("a",))
    (batch,) = read(path, planned)
    assert rows([batch]) == [(2,), (1,)]
    assert [batch.name(0), batch.name(1)] == ["a='a'", "a='k'"]
    assert batch.rowids is None


def test_a_key_that_is_never_null_needs_no_rowid(make):
    path = make("CREATE TABLE t (a INTEGER PRIMARY KEY)", (7,))
    (batch,) = read(path, table(column("a", "integer", not_null=True), key=("a",)))
    assert (batch.rowids, batch.name(0)) == (None, "a=7")


@pytest.mark.parametrize(("batch_rows", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (100, [5])])
@WAYS
def test_batches_have_so_many_rows_at_most(make, longest, batch_rows, sizes):
    path = make("CREATE TABLE t (a TEXT)", *([str(row)] for row in range(5)))
    planned = table(column("a", "text"), max_value_bytes=longest)
    found = list(read(path, planned, batch_rows=batch_rows))
    assert sorted(batch.rows for batch in found if batch.rows) == sorted(sizes)
    assert rows(found) == [(str(row).encode(),) for row in range(5)]


def test_large_values_come_in_batches_of_few_bytes(make):
    sizes = [10, 10, 5000, 10, 900, 900, 900]
    path = make("CREATE TABLE t (a)", *([b"x" * size] for size in sizes))
    planned = table(column("a"), max_value_bytes=5000)
    found = list(read(path, planned, batch_bytes=1000))
    assert [len(each) for (each,) in rows(found)] == sizes
    # A value that is larger than a batch may be is alone with what it needs.
    assert [batch.rows for batch in found] == [2, 1, 2, 1, 1] or max(
        sum(len(value) for (value,) in rows([batch])) for batch in found if batch.rows > 1
    ) <= 1000


def test_values_of_a_length_that_nobody_knows_are_bounded_by_the_file(make):
    path = make("CREATE TABLE t (a TEXT)", *([f"{row}"] for row in range(10_000)))
    planned = table(column("a", "text"))
    assert [batch.rows for batch in read(path, planned)] == [10_000]
    few = list(read(path, planned, batch_bytes=1000))
    assert len(few) > 10
    assert max(sum(len(value) for (value,) in rows([batch])) for batch in few) <= 1000


@WAYS
def test_an_iterator_may_be_left(make, longest):
    path = make("CREATE TABLE t (a TEXT)", *([str(row)] for row in range(10)))
    batches = read(path, table(column("a", "text"), max_value_bytes=longest), batch_rows=2)
    next(batches)
    batches.close()
    assert list(batches) == []


def test_an_empty_table_has_no_batches(make):
    path = make("CREATE TABLE t (a)")
    assert list(read(path, table(column("a")))) == []


def test_a_copy_process_loads_nothing_that_it_does_not_need():
    loaded = loaded_modules("import dbopsd.migrate.importer.snapshot.reader")
    unwanted = {"psycopg", "pydantic", "sqlalchemy", "dbos", "sqlglot", "grpc", "pandas"}
    assert "dbopsd.migrate.importer.snapshot.reader" in loaded
    assert {name.partition(".")[0] for name in loaded} & unwanted == set()


def test_a_child_process_loads_no_configuration_and_arrow_no_pandas():
    setup = line(encode(Setup, Setup("main", "", Limits(2**32, 60))))
    loaded = loaded_modules(f"""
import asyncio, io
from dbopsd.migrate.importer import child_process
sys.stdin = io.TextIOWrapper(io.BytesIO({setup!r}))
asyncio.run(child_process.main())
import pyarrow
pyarrow.array([1.5])
""")
    assert "pyarrow.lib" in loaded
    assert {"pandas.core", "dbopsd.config", "dbopsd.db.database"} & loaded == set()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "NULL"),
        (5, "5"),
        (1e16, "1e+16"),
        (float("-inf"), "-9e999"),
        (Text(b"it's"), "'it''s'"),
        (Text(b"a\0b"), "CAST(x'610062' AS TEXT)"),
        (Text(b"\xff"), "CAST(x'ff' AS TEXT)"),
        (b"\x00\xff", "x'00ff'"),
        (Text(b"x" * 1000), "'" + "x" * 198 + "…"),
        (Text("é".encode() * 1000), "'" + "é" * 198 + "…"),
        (b"\0" * 10**6, "x'" + "0" * 197 + "…"),
    ],
)
def test_literals_are_sqlites_and_short(value, expected):
    assert literal(value) == expected
