"""Checksums of other tools, against what those tools recorded for the same text."""

import pytest

from dbopsd.migrate.versions.adopt.checksums import (
    atlas_sums,
    flyway_crc32,
    is_hex_digest_of,
    spellings,
)


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb\r\n", "a\rb\r", "\ufeffa\nb\n", "ab"], ids=repr)
def test_flyways_checksum_does_not_see_line_ends(text: str) -> None:
    assert flyway_crc32(text) == flyway_crc32("ab")


def test_flyways_checksum_is_a_signed_number() -> None:
    # CRC-32's own check value, 0xCBF43926, as Java's int has it.
    assert flyway_crc32("12345\n6789\n") == 0xCBF43926 - 2**32
    assert flyway_crc32("") == 0


def test_atlas_hashes_are_cumulative() -> None:
    files = [("1_a.sql", b"SELECT 1;"), ("2_b.sql", b"SELECT 2;"), ("3_c.sql", b"SELECT 3;")]
    sums = atlas_sums(files)
    changed = atlas_sums([files[0], ("2_b.sql", b"SELECT 0;"), files[2]])
    assert [sums[name] == changed[name] for name, _ in files] == [True, False, False]


def test_atlas_counts_an_ignored_file_by_its_name() -> None:
    ignored = ("2_b.sql", b"-- atlas:sum ignore\nSELECT 2;")
    sums = atlas_sums([("1_a.sql", b"SELECT 1;"), ignored, ("3_c.sql", b"SELECT 3;")])
    assert list(sums) == ["1_a.sql", "3_c.sql"]
    assert sums["3_c.sql"] != atlas_sums([("1_a.sql", b"SELECT 1;"), ("3_c.sql", b"SELECT 3;")])


def test_a_digest_is_that_of_any_spelling_of_the_line_ends() -> None:
    assert is_hex_digest_of(
        b"hello", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "sha256"
    )
    assert not is_hex_digest_of(b"hello", "no digest", "sha256")
    assert b"a\nb" in spellings(b"\xef\xbb\xbfa\r\nb")
    assert b"a\r\nb" in spellings(b"a\nb")
