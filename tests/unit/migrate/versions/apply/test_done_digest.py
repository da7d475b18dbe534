"""What makes the digest of statements another one."""

from dbopsd.migrate.versions.apply.done_digest import digests
from dbopsd.migrate.versions.sql.statements import split_leniently


def of(text: str) -> list[str]:
    return digests(split_leniently(text))


def test_the_first_statements_have_their_digest_whatever_follows() -> None:
    first, second = of("SELECT 1;\nSELECT 2"), of("SELECT 1;\nSELECT 3")
    assert first[:2] == second[:2]
    assert first[2] != second[2]
    assert first[0] == "" != first[1]


def test_only_the_statements_themselves_count() -> None:
    assert of("SELECT\r\n1;\r\nSELECT 2") == of("-- Why.\nSELECT\n1 ;SELECT 2;\n\n")
    assert of("SELECT 12;")[-1] != of("SELECT 1; 2;")[-1]
