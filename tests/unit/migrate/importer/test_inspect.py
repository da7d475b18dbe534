"""What is found in the schemas of real files, those with odd but valid SQL above all."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import mendeleev
import pyproj
import pytest

from dbopsd.migrate.importer.inspect.inspect_schema import inspect_schema
from dbopsd.migrate.importer.model.source_schema import (
    Affinity,
    CheckConstraint,
    ForeignKey,
    IndexedColumn,
    SourceIndex,
    SourceSchema,
    SourceTable,
    affinity_of,
)

PROJ = Path(pyproj.__file__).parent / "proj_dir" / "share" / "proj" / "proj.db"
ELEMENTS = Path(mendeleev.__file__).parent / "elements.db"

Make = Callable[..., SourceSchema]


def inspect_file(path: Path) -> SourceSchema:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return inspect_schema(connection)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Make]:
    """`made(*statements)`: the schema of a file that the statements made."""

    def make(*statements: str) -> SourceSchema:
        path = tmp_path / "made.db"
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return inspect_file(path)

    return make


def only_table(schema: SourceSchema) -> SourceTable:
    assert schema.unreadable == {}
    (table,) = schema.tables
    return table


def expressions(table: SourceTable) -> list[str]:
    return [check.expression for check in table.checks]


def test_proj_db_is_read_whole() -> None:
    schema = inspect_file(PROJ)
    assert schema.unreadable == {}
    # Twelve more foreign keys and one more CHECK stand in comments of its statements.
    assert len(schema.tables) == 37
    assert sum(len(table.checks) for table in schema.tables) == 161
    assert sum(len(table.foreign_keys) for table in schema.tables) == 50
    assert sum(table.without_rowid for table in schema.tables) == 28
    assert sum(len(table.indexes) for table in schema.tables) == 18
    assert len(schema.views) == 7
    assert len(schema.triggers) == 36
    assert all(view.columns for view in schema.views)
    assert [key for table in schema.tables for key in table.foreign_keys if key.problem] == []


def test_every_check_of_proj_db_is_a_condition_of_its_table() -> None:
    schema = inspect_file(PROJ)
    with closing(sqlite3.connect(f"file:{PROJ}?immutable=1", uri=True)) as connection:
        for table in schema.tables:
            for check in table.checks:
                query = f'SELECT count(*) FROM "{table.name}" WHERE NOT ({check.expression})'
                assert connection.execute(query).fetchone() == (0,)


def test_a_table_of_proj_db_in_full() -> None:
    table = inspect_file(PROJ).table("axis")
    assert table is not None
    assert table.primary_key == ("auth_name", "code")
    assert table.primary_key_name == "pk_axis"
    assert table.without_rowid
    assert table.rowid_alias is None
    assert table.column("code").declared_type == "INTEGER_OR_TEXT"
    assert table.column("code").affinity is Affinity.INTEGER
    assert table.column("code").not_null
    assert table.checks[-1] == CheckConstraint("coordinate_system_order BETWEEN 1 AND 3")
    assert table.foreign_keys == (
        ForeignKey(
            ("coordinate_system_auth_name", "coordinate_system_code"),
            "coordinate_system",
            ("auth_name", "code"),
            on_delete="CASCADE",
            name="fk_axis_coordinate_system",
        ),
        ForeignKey(
            ("uom_auth_name", "uom_code"),
            "unit_of_measure",
            ("auth_name", "code"),
            on_delete="CASCADE",
            name="fk_axis_unit_of_measure",
        ),
    )


def test_elements_db_is_read_whole() -> None:
    schema = inspect_file(ELEMENTS)
    assert schema.unreadable == {}
    assert len(schema.tables) == 13
    assert [c.expression for t in schema.tables for c in t.checks] == ["most_reliable IN (0, 1)"]
    keys = {(t.name, *k.columns, k.target) for t in schema.tables for k in t.foreign_keys}
    assert len(keys) == 7
    assert ("isotopedecaymodes", "isotope_id", "isotopes") in keys
    aliases = {table.name: table.rowid_alias for table in schema.tables}
    assert aliases.pop("alembic_version") is None
    assert aliases.pop("elements") == "atomic_number"
    assert aliases.pop("groups") == "group_id"
    assert set(aliases.values()) == {"id"}


@pytest.mark.parametrize(
    ("declared", "affinity"),
    [
        ("", Affinity.BLOB),
        ("INT", Affinity.INTEGER),
        ("FLOATING POINT", Affinity.INTEGER),
        ("CHARINT", Affinity.INTEGER),
        ("VARCHAR(20)", Affinity.TEXT),
        ("native character(70)", Affinity.TEXT),
        ("CLOB", Affinity.TEXT),
        ("TEXTBLOB", Affinity.TEXT),
        ("BLOB", Affinity.BLOB),
        ("REALBLOB", Affinity.BLOB),
        ("DOUBLE PRECISION", Affinity.REAL),
        ("FLOAT", Affinity.REAL),
        ("STRING", Affinity.NUMERIC),
        ("BOOLEAN", Affinity.NUMERIC),
        ("DATETIME", Affinity.NUMERIC),
        ("ANY", Affinity.NUMERIC),
    ],
)
def test_the_affinity_is_the_one_that_sqlite_gives(declared: str, affinity: Affinity) -> None:
    assert affinity_of(declared) is affinity
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t(c {declared})")
        connection.execute("INSERT INTO t VALUES ('10'), (10), (10.5)")
        stored = [kind for (kind,) in connection.execute("SELECT typeof(c) FROM t")]
    assert (
        stored
        == {
            Affinity.BLOB: ["text", "integer", "real"],
            Affinity.TEXT: ["text", "text", "text"],
            Affinity.REAL: ["real", "real", "real"],
            Affinity.INTEGER: ["integer", "integer", "real"],
            Affinity.NUMERIC: ["integer", "integer", "real"],
        }[affinity]
    )


def test_any_of_a_strict_table_keeps_what_it_gets(made: Make) -> None:
    table = only_table(made("CREATE TABLE t(a ANY, b INT) STRICT"))
    assert table.strict
    assert table.column("a").affinity is Affinity.BLOB


@pytest.mark.parametrize(
    ("definition", "alias"),
    [
        ("id INTEGER PRIMARY KEY", "id"),
        ("id integer constraint x primary key asc", "id"),
        ("id INTEGER, PRIMARY KEY(id)", "id"),
        ("id INTEGER, PRIMARY KEY(id DESC)", "id"),
        ("id INTEGER PRIMARY KEY DESC", None),
        ("id INT PRIMARY KEY", None),
        ("id BIGINT PRIMARY KEY", None),
        ("id INTEGER, b, PRIMARY KEY(id, b)", None),
        ("id TEXT PRIMARY KEY UNIQUE", None),
    ],
)
def test_the_rowid_has_another_name_only_where_sqlite_gives_it_one(
    made: Make, definition: str, alias: str | None
) -> None:
    table = only_table(made(f"CREATE TABLE t({definition})"))
    assert table.rowid_alias == alias
    assert table.primary_key[0] == "id"
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t({definition})")
        connection.execute("INSERT INTO t(rowid, id) VALUES (7, 7)")
        connection.execute("UPDATE t SET id = 8")
        assert connection.execute("SELECT rowid FROM t").fetchone() == ((8 if alias else 7),)


def test_the_key_of_a_table_without_rowid_is_no_alias(made: Make) -> None:
    table = only_table(made("CREATE TABLE t(id INTEGER PRIMARY KEY, b) WITHOUT ROWID"))
    assert table.without_rowid
    assert table.rowid_alias is None
    assert table.column("id").not_null


def test_a_key_is_in_its_own_order_with_its_own_collations(made: Make) -> None:
    table = only_table(
        made("CREATE TABLE t(a TEXT, b TEXT COLLATE nocase, PRIMARY KEY(b, a COLLATE rtrim DESC))")
    )
    assert table.primary_key == ("b", "a")
    assert table.primary_key_collations == ("NOCASE", "RTRIM")
    assert [column.collation for column in table.columns] == ["BINARY", "NOCASE"]
    assert table.indexes == ()


@pytest.mark.parametrize(
    "definition",
    ["id INTEGER PRIMARY KEY AUTOINCREMENT", "id INTEGER, PRIMARY KEY(id AUTOINCREMENT)"],
)
def test_autoincrement_and_the_largest_number_ever_used(made: Make, definition: str) -> None:
    table = only_table(
        made(
            f"CREATE TABLE t({definition})",
            "INSERT INTO t VALUES (41)",
            "DELETE FROM t",
        )
    )
    assert table.autoincrement
    assert table.sequence == 41


def test_a_sequence_that_never_gave_a_number(made: Make) -> None:
    table = only_table(made("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)"))
    assert table.autoincrement
    assert table.sequence is None


def test_a_sequence_that_somebody_broke(made: Make) -> None:
    table = only_table(
        made(
            "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)",
            "INSERT INTO sqlite_sequence VALUES ('t', 'many'), ('t', 5)",
        )
    )
    assert table.sequence == 5


def test_the_word_autoincrement_elsewhere_is_none(made: Make) -> None:
    table = only_table(made('CREATE TABLE t(id INTEGER PRIMARY KEY, "autoincrement" /* AUTO */)'))
    assert not table.autoincrement


def test_defaults_are_as_written(made: Make) -> None:
    table = only_table(
        made(
            """CREATE TABLE t(a DEFAULT 'it''s', b DEFAULT (datetime('now')), c DEFAULT -1,
            d DEFAULT "text", e DEFAULT word, f DEFAULT ( 1 /* one */ + 2), g DEFAULT x'ff',
            h DEFAULT CURRENT_TIMESTAMP, i DEFAULT .5 NOT NULL, j DEFAULT NULL, k)"""
        )
    )
    assert [column.default for column in table.columns] == [
        "'it''s'",
        "datetime('now')",
        "-1",
        '"text"',
        "word",
        "1 /* one */ + 2",
        "x'ff'",
        "CURRENT_TIMESTAMP",
        ".5",
        "NULL",
        None,
    ]
    assert [column.name for column in table.columns if column.not_null] == ["i"]


def test_generated_columns(made: Make) -> None:
    table = only_table(
        made(
            """CREATE TABLE t(a INT, b AS (a*2), c INT GENERATED ALWAYS AS (a + ')'
            -- more
            ) STORED NOT NULL UNIQUE, d TEXT generated always as ((a)) VIRTUAL)"""
        )
    )
    found = [(c.name, c.declared_type, c.generated, c.stored) for c in table.columns]
    assert found == [
        ("a", "INT", None, False),
        ("b", "", "a*2", False),
        ("c", "INT", "a + ')'", True),
        ("d", "TEXT", "(a)", False),
    ]


def test_collations_of_columns(made: Make) -> None:
    table = only_table(
        made(
            """CREATE TABLE t(a TEXT COLLATE NOCASE, b COLLATE "rtrim" COLLATE binary,
            c TEXT CHECK (c = 'x' COLLATE NOCASE))"""
        )
    )
    assert [c.collation for c in table.columns] == ["NOCASE", "BINARY", "BINARY"]


def test_an_applications_own_collation(tmp_path: Path) -> None:
    path = tmp_path / "made.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.create_collation("German", lambda a, b: (a > b) - (a < b))
        connection.execute("CREATE TABLE t(a TEXT COLLATE german DEFAULT 'x', b UNIQUE)")
        connection.execute("CREATE INDEX ix ON t(a, b COLLATE German)")
        connection.commit()
    table = only_table(inspect_file(path))
    assert [column.collation for column in table.columns] == ["german", "BINARY"]
    assert [column.collation for column in table.indexes[1].columns] == ["german", "German"]


def test_checks_named_or_not_of_columns_and_of_the_table(made: Make) -> None:
    table = only_table(
        made(
            """CREATE TABLE t(
            a INT CHECK (a > 0) CONSTRAINT "a ""b"" c" CHECK(a<10), -- CHECK (a = 1)
            b TEXT CONSTRAINT nn NOT NULL CHECK (b NOT IN (')', '--', '/*') /* ) */ and "b" <> '('),
            c DEFAULT (coalesce(NULL, 'CHECK (1)')) CHECK (
                c -- a comment )
                > 0 -- and another
            ),
            CONSTRAINT both CHECK (a < length(b)) CHECK ((a) = ((b))) ON CONFLICT IGNORE
            CONSTRAINT lone CONSTRAINT [last] CHECK (1))"""
        )
    )
    assert table.checks == (
        CheckConstraint("a > 0"),
        CheckConstraint("a<10", 'a "b" c'),
        CheckConstraint("b NOT IN (')', '--', '/*') /* ) */ and \"b\" <> '('"),
        CheckConstraint("c -- a comment )\n                > 0"),
        CheckConstraint("a < length(b)", "both"),
        CheckConstraint("(a) = ((b))"),
        CheckConstraint("1", "last"),
    )


@pytest.mark.parametrize(
    "statement",
    [
        """CREATE TABLE "t"("a" INT CHECK ("a" > 0))""",
        """CREATE TABLE [t]([a] INT CHECK ("a" > 0))""",
        """CREATE TABLE `t`(`a` INT CHECK ("a" > 0))""",
        """CREATE TABLE 't'('a' INT CHECK ("a" > 0))""",
        """CREATE TABLE main.t(a INT CHECK ("a" > 0))""",
        """CREATE TABLE IF NOT EXISTS t(a INT CHECK ("a" > 0))""",
        """create/**/table--
        t(a/*,*/int--)
        check/* ( */("a" > 0)/* ) */)""",
        """CREATE TABLE t(a UNSIGNED BIG INT(10, 5) CHECK ("a" > 0));""",
        """CREATE TABLE t(a "odd type" 'more'(+1,-2) PRIMARY KEY CHECK ("a" > 0)) WITHOUT ROWID""",
    ],
)
def test_all_ways_to_write_a_name(made: Make, statement: str) -> None:
    table = only_table(made(statement))
    assert table.name == "t"
    assert [column.name for column in table.columns] == ["a"]
    assert expressions(table) == ['"a" > 0']


@pytest.mark.parametrize(
    "name",
    [
        'a"b',
        "a]b",
        "a`b",
        "a'b",
        "a b",
        "order",
        "check",
        "primary key",
        "ünïcode",
        "日本😀",
        "(",
        "--",
    ],
)
def test_all_names(made: Make, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    table = only_table(
        made(
            f"CREATE TABLE {quoted}({quoted} INTEGER PRIMARY KEY, "
            f"x CONSTRAINT {quoted} CHECK ({quoted} > 0) REFERENCES {quoted}({quoted}))",
            f"CREATE INDEX ix ON {quoted}({quoted}, x + 1) WHERE {quoted} > 1",
        )
    )
    assert table.name == name
    assert table.primary_key == (name,)
    assert table.checks == (CheckConstraint(f"{quoted} > 0", name),)
    assert table.foreign_keys == (ForeignKey(("x",), name, (name,)),)
    assert table.indexes == (
        SourceIndex(
            "ix",
            (IndexedColumn(name), IndexedColumn(None, "x + 1")),
            where=f"{quoted} > 1",
        ),
    )


def test_what_create_table_as_makes_and_alter_table_adds(made: Make) -> None:
    table = only_table(
        made(
            """CREATE TABLE t AS SELECT 1 AS "a b", 'x' AS y""",
            "ALTER TABLE t ADD COLUMN z INT DEFAULT 5 CHECK (z > 0)",
            "ALTER TABLE t RENAME COLUMN z TO [new name]",
        )
    )
    assert [column.name for column in table.columns] == ["a b", "y", "new name"]
    assert expressions(table) == ['"new name" > 0']
    assert table.column("New Name").default == "5"


def test_a_conflict_clause_that_is_no_error_is_told(made: Make) -> None:
    table = only_table(
        made(
            """CREATE TABLE t(a INTEGER PRIMARY KEY ON CONFLICT REPLACE AUTOINCREMENT,
            b NOT NULL ON CONFLICT IGNORE DEFAULT 1, c UNIQUE ON CONFLICT ABORT,
            d NULL ON CONFLICT FAIL, CONSTRAINT u UNIQUE (b, c) ON CONFLICT ROLLBACK)"""
        )
    )
    assert table.conflicts == (
        "PRIMARY KEY ON CONFLICT REPLACE",
        "NOT NULL of b ON CONFLICT IGNORE",
        "UNIQUE of b, c ON CONFLICT ROLLBACK",
    )
    assert table.autoincrement
    assert table.column("b").default == "1"


def test_unique_constraints_have_the_names_that_they_were_given(made: Make) -> None:
    table = only_table(
        made(
            """CREATE TABLE t(a TEXT UNIQUE, b TEXT CONSTRAINT one UNIQUE, c COLLATE NOCASE,
            CONSTRAINT two UNIQUE ("C" COLLATE binary DESC, b), UNIQUE (c, a))"""
        )
    )
    assert table.indexes == (
        SourceIndex("sqlite_autoindex_t_1", (IndexedColumn("a"),), unique=True, constraint=True),
        SourceIndex("one", (IndexedColumn("b"),), unique=True, constraint=True),
        SourceIndex(
            "two",
            (IndexedColumn("c", descending=True), IndexedColumn("b")),
            unique=True,
            constraint=True,
        ),
        SourceIndex(
            "sqlite_autoindex_t_4",
            (IndexedColumn("c", collation="NOCASE"), IndexedColumn("a")),
            unique=True,
            constraint=True,
        ),
    )


def test_indexes_of_every_sort(made: Make) -> None:
    table = only_table(
        made(
            "CREATE TABLE t(a TEXT COLLATE NOCASE, b INT, deleted INT)",
            "CREATE UNIQUE INDEX one ON t(a, b DESC) WHERE deleted = 0 -- alive",
            "CREATE INDEX IF NOT EXISTS main.two ON t(a COLLATE BINARY ASC, 'b')",
            "CREATE INDEX [the third] ON t(coalesce(b, ',', (1)), lower(a) COLLATE NOCASE DESC)"
            " WHERE a IS NOT NULL AND b IN (1,2)",
        )
    )
    assert table.indexes == (
        SourceIndex(
            "one",
            (IndexedColumn("a", collation="NOCASE"), IndexedColumn("b", descending=True)),
            unique=True,
            where="deleted = 0",
        ),
        SourceIndex("two", (IndexedColumn("a"), IndexedColumn("b"))),
        SourceIndex(
            "the third",
            (
                IndexedColumn(None, "coalesce(b, ',', (1))"),
                IndexedColumn(None, "lower(a)", descending=True, collation="NOCASE"),
            ),
            where="a IS NOT NULL AND b IN (1,2)",
        ),
    )


def test_foreign_keys_of_every_sort(made: Make) -> None:
    schema = made(
        "CREATE TABLE Parent(A TEXT, b INT, c UNIQUE, PRIMARY KEY(A, b))",
        """CREATE TABLE child(
        x TEXT REFERENCES parent(C) ON DELETE SET NULL ON UPDATE NO ACTION MATCH FULL
          NOT NULL DEFERRABLE INITIALLY DEFERRED,
        y INT CONSTRAINT [to self] REFERENCES CHILD NOT DEFERRABLE INITIALLY DEFERRED,
        z INTEGER PRIMARY KEY,
        CONSTRAINT composite FOREIGN KEY (X, y) REFERENCES PARENT ON UPDATE SET DEFAULT
        FOREIGN KEY (y, x) REFERENCES parent(b, a) DEFERRABLE INITIALLY IMMEDIATE,
        FOREIGN KEY (y) REFERENCES child(z) ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED)""",
    )
    table = schema.table("child")
    assert table is not None
    assert schema.unreadable == {}
    assert table.foreign_keys == (
        ForeignKey(("x",), "Parent", ("c",), on_delete="SET NULL", deferred=True),
        ForeignKey(("y",), "child", ("z",), name="to self"),
        ForeignKey(("x", "y"), "Parent", ("A", "b"), on_update="SET DEFAULT", name="composite"),
        ForeignKey(("y", "x"), "Parent", ("b", "A")),
        ForeignKey(("y",), "child", ("z",), on_delete="RESTRICT", deferred=True),
    )


def test_foreign_keys_in_a_circle(made: Make) -> None:
    schema = made(
        "CREATE TABLE a(id INTEGER PRIMARY KEY, b_id INT REFERENCES b)",
        "CREATE TABLE b(id INTEGER PRIMARY KEY, a_id INT REFERENCES a(id))",
    )
    assert [table.foreign_keys for table in schema.tables] == [
        (ForeignKey(("b_id",), "b", ("id",)),),
        (ForeignKey(("a_id",), "a", ("id",)),),
    ]


@pytest.mark.parametrize(
    ("clause", "target_columns", "problem"),
    [
        ("REFERENCES nowhere", (), "there is no table nowhere"),
        ("REFERENCES nowhere(id)", ("id",), "there is no table nowhere"),
        ("REFERENCES parent(nil)", ("nil",), "parent has no column nil"),
        ("REFERENCES parent(rowid)", ("rowid",), "parent has no column rowid"),
        ("REFERENCES parent", ("a", "b"), "the primary key of parent has 2 columns"),
        ("REFERENCES parent(a)", ("a",), "nothing makes a unique in parent"),
        ("REFERENCES parent(c)", ("c",), "nothing makes c unique in parent"),
        ("REFERENCES parent(d)", ("d",), "nothing makes d unique in parent"),
        ("REFERENCES keyless", (), "keyless has no primary key"),
        ("REFERENCES a_view(a)", ("a",), "A_view is no ordinary table"),
    ],
)
def test_a_foreign_key_that_points_nowhere(
    made: Make, clause: str, target_columns: tuple[str, ...], problem: str
) -> None:
    schema = made(
        "CREATE TABLE parent(a INT, b INT, c INT, d TEXT, PRIMARY KEY (a, b))",
        "CREATE UNIQUE INDEX some_c ON parent(c) WHERE c > 0",
        "CREATE UNIQUE INDEX other_d ON parent(d COLLATE NOCASE)",
        "CREATE TABLE keyless(a)",
        "CREATE VIEW A_view AS SELECT a FROM parent",
        f"CREATE TABLE child(x INT {clause})",
    )
    child = schema.table("child")
    assert child is not None
    (key,) = child.foreign_keys
    assert key.target_columns == target_columns
    assert key.problem == problem


def test_views_and_triggers(made: Make) -> None:
    schema = made(
        "CREATE TABLE t(a INT)",
        'CREATE VIEW "a view"(x, "y z") AS SELECT a, a + 1 FROM t',
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN UPDATE t SET a = 1; END",
        'CREATE TRIGGER tv INSTEAD OF DELETE ON "a view" BEGIN SELECT 1; END',
    )
    (view,) = schema.views
    assert (view.name, view.columns) == ("a view", ("x", "y z"))
    assert view.sql.startswith('CREATE VIEW "a view"(x, "y z") AS SELECT')
    assert [(each.name, each.table) for each in schema.triggers] == [("tr", "t"), ("tv", "a view")]
    assert schema.triggers[0].sql.endswith("END")


def test_a_view_that_cannot_be_queried_is_told(made: Make) -> None:
    schema = made("CREATE VIEW broken AS SELECT * FROM nowhere")
    (view,) = schema.views
    assert view.columns == ()
    assert schema.unreadable == {
        "broken": "SQLite cannot read it: no such table: main.nowhere",
    }


def test_virtual_tables_and_what_is_theirs(made: Make) -> None:
    schema = made(
        'CREATE VIRTUAL TABLE "my docs" USING fts5(title, body)',
        "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)",
        'CREATE TABLE "my docs_notes"(a)',
    )
    docs, boxes = schema.virtual_tables
    assert (docs.name, docs.module) == ("my docs", "fts5")
    assert sorted(docs.shadow_tables) == [
        "my docs_config",
        "my docs_content",
        "my docs_data",
        "my docs_docsize",
        "my docs_idx",
    ]
    assert (boxes.name, boxes.module) == ("boxes", "rtree")
    assert sorted(boxes.shadow_tables) == ["boxes_node", "boxes_parent", "boxes_rowid"]
    assert [table.name for table in schema.tables] == ["my docs_notes"]
    assert schema.unreadable == {}


def test_a_virtual_table_whose_module_is_missing(made: Make) -> None:
    schema = made(
        "CREATE TABLE ordinary(a)",
        "CREATE TABLE words_vocab(a)",
        "PRAGMA writable_schema = ON",
        "INSERT INTO sqlite_schema VALUES "
        "('table', 'gone', 'gone', 0, 'CREATE VIRTUAL TABLE gone USING \"no such\"(a, b)'),"
        "('table', 'words', 'words', 0, 'CREATE VIRTUAL TABLE words USING spellfix1')",
    )
    assert [(each.name, each.module) for each in schema.virtual_tables] == [
        ("gone", "no such"),
        ("words", "spellfix1"),
    ]
    assert schema.unreadable == {
        "gone": "SQLite cannot read it: no such module: no such",
        "words": "SQLite cannot read it: no such module: spellfix1",
    }
    assert schema.virtual_tables[1].shadow_tables == ("words_vocab",)
    assert [table.name for table in schema.tables] == ["ordinary"]


def test_what_belongs_to_sqlite_is_left_out(made: Make) -> None:
    schema = made(
        "CREATE TABLE sqliteX(id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE)",
        "INSERT INTO sqliteX(a) VALUES (1)",
        "ANALYZE",
    )
    assert [table.name for table in schema.tables] == ["sqliteX"]


def test_the_numbers_of_the_file(made: Make) -> None:
    schema = made(
        "PRAGMA encoding = 'UTF-16le'",
        "PRAGMA user_version = 7",
        "PRAGMA application_id = 1196444487",
        "CREATE TABLE t(a)",
    )
    assert (schema.encoding, schema.user_version, schema.application_id) == (
        "UTF-16le",
        7,
        1196444487,
    )


def test_an_empty_file(made: Make) -> None:
    assert made() == SourceSchema(tables=())


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bytes.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE fine(a DEFAULT 'xyz')")
        connection.execute("CREATE TABLE xyz(a)")
        connection.execute("CREATE TABLE holds(xyz)")
        connection.commit()
    path.write_bytes(path.read_bytes().replace(b"xyz", b"x\xffz"))
    schema = inspect_file(path)
    assert [(t.name, t.columns[0].default) for t in schema.tables] == [("fine", "'x\ufffdz'")]
    assert set(schema.unreadable) == {"fine", "x\ufffdz", "holds"}


def test_a_statement_that_is_not_understood_is_told(made: Make) -> None:
    # A space that SQLite takes for a letter.
    schema = made("CREATE TABLE t(a\u00a0b INT CHECK (1))")
    (table,) = schema.tables
    assert table.columns[0].name == "a\u00a0b"
    assert table.checks == ()
    assert schema.unreadable == {
        "t": "its SQL is not understood: SQLite finds other columns in it",
    }


def test_rows_and_texts_come_as_the_caller_wants_them_after(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "made.db")) as connection:
        connection.text_factory = bytes
        connection.row_factory = sqlite3.Row
        connection.execute("CREATE TABLE t(a INT)")
        assert [column.name for column in inspect_schema(connection).tables[0].columns] == ["a"]
        row = connection.execute("SELECT 'x' AS y").fetchone()
    assert isinstance(row, sqlite3.Row)
    assert row["y"] == b"x"
