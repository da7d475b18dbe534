"""What statements do to a transaction, by their words, in linear time."""

import pytest

from dbopsd.migrate.versions.sql.transactions import copies_from_client, refuses_transaction
from tests.support.growth import grows_linearly


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("copy t from stdin", True),
        ("COPY a.t (a, b)FROM STDIN WITH (FORMAT csv)", True),
        ('copy "from stdin"."(" from /* x */ stdin', True),
        ("copy t from 'stdin'", False),
        ("copy t to stdout", False),
        ("copy (select a from stdin) to stdout", False),
        ("copy t from program 'stdin'", False),
        ("copy from_stdin from stdin_", False),
    ],
)
def test_copies_from_client(text: str, expected: bool) -> None:
    assert copies_from_client(text, 0, len(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cluster", True),
        ("CLUSTER VERBOSE /* x */", True),
        ("cluster(verbose)", True),
        ("cluster t", False),
        ("cluster verbose t", False),
        ("cluster (verbose) t", False),
        ("alter table t detach partition p concurrently", True),
        ("alter table t detach partition detach partition concurrently --", True),
        ("alter table t detach partition p", False),
        ("alter table concurrently detach partition p finalize", False),
        ("alter table t add concurrently int", False),
    ],
)
def test_refuses_transaction(text: str, expected: bool) -> None:
    assert refuses_transaction(text, 0, len(text)) == expected


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        ("copy", "   ", "x"),
        ("copy t ", "from  ", "x"),
        ("copy (", "   ", "x"),
        ("cluster", "   ", "x"),
        ("cluster (a)", "   ", "x"),
        ("reindex", "   ", "x"),
        ("reindex", " concurrentl", "x"),
        ("alter database ", "set  ", "x"),
        ("alter table ", "detach partition ", "x"),
        ("alter table detach partition ", "concurrently  ", "x"),
    ],
)
def test_no_statement_takes_more_than_linear_time(start: str, piece: str, end: str) -> None:
    def read(text: str) -> bool:
        text = start + text + end
        return copies_from_client(text, 0, len(text)) or refuses_transaction(text, 0, len(text))

    assert grows_linearly(read, piece * (1_200 // len(piece)))
