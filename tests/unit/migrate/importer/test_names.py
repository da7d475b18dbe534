"""What things are called in PostgreSQL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopsd.db.identifiers import MAX_BYTES
from dbopsd.migrate.importer.model.requests import IdentifierCase
from dbopsd.migrate.importer.plan.names import Namespace


def test_names_stay_as_they_are() -> None:
    names = Namespace(IdentifierCase.PRESERVE)
    for name in ("users", "Users", "select", 'a"b', "ü b", "x" * MAX_BYTES):
        assert names.take(name) == (name, "")


def test_lower_case_gives_no_name_twice() -> None:
    names = Namespace(IdentifierCase.LOWER)
    assert names.take("Users") == ("users", "names are to be lower case")
    assert names.take("USERS") == ("users_2", "'users' stands for another already")
    assert names.take("users") == ("users_3", "'users' stands for another already")
    assert names.take("users_2")[0] == "users_2_2"


def test_system_columns_get_another_name() -> None:
    for name in ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"):
        assert Namespace(IdentifierCase.PRESERVE).take(name) == (name, "")
        made, why = Namespace(IdentifierCase.PRESERVE, columns=True).take(name)
        assert (made, why) == (f"{name}_", f"'{name}' is a system column in PostgreSQL")
    assert Namespace(IdentifierCase.PRESERVE, columns=True).take("XMIN") == ("XMIN", "")


def test_no_name_is_a_name() -> None:
    assert Namespace(IdentifierCase.PRESERVE).take("") == (
        "unnamed",
        "PostgreSQL has no empty names",
    )


def test_long_names_are_cut_between_characters() -> None:
    names = Namespace(IdentifierCase.PRESERVE)
    one, why = names.take("ü" * 40)
    other, _ = names.take("ü" * 41)
    assert why == "PostgreSQL's names have 63 bytes"
    assert one != other
    for name in (one, other):
        assert len(name.encode()) <= MAX_BYTES
        assert name.startswith("ü" * 20)


def test_names_that_differ_only_at_their_ends_stay_two_whatever_comes_first() -> None:
    one, other = "x" * 250 + "a", "x" * 250 + "b"
    assert (
        Namespace(IdentifierCase.PRESERVE).take(one)[0]
        != Namespace(IdentifierCase.PRESERVE).take(other)[0]
    )


@pytest.mark.parametrize("style", IdentifierCase)
@given(wanted=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_no_two_are_called_the_same(style: IdentifierCase, wanted: list[str]) -> None:
    names = Namespace(style, columns=True)
    # Some of them twice, and some only with other capitals.
    given_ = [names.take(name)[0] for name in (*wanted, *wanted, *map(str.upper, wanted))]
    assert len(set(given_)) == len(given_)
    assert all(0 < len(name.encode()) <= MAX_BYTES for name in given_)
