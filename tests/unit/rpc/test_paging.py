"""Page tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.errors import InvalidField
from dbopsd.rpc.paging import checked_size, read_token, write_token

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, TEXT)
def test_a_token_carries_its_key(key, of):
    assert read_token(write_token(key, of), of) == key


@given(TEXT, TEXT, TEXT)
def test_a_token_of_another_list_is_refused(key, of, other):
    if of == other:
        return
    with pytest.raises(InvalidField) as caught:
        read_token(write_token(key, of), other)
    assert caught.value.field == "page_token"


@given(TEXT)
def test_what_is_no_token_is_refused(text):
    with pytest.raises(InvalidField):
        read_token(text, "List")


def test_sizes():
    assert [checked_size(size) for size in (0, 1, 1000, 1001, 2**31 - 1)] == [
        100,
        1,
        1000,
        1000,
        1000,
    ]
    with pytest.raises(InvalidField):
        checked_size(-1)
