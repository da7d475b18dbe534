"""The server's log is read entry by entry, whatever stands in a statement."""

from tests.support.serverlog import statements

LOG = """\
<2026-01-02 03:04:05.678 UTC|11|db|app one> LOG:  statement: SELECT 1
\t  , 2
<2026-01-02 03:04:05.679 UTC|12||> LOG:  checkpoint starting: time
<2026-01-02 03:04:05.680 UTC|11|db|app one> LOG:  execute <unnamed>: SELECT $1::text || ': '
<2026-01-02 03:04:05.680 UTC|11|db|app one> DETAIL:  Parameters: $1 = 'x'
<2026-01-02 03:04:05.681 UTC|11|db|a|b> LOG:  execute s/portal: FETCH 1
<2026-01-02 03:04:05.681 UTC|11|db|app one> ERROR:  statement: not one
"""


def test_statements_and_only_they_are_found() -> None:
    found = statements(LOG)
    assert [(each.text, each.prepared) for each in found] == [
        ("SELECT 1\n  , 2", False),
        ("SELECT $1::text || ': '", True),
        ("FETCH 1", True),
    ]
    assert [each.application for each in found] == ["app one", "app one", "a|b"]
    assert {each.pid for each in found} == {11}
