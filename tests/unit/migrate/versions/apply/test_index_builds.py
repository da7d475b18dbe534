"""CREATE INDEX IF NOT EXISTS is found in a text, whatever else the text has."""

import pytest

from dbopsd.migrate.versions.apply.index_builds import may_have_skipping_builds, skipping_builds
from tests.support.growth import grows_linearly


@pytest.mark.parametrize(
    "text",
    [
        "create index if not exists i on t (a)",
        "select 1; CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a);",
        "create unique index concurrently if not exists i on t (a)",
        "/* a */ create /* b */ index -- c\n if not exists i on t (a); create index j on t (a)",
    ],
)
def test_builds_that_may_be_skipped(text: str) -> None:
    assert may_have_skipping_builds(text)
    assert [build.index for build in skipping_builds(text)] == ["i"]


@pytest.mark.parametrize(
    "text",
    [
        "create index i on t (a)",
        "drop index if exists i",
        "create table if not exists t (); create index i on t (a);",
        "do $$ begin create index if not exists i on t (a); end $$",
        "-- create index if not exists i on t (a)",
        "create index if not exists",
    ],
)
def test_what_builds_no_index_that_may_be_skipped(text: str) -> None:
    assert skipping_builds(text) == ()


@pytest.mark.parametrize("end", ["", "-- exists"])
def test_a_long_text_takes_linear_time(end: str) -> None:
    assert grows_linearly(
        lambda text: may_have_skipping_builds(text + end) and skipping_builds(text + end),
        "create index on t (a);\n" * 100,
    )
