"""What is said of a statement that takes long."""

import pytest

from dbopsd.migrate.versions.apply.statement_progress import StatementProgress, at_work


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (("CREATE INDEX", "building index: scanning table", 1, 3), "scanning table, 33 %"),
        (("VACUUM FULL", "rebuilding index", 0, 0), "VACUUM FULL: rebuilding index"),
        # The table has grown since it began.
        (("COPY FROM", "12 rows", 9, 8), "COPY FROM: 12 rows, 100 %"),
    ],
)
def test_how_far_it_is(progress: tuple[str, str, int, int], said: str) -> None:
    assert str(StatementProgress(*progress)).endswith(said)


def test_what_it_is_and_for_how_long() -> None:
    progress = StatementProgress("ANALYZE", "computing statistics", 0, 0)
    assert at_work("ANALYZE t", 61.2, progress) == "ANALYZE: computing statistics, for 61 s"
    assert at_work("UPDATE t SET x = 1", 2.0, None) == "UPDATE t SET x = 1, for 2 s"
    assert at_work("", 2.0, None) == "at work, for 2 s"
