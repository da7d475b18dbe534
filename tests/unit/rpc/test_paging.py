"""Page tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.errors import InvalidField
from dbopsd.rpc.paging import checked_size, paginate, read_token, write_token

KEYS = st.lists(st.text("abc", min_size=1, max_size=4), unique=True).map(sorted)
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


def page_of(items, size=0, token="", of="List"):
    return paginate(items, key=str, of=of, page_size=size, page_token=token)


@given(KEYS, st.integers(1, 5))
def test_pages_have_every_item_once_and_in_order(items, size):
    seen, token = [], ""
    while True:
        page = page_of(items, size, token)
        assert len(page.items) == size or not page.next_page_token
        seen += page.items
        token = page.next_page_token
        if not token:
            break
    assert seen == items


def test_a_page_that_ends_with_the_list_is_the_last():
    assert page_of("ab", 2).next_page_token == ""
    assert list(page_of("ab", 2).items) == ["a", "b"]
    first = page_of("abc", 2)
    assert (list(first.items), bool(first.next_page_token)) == (["a", "b"], True)
    assert page_of("", 2) == page_of("", 0)


def test_what_is_added_or_removed_in_between_repeats_and_skips_nothing():
    token = page_of("bdf", 2).next_page_token
    assert list(page_of("abcdef", 2, token).items) == ["e", "f"]
    # The item that the token names is gone.
    assert list(page_of("bf", 2, token).items) == ["f"]
    assert list(page_of("b", 2, token).items) == []


def test_the_size_of_a_page():
    items = [f"{number:05}" for number in range(2500)]
    assert len(page_of(items).items) == 100
    assert len(page_of(items, 5000).items) == 1000
    with pytest.raises(InvalidField):
        page_of(items, -1)
    with pytest.raises(InvalidField):
        page_of(items, 1, page_of(items, 1, of="Another").next_page_token)
