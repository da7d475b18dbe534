"""What cannot be run is refused, with its file, line and column, and never left out."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from dbopsd.config.databases import DatabaseConfig
from dbopsd.config.migrations import DatabaseMigrationsConfig, MigrationSetConfig
from dbopsd.migrate.versions.folder.errors import FolderUnreadable
from dbopsd.migrate.versions.folder.read_folder import read_folder
from dbopsd.migrate.versions.folder.sets import chosen_sets, single_set
from dbopsd.migrate.versions.model.errors import MigrationsNotConfigured, SetRequired, SetUnknown
from dbopsd.migrate.versions.model.migration_file import Folder
from dbopsd.migrate.versions.sql.positions import place
from tests.unit.migrate.versions.folder.conftest import ReadFiles

UP = "select 1;"
DEEP = ".".join(["a"] * 20_000) + " = 1"
LONG = "run_in_transaction = " + "9" * 4000
GOOSE = "-- +goose Up\nselect 1;\n-- +goose Down\nselect 2;\n"


def problems(folder: Folder) -> list[tuple[str, str, int, int]]:
    assert all(problem.message for problem in folder.problems)
    return [
        (problem.reason, problem.path, problem.line, problem.column)
        for problem in folder.problems
        if problem.blocking
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"select 1;\n-- \xc3\xbc\nselect '\xc3\xbc\xff';", ("NOT_UTF8", 3, 10)),
        ("select 1;".encode("utf-16"), ("NOT_UTF8", 1, 1)),
        ("select 1;\n \0select 2;", ("NUL_BYTE", 2, 2)),
        ("select 1;\ncopy t (a) from stdin;\n1\t'\n\\.\nselect 2;", ("COPY_FROM_STDIN", 2, 1)),
        ("select 'ü'; begin; select 2; commit;", None),
        ("select 1;\nCommit;\nselect 2;", ("TRANSACTION_CONTROL", 2, 1)),
        ("begin isolation level serializable;\nselect 1;\ncommit;", None),
        ("select 1; prepare transaction 'x';", ("TRANSACTION_CONTROL", 1, 11)),
        ("select 1; savepoint x;", ("TRANSACTION_CONTROL", 1, 11)),
        ("begin; select 1; commit; select 2;", None),
        ("select 'ü', 'a;\n", ("SYNTAX_ERROR", 1, 13)),
        ("select 1;\n  \\connect x\n", ("PSQL_COMMAND", 2, 3)),
        ("-- dbops: transaction=maybe\nselect 1;", ("BAD_DIRECTIVE", 1, 11)),
        ("-- x\n-- dbops: phase=expand lock_timeout=5\n", ("BAD_DIRECTIVE", 2, 24)),
        ("-- dbops: lock_timeout=2h\n", ("BAD_DIRECTIVE", 1, 11)),
        ("-- dbops: statement_timeout=0s\n", ("BAD_DIRECTIVE", 1, 11)),
        ("-- dbops: timeout=1s\n", ("BAD_DIRECTIVE", 1, 11)),
        ("-- dbops: allow=drop-table\n", ("BAD_DIRECTIVE", 1, 11)),
        ("-- dbops: phase\n", ("BAD_DIRECTIVE", 1, 11)),
        ("-- dbops:\n", ("BAD_DIRECTIVE", 1, 1)),
        ("-- x\n-- dbops phase=contract\nselect 1;", ("BAD_DIRECTIVE", 2, 1)),
        ("/* dbops: transaction=off */ select 1;", ("BAD_DIRECTIVE", 1, 1)),
        ("-- dbops: phase=expand\n-- dbops: phase=contract\n", ("BAD_DIRECTIVE", 2, 11)),
        ("-- dbops: allow=truncate: a\n-- dbops: allow=truncate: b\n", ("BAD_DIRECTIVE", 2, 11)),
        ("-- dbops: lock_timeout=\u0665s\nselect 1;", ("BAD_DIRECTIVE", 1, 11)),
        ("select 1;\n-- dbops: transaction=off\n", ("BAD_DIRECTIVE", 2, 11)),
        ("select 1;\nselect :'name', a[1:2];", ("VARIABLE_UNKNOWN", 2, 8)),
        ("select {{ .Name }};", ("VARIABLE_UNKNOWN", 1, 8)),
        ("select '{{ index .Options \"Namespace\" }}';", ("VARIABLE_UNKNOWN", 1, 9)),
        ("create table /* TEMPLATE: schema */t ();", ("VARIABLE_UNKNOWN", 1, 14)),
        ("select 1;\n-- +migrate Down\nselect 2;", ("CANNOT_RUN", 2, 1)),
        ("-- Up Migration\nselect 1;\n-- Down Migration\nselect 2;", ("CANNOT_RUN", 3, 1)),
        ("--liquibase formatted sql\n--changeset a:1\nselect 1;", ("CANNOT_RUN", 1, 1)),
        ("{% if x %} select 1; {% endif %}", ("CANNOT_RUN", 1, 1)),
        ("set standard_conforming_strings = off;\nselect 'a\\'';", ("STRINGS_NOT_STANDARD", 2, 8)),
        (
            "select set_config('standard_conforming_strings', 'off', false);\nselect 'a\\'';",
            ("STRINGS_NOT_STANDARD", 2, 8),
        ),
    ],
)
def test_contents(
    read_files: ReadFiles, content: str | bytes, expected: tuple[str, int, int] | None
) -> None:
    found = problems(read_files({"1_a.sql": content}))
    if expected is None:
        assert {reason for reason, *_ in found} == {"TRANSACTION_CONTROL"}
        assert len(found) == 2
    else:
        reason, line, column = expected
        assert found == [(reason, "1_a.sql", line, column)]


def test_a_comment_may_speak_of_dbops(read_files: ReadFiles) -> None:
    text = "-- dbops is our tool, and phase is a word.\n/* dbops runs this */ select 1;"
    assert problems(read_files({"1_a.sql": text})) == []


@pytest.mark.parametrize(
    "text",
    [
        "select '{\"a\":\"b\"}'::jsonb, x::int, a[b:c], '10:00', '{{a,b}}', '{{ name }}', '${x}';",
        "do $$ begin x := 1; y :=z; commit; end $$;",
        "-- select 'a :x {{ .x }}\nselect 1; -- it's \\d",
        "select json_object('a' : 1, 'b':c);",
        "set standard_conforming_strings = on; select 'a\\b';",
        "-- set standard_conforming_strings = off\nselect 'a\\b';",
        "select 'a\\b', E'\\''; set standard_conforming_strings to 'off'; select E'\\'';",
        "prepare x as select 1; create table begin_ (a int);",
        "\\restrict abc'\nselect 1;\n\\unrestrict abc'\n",
        "copy t to stdout; copy t from program 'cat';",
    ],
)
def test_contents_that_only_look_bad(read_files: ReadFiles, text: str) -> None:
    assert read_files({"1_a.sql": text}).problems == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"1_a.sql": UP, "001_b.sql": UP}, [("DUPLICATE_VERSION", "1_a.sql")]),
        ({"V1__a.sql": UP, "x/V1.0__b.sql": UP}, [("DUPLICATE_VERSION", "x/V1.0__b.sql")]),
        ({"1_a.up.sql": UP, "1_b.up.sql": UP}, [("DUPLICATE_VERSION", "1_b.up.sql")]),
        (
            {"1_a.up.sql": UP, "1_a.down.sql": UP, "1_b.down.sql": UP},
            [("DUPLICATE_VERSION", "1_b.down.sql")],
        ),
        (
            {"1_a.sql": UP, "2_b_rollback.sql": UP},
            [("ROLLBACK_WITHOUT_MIGRATION", "2_b_rollback.sql")],
        ),
        ({"1_a.sql": UP, "R_b_rollback.sql": UP}, [("ROLLBACK_OF_REPEATABLE", "R_b_rollback.sql")]),
        ({"1_a.sql": UP, "b.sql": UP}, [("BAD_NAME", "b.sql")]),
        ({"1_a.sql": UP, "2_b.py": ""}, [("CANNOT_RUN", "2_b.py")]),
        ({"1_a.sql": UP, "__init__.py": "", "x.go": ""}, []),
        ({"1_a.sql": GOOSE, "2_b.go": ""}, [("CANNOT_RUN", "2_b.go")]),
        ({"1_a.sql": GOOSE, "0_b.sql": GOOSE}, [("BAD_NAME", "0_b.sql")]),
        ({"1_a.sql": GOOSE, "2_b.sql": UP}, [("NO_UP_SECTION", "2_b.sql")]),
        (
            {"1_a.sql": GOOSE + GOOSE},
            [("TWO_UP_SECTIONS", "1_a.sql"), ("TWO_DOWN_SECTIONS", "1_a.sql")],
        ),
        ({"1_a.sql": f"{UP}\n{GOOSE}"}, [("STATEMENT_OUTSIDE_SECTION", "1_a.sql")]),
        ({"1_a.sql": "-- +goose Down\n-- +goose Up\n"}, [("WRONG_SECTION_ORDER", "1_a.sql")]),
        ({"1_a.sql": f"{GOOSE}-- +goose NOTRANSACTION\n"}, [("BAD_DIRECTIVE", "1_a.sql")]),
        ({"V1__a.sql": UP, "V2__b.java": ""}, [("CANNOT_RUN", "V2__b.java")]),
        ({"V1__a.sql": UP, "afterMigrate__x.sql": ""}, [("CANNOT_RUN", "afterMigrate__x.sql")]),
        ({"V1__a.sql": "select ${x};"}, [("VARIABLE_UNKNOWN", "V1__a.sql")]),
        (
            {"V1__a.sql": UP, "V1__a.sql.conf": "encoding=latin1"},
            [("BAD_DIRECTIVE", "V1__a.sql.conf")],
        ),
        ({"migration_lock.toml": "", "1_a/x.sql": ""}, [("FILE_MISSING", "1_a/migration.sql")]),
        ({"meta/_journal.json": "{"}, [("BAD_JOURNAL", "meta/_journal.json")]),
        (
            {
                "20240101000000_a/migration.sql": UP,
                "20240101000000_a/snapshot.json": "{}",
                "20240102000000_left_out/note.sql": "",
                "b/migration.sql": UP,
                "left_out.sql": "",
            },
            [("BAD_NAME", "b/migration.sql")],
        ),
        ({"meta/_journal.json": "[" * 100_000}, [("BAD_JOURNAL", "meta/_journal.json")]),
        (
            {"meta/_journal.json": '{"entries": [{"idx": 0}]}'},
            [("BAD_JOURNAL", "meta/_journal.json")],
        ),
        (
            {"meta/_journal.json": '{"entries": [{"idx": 2147483648, "tag": "a"}]}', "a.sql": UP},
            [("BAD_JOURNAL", "meta/_journal.json")],
        ),
        (
            {
                "meta/_journal.json": (
                    '{"entries": [{"idx": 0, "tag": "a"}, {"idx": 1, "tag": "a"}]}'
                ),
                "a.sql": UP,
            },
            [("BAD_JOURNAL", "meta/_journal.json")],
        ),
        (
            {"meta/_journal.json": '{"entries": [{"idx": 0, "tag": "../../x"}]}'},
            [("FILE_MISSING", "../../x.sql")],
        ),
        ({"a/up.sql": UP, "b/down.sql": ""}, [("FILE_MISSING", "b/up.sql")]),
        ({"a/up.sql": UP, "a/metadata.toml": "x ="}, [("BAD_DIRECTIVE", "a/metadata.toml")]),
        ({"a/up.sql": UP, "a/metadata.toml": DEEP}, [("BAD_DIRECTIVE", "a/metadata.toml")]),
        ({"a/up.sql": UP, "a/metadata.toml": LONG}, [("BAD_DIRECTIVE", "a/metadata.toml")]),
    ],
)
def test_files(
    read_files: ReadFiles, files: Mapping[str, str], expected: list[tuple[str, str]]
) -> None:
    assert [found[:2] for found in problems(read_files(files))] == expected


def test_both_files_of_one_version_are_named(read_files: ReadFiles) -> None:
    (problem,) = read_files({"1_a.sql": UP, "001_b.sql": UP}).problems
    assert "001_b.sql" in problem.message
    assert "1_a.sql" in problem.message


def test_an_empty_up_is_a_warning_and_an_empty_rollback_is_none(read_files: ReadFiles) -> None:
    folder = read_files({"1_a.sql": "-- nothing\n;", "1_a_rollback.sql": "/* Not reversible */"})
    (problem,) = folder.problems
    assert (problem.reason, problem.blocking) == ("EMPTY_MIGRATION", False)
    assert folder.migrations[0].down is None


def test_begin_and_commit_around_everything_are_blanked(read_files: ReadFiles) -> None:
    text = "\ufeff-- dbops: transaction=off\nBEGIN;\nselect 'ü';\nEND TRANSACTION;\n"
    (migration,) = read_files({"1_a.sql": text}).migrations
    assert migration.up.text == "-- dbops: transaction=off\n      \nselect 'ü';\n                \n"
    assert migration.up.transactional


def test_values_of_variables_stand_in_place_of_each_placeholder(read_files: ReadFiles) -> None:
    variables = {"S": "app", "schema": "river", "q": 'a"b', "t": "it's \\"}
    text = (
        "create table :S.t ();\n"
        "create table :\"q\".t (); select :'t', ':Sx', x:S, x:::S, x::S;\n"
        'select $$ {{ index .Options "S" }} :S{{S}} $$; create table /* TEMPLATE: schema */r ();'
    )
    folder = read_files({"1_a.sql": text}, variables=variables)
    assert folder.problems == ()
    (migration,) = folder.migrations
    assert migration.up.text == (
        "create table app.t ();\n"
        "create table \"a\"\"b\".t (); select  E'it''s \\\\', ':Sx', x:S, x::app, x::S;\n"
        "select $$ app appapp $$; create table river.r ();"
    )
    end = migration.up.text.index("r ();")
    assert place(migration.up, end) == (3, text.splitlines()[2].index("r ();") + 1)


@pytest.mark.parametrize(("value", "expected"), [("", "t"), ("app", "app.t"), ("app.", "app.t")])
def test_the_schema_of_river_ends_with_a_dot(
    read_files: ReadFiles, value: str, expected: str
) -> None:
    text = "table /* TEMPLATE: schema */t; select /* TEMPLATE: x */1;"
    (migration,) = read_files({"1_a.sql": text}, variables={"schema": value, "x": "y"}).migrations
    assert migration.up.text == f"table {expected}; select y1;"


def test_dollar_placeholders_are_flyways(read_files: ReadFiles) -> None:
    folder = read_files(
        {
            "V1__a.sql": "select '${x}'; error",
            "V2__b.sql": "select '${y}';",
            "V2__b.sql.conf": "placeholderReplacement=false",
        },
        variables={"x": "value"},
    )
    assert folder.problems == ()
    assert [each.up.text for each in folder.migrations] == [
        "select 'value'; error",
        "select '${y}';",
    ]
    assert place(folder.migrations[0].up, 16) == (1, 16)


def test_links_may_not_lead_out_of_the_directory(tmp_path: Path) -> None:
    outside = tmp_path / "outside.sql"
    outside.write_text(UP)
    directory = tmp_path / "files"
    (directory / "..data").mkdir(parents=True)
    (directory / "..data/2_b.sql").write_text(UP)
    (directory / "2_b.sql").symlink_to("..data/2_b.sql")
    (directory / "1_a.sql").symlink_to(outside)
    (directory / "3_c.sql").symlink_to("3_c.sql")
    (directory / "3_d.sql").symlink_to("nowhere")
    os.mkfifo(directory / "4_d.sql")
    (directory / "5_e.sql").write_text(UP)
    (directory / "5_e.sql").chmod(0)
    folder = _read(directory)
    expected = [
        ("PATH_OUTSIDE_FOLDER", "1_a.sql"),
        ("PATH_OUTSIDE_FOLDER", "3_c.sql"),
        ("FILE_UNREADABLE", "3_d.sql"),
        ("FILE_UNREADABLE", "4_d.sql"),
    ]
    if os.geteuid():
        expected.append(("FILE_UNREADABLE", "5_e.sql"))
    assert [found[:2] for found in problems(folder)] == expected
    assert folder.migrations[0].version == "2"


def test_links_to_directories_are_followed_beneath(tmp_path: Path) -> None:
    directory = tmp_path / "files"
    for name in ("files/real", "outside"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "V1__a.sql").write_text(UP)
    (directory / ".hidden").symlink_to("real")
    (directory / "link").symlink_to("real")
    (directory / "real/circle").symlink_to("..")
    (directory / "out").symlink_to("../outside")
    found = _read(directory)
    assert [each.up.path for each in found.migrations] == ["link/V1__a.sql"]
    assert problems(found) == [("PATH_OUTSIDE_FOLDER", "out", 0, 0)]
    (directory / "link").unlink()
    assert [each.up.path for each in _read(directory).migrations] == ["real/V1__a.sql"]


def test_names_that_cannot_be_shown(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/1_\xff.sql")).write_text(UP)
    (tmp_path / "2_\n.sql").write_text(UP)
    names = ("1_\\udcff.sql", "2_\\n.sql")
    assert sorted(problems(_read(tmp_path))) == [("BAD_NAME", name, 0, 0) for name in names]


def test_what_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "1_a.sql").open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    assert problems(_read(tmp_path)) == [("FILE_TOO_LARGE", "1_a.sql", 0, 0)]
    monkeypatch.setattr("dbopsd.migrate.versions.folder.tree.MOST_ENTRIES", 0)
    with pytest.raises(FolderUnreadable, match="more than 0 files"):
        _read(tmp_path)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FolderUnreadable, match="no such file or directory"):
        _read(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnreadable, match="not a directory"):
        _read(tmp_path / "file")


def test_more_problems_than_an_answer_holds(read_files: ReadFiles) -> None:
    folder = read_files({"1_a.sql": "commit;" * 5000, "2_b.sql": "commit;"})
    reasons = Counter(problem.reason for problem in folder.problems)
    assert reasons == {"TRANSACTION_CONTROL": 21, "MORE_PROBLEMS": 1}
    folder = read_files({f"{number}_a.sql": "commit;" * 21 for number in range(1, 60)})
    assert len(folder.problems) == 1001


def test_more_warnings_than_an_answer_holds_block_nothing(read_files: ReadFiles) -> None:
    left_out = {f"report_{number}.sql": "" for number in range(1_100)}
    folder = read_files({"V1__a.sql": UP, **left_out})
    assert problems(folder) == []
    assert folder.problems[-1].reason == "MORE_PROBLEMS"
    assert len(folder.problems) == 201
    folder = read_files({"V2__b.sql": "commit;"})
    assert [found[0] for found in problems(folder)] == ["TRANSACTION_CONTROL"]


def test_sets() -> None:
    none = DatabaseConfig()
    one = DatabaseConfig.model_validate({"migrations_dir": "/a"})
    two = DatabaseConfig.model_validate(
        {"migrations_dir": [{"set": "a", "dir": "/a"}, {"set": "b", "dir": "/b"}]}
    )
    with pytest.raises(MigrationsNotConfigured):
        chosen_sets("app", none)
    assert [each.set for each in chosen_sets("app", two)] == ["a", "b"]
    assert [each.set for each in chosen_sets("app", two, "b")] == ["b"]
    assert single_set("app", one).set == "default"
    assert single_set("app", two, "b").set == "b"
    with pytest.raises(SetUnknown):
        single_set("app", two, "c")
    with pytest.raises(SetRequired):
        single_set("app", two)


def _read(directory: Path) -> Folder:
    return read_folder(MigrationSetConfig(set="default", dir=directory), DatabaseMigrationsConfig())
