"""Each layout, by the rules of its own tool."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from dbopsd.migrate.versions.folder.errors import LayoutAmbiguous, LayoutUnknown
from dbopsd.migrate.versions.folder.layouts import LAYOUTS
from dbopsd.migrate.versions.folder.read_folder import version_order
from dbopsd.migrate.versions.model.migration_file import Folder
from tests.unit.migrate.versions.folder.conftest import ReadFiles

UP = "create table t ();"
DOWN = "drop table t;"
CONCURRENTLY = "create index concurrently i on t (a);"


def summary(folder: Folder) -> list[tuple[str, str, str]]:
    """Version, name, and whether up and down run in a transaction, of each migration."""
    return [
        (
            each.version,
            each.name,
            "".join(
                "-" if script is None else "t" if script.transactional else "n"
                for script in (each.up, each.down)
            ),
        )
        for each in folder.migrations
    ]


GOOSE = "-- +goose Up\n{}\n-- +goose Down\n{}\n"
DBMATE = "-- migrate:up{}\n{}\n\n-- migrate:down{}\n{}\n"
JOURNAL = '{"entries": [{"idx": 0, "when": 9, "tag": "b"}, {"idx": 1, "when": 8, "tag": "a"}]}'

FOLDERS: dict[str, tuple[str, Mapping[str, str], list[tuple[str, str, str]]]] = {
    "dbops": (
        "dbops",
        {
            "10_ten.sql": UP,
            "2_two.sql": f"-- dbops: transaction=off\n{CONCURRENTLY}",
            "2_two_rollback.sql": DOWN,
            "R_view.sql": UP,
        },
        [("2", "two", "nt"), ("10", "ten", "t-"), ("", "view", "t-")],
    ),
    "names of procrastinate, graphile-worker, supabase and Atlas": (
        "dbops",
        {
            "03.00.00_50_post_x.sql": UP,
            "03.00.00_01_pre_x.sql": UP,
            "000002.sql": UP,
            "000002_rollback.sql": DOWN,
            "0001-a-b.sql": f"-- index\n\n-- atlas:txmode none\n\n{CONCURRENTLY}",
        },
        [
            ("0001", "a-b", "n-"),
            ("000002", "", "tt"),
            ("03.00.00_01", "pre_x", "t-"),
            ("03.00.00_50", "post_x", "t-"),
        ],
    ),
    "golang-migrate": (
        "golang-migrate",
        {
            "00010_b.up.sql": CONCURRENTLY,
            "00010_b.down.sql": "drop index concurrently i;",
            "2_.up.sql": f"{UP} {CONCURRENTLY}",
            "18446744073709551615_c.up.sql": "begin; select 1; commit;",
        },
        [("2", "", "t-"), ("00010", "b", "nn"), ("18446744073709551615", "c", "t-")],
    ),
    "sqlx": (
        "sqlx",
        {
            "1_a.up.sql": f"-- no-transaction\n{UP}",
            "1_a.down.sql": DOWN,
            "20240101000000_b_c.sql": f"\n-- no-transaction\n{UP}",
        },
        [("1", "a", "nt"), ("20240101000000", "b_c", "t-")],
    ),
    "dbmate": (
        "dbmate",
        {
            "1_a.sql": DBMATE.format(" transaction:false", UP, "", DOWN),
            "10_b.sql": DBMATE.format("", UP, " transaction:false", DOWN),
            "2_c.sql": f"-- migrate:up\r\n{UP}\r\n",
        },
        [("10", "b", "tn"), ("1", "a", "nt"), ("2", "c", "t-")],
    ),
    "goose": (
        "goose",
        {
            "00002_b.sql": f"-- +goose NO TRANSACTION\n{GOOSE.format(UP, DOWN)}",
            "10_c.sql": GOOSE.format(UP, "-- nothing"),
            "1_a.sql": GOOSE.format(UP, DOWN),
            "1_a_test.go": "",
        },
        [("1", "a", "tt"), ("00002", "b", "nn"), ("10", "c", "t-")],
    ),
    "flyway": (
        "flyway",
        {
            "V1.10__ten.sql": UP,
            "V1_2__two.sql": CONCURRENTLY,
            "sub/V5_1__five.sql": UP,
            "sub/V5_1__five.sql.conf": "# no\nexecuteInTransaction=false\n",
            "V6__six.sql": UP,
            "U1.2.0__two.sql": DOWN,
            "R__view.sql": UP,
        },
        [
            ("1_2", "two", "nt"),
            ("1.10", "ten", "t-"),
            ("5_1", "five", "n-"),
            ("6", "six", "t-"),
            ("", "view", "t-"),
        ],
    ),
    "prisma": (
        "prisma",
        {
            "20260108_x/migration.sql": UP,
            "20250101000000_a/migration.sql": CONCURRENTLY,
            "20270101000000_b/migration.sql": UP,
            "migration_lock.toml": 'provider = "postgresql"',
        },
        [
            ("20250101000000_a", "a", "n-"),
            ("20260108_x", "x", "t-"),
            ("20270101000000_b", "b", "t-"),
        ],
    ),
    "drizzle": (
        "drizzle",
        {
            "meta/_journal.json": JOURNAL,
            "a.sql": UP,
            "b.sql": "create table b ()\n--> statement-breakpoint\ncreate table c ();",
        },
        [("0", "b", "t-"), ("1", "a", "t-")],
    ),
    "drizzle from 1.0 on": (
        "drizzle",
        {
            "20240102000000_b/migration.sql": "select 1--> statement-breakpoint\nselect 2",
            "20240101000000_a/migration.sql": UP,
            "20240101000000_a/snapshot.json": "{}",
        },
        [("20240101000000_a", "a", "t-"), ("20240102000000_b", "b", "t-")],
    ),
    "diesel": (
        "diesel",
        {
            "2020-01-02-000000_b/up.sql": UP,
            "2020-01-02-000000_b/down.sql": DOWN,
            "00000000000000_diesel_setup/up.sql": UP,
            "20210101000000_c/up.sql": UP,
            "20210101000000_c/down.sql": "-- not reversible",
            "20210101000000_c/metadata.toml": "run_in_transaction = false",
            "20220101000000_d/up.sql": UP,
            "20220101000000_d/metadata.toml": "other = 1",
            ".hidden/x": "",
        },
        [
            ("00000000000000", "diesel_setup", "t-"),
            ("20200102000000", "b", "tt"),
            ("20210101000000", "c", "n-"),
            ("20220101000000", "d", "n-"),
        ],
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_versions_order_and_transactions(read_files: ReadFiles, name: str) -> None:
    layout, files, expected = FOLDERS[name]
    folder = read_files(files)
    assert folder.layout == layout
    assert folder.problems == ()
    assert summary(folder) == expected
    versioned = [each for each in folder.migrations if not each.repeatable]
    assert [version_order(layout, each.version) for each in versioned] == [
        each.order for each in versioned
    ]
    assert read_files({}, layout=layout).migrations == folder.migrations


def test_versions_that_are_the_same_or_none() -> None:
    assert version_order("flyway", "0.0") == version_order("flyway", "0") == (0, 0)
    assert version_order("dbops", "01.0") == version_order("dbops", "1") == (0, 1)
    for layout in ("dbops", "flyway", "golang-migrate", "sqlx", "goose", "dbmate", "drizzle"):
        assert version_order(layout, "x1") is None
    assert version_order("sqlx", str(2**63)) is None
    assert version_order("golang-migrate", str(2**64)) is None
    assert version_order("goose", "0") is None


@pytest.mark.parametrize("version", ["9" * 5_000, "1." + "9" * 5_000, "1.1_" + "9" * 5_000])
@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"dbmate", "diesel", "prisma"}))
def test_no_version_has_more_digits_than_a_file_can(layout: str, version: str) -> None:
    assert version_order(layout, version) is None


def test_an_empty_folder_has_no_migrations(read_files: ReadFiles) -> None:
    folder = read_files({"README.md": "", ".DS_Store": ""})
    assert (folder.layout, folder.migrations, folder.problems) == ("dbops", (), ())


@pytest.mark.parametrize(
    ("files", "layouts"),
    [
        (
            {"1_a.sql": GOOSE.format(UP, DOWN), "2_b.sql": DBMATE.format("", UP, "", DOWN)},
            "dbmate and goose",
        ),
        ({"V1__a.sql": UP, "a/up.sql": UP}, "diesel ('a/up.sql') and flyway ('V1__a.sql')"),
        (
            {"1_a.up.sql": UP, "2_b.sql": UP},
            "dbops ('2_b.sql') and golang-migrate ('1_a.up.sql') and sqlx ('1_a.up.sql')",
        ),
    ],
)
def test_two_layouts_that_fit_are_refused(
    read_files: ReadFiles, files: Mapping[str, str], layouts: str
) -> None:
    with pytest.raises(LayoutAmbiguous) as caught:
        read_files(files)
    assert caught.value.layouts == layouts


def test_no_layout_that_fits_is_refused(read_files: ReadFiles) -> None:
    with pytest.raises(LayoutUnknown) as caught:
        read_files({"a/users.sql": UP, "schema.sql": UP})
    assert caught.value.seen == "'schema.sql', 'a/users.sql'"


def test_sections_have_the_lines_of_their_file(read_files: ReadFiles) -> None:
    folder = read_files({"1_a.sql": f"-- dbops: phase=expand\n{GOOSE.format(UP, DOWN)}"})
    (migration,) = folder.migrations
    assert migration.down is not None
    assert (migration.up.text, migration.up.first_line) == (f"{UP}\n", 3)
    assert (migration.down.text, migration.down.first_line) == (f"{DOWN}\n", 5)
    assert migration.phase is not None


def test_directives_of_a_section_go_before_those_of_the_file(read_files: ReadFiles) -> None:
    file = "-- dbops: transaction=off lock_timeout=1s statement_timeout=2s\n-- dbops: allow=a: b\n"
    up = "-- dbops: transaction=on lock_timeout=3s statement_timeout=4s\n-- dbops: allow=c: d\n"
    (migration,) = read_files({"1_a.sql": file + GOOSE.format(up + UP, DOWN)}).migrations
    found = [
        (each.transactional, each.lock_timeout_ms, each.statement_timeout_s, each.allowed)
        for each in (migration.up, migration.down)
        if each
    ]
    assert found == [(True, 3000, 4.0, {"a": "b", "c": "d"}), (False, 1000, 2.0, {"a": "b"})]


def test_what_goose_and_drizzle_separate_needs_no_semicolon(read_files: ReadFiles) -> None:
    text = "-- +goose Up\n-- +goose StatementBegin\nselect 1\n-- +goose StatementEnd\nselect 2;\n"
    (migration,) = read_files({"1_a.sql": text}).migrations
    assert migration.up.text.split("\n")[1:] == [
        "select 1",
        ";--+goose StatementEnd",
        "select 2;",
        "",
    ]


def test_files_that_the_tool_leaves_out_are_named(read_files: ReadFiles) -> None:
    folder = read_files({"1_a.up.sql": UP, "seed.sql": ""})
    (problem,) = folder.problems
    assert (problem.reason, problem.path, problem.blocking) == ("FILE_LEFT_OUT", "seed.sql", False)
    assert len(folder.migrations) == 1


@pytest.mark.parametrize("layout", ["dbops", "golang-migrate", "sqlx", "goose", "dbmate"])
def test_files_in_directories_of_a_flat_layout_are_named(
    read_files: ReadFiles, layout: str
) -> None:
    _, files, expected = next(each for each in FOLDERS.values() if each[0] == layout)
    below = {"2026/01/2_b.sql": UP, "2026/a.txt": "", "x/3_c.sql": "", "4_d.sql/y": ""}
    folder = read_files({**files, **below}, layout)
    assert [(each.reason, each.path, each.blocking) for each in folder.problems] == [
        ("FILE_LEFT_OUT", "2026/01/2_b.sql", False),
        ("FILE_LEFT_OUT", "x/3_c.sql", False),
        ("FILE_LEFT_OUT", "4_d.sql", False),
    ]
    assert summary(folder) == expected


def test_directories_of_a_flat_layout_that_cannot_be_listed_are_no_problem(
    read_files: ReadFiles, tmp_path: Path
) -> None:
    (tmp_path / "out").symlink_to("/")
    (tmp_path / "circle").symlink_to("circle")
    deep = "/".join("z" * 30)  # looked at last
    assert read_files({"1_a.sql": UP, f"{deep}/2_b.sql": UP, "x/a\nb": ""}).problems == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"001_a.sql": "select 1;", "002_b.SQL": "x"}, ("FILE_LEFT_OUT", False)),
        ({"V1__a.sql": "select 1;", "V2__b.SQL": "x"}, ("FILE_LEFT_OUT", False)),
        ({"1_a.up.sql": "select 1;", "2_b.up.SQL": "x"}, ("BAD_NAME", True)),
        ({"1_a.sql": "-- migrate:up\nselect 1;", "2_b.SQL": "x"}, ("FILE_LEFT_OUT", False)),
        ({"1_a.sql": "-- +goose Up\nselect 1;", "2_b.SQL": "x"}, ("FILE_LEFT_OUT", False)),
        ({"1_a.sql": "-- no-transaction\nselect 1;", "2_b.SQL": "x"}, ("FILE_LEFT_OUT", False)),
    ],
)
def test_a_suffix_in_capitals_is_told(
    read_files: ReadFiles, files: dict[str, str], expected: tuple[str, bool]
) -> None:
    folder = read_files(files)
    assert len(folder.migrations) == 1
    [problem] = folder.problems
    assert (problem.reason, problem.blocking) == expected
    assert "small letters" in problem.message


def test_a_folder_of_suffixes_in_capitals_is_not_empty(read_files: ReadFiles) -> None:
    with pytest.raises(LayoutUnknown, match=r"001_A\.SQL"):
        read_files({"001_A.SQL": "select 1;"})


@pytest.mark.parametrize("content", [b"\0", b"\xff", b"\\i other.sql"])
def test_what_cannot_be_read_is_not_said_to_be_empty(read_files: ReadFiles, content: bytes) -> None:
    folder = read_files({"001_a.sql": content})
    assert "EMPTY_MIGRATION" not in [each.reason for each in folder.problems]
    assert any(each.blocking for each in folder.problems)
