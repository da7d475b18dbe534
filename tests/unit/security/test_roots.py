"""Paths of requests stay inside the configured directories."""

import os
from pathlib import Path

import pytest

from dbopsd.security.errors import PathOutsideRoots
from dbopsd.security.roots import resolve_inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "imports"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "file").write_text("x")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "imports-too").mkdir()
    return root


@pytest.mark.parametrize("path", ["deep/file", "deep/../deep/./file", "deep/new", "."])
def test_what_is_inside(root, path):
    assert resolve_inside(path, [root]) == (root / path).resolve()
    assert resolve_inside(str(root / path), [root]) == (root / path).resolve()


@pytest.mark.parametrize(
    "path",
    ["..", "../secret", "deep/../../secret", "/etc/passwd", "", " ", "a\0b", "../imports-too/x"],
)
def test_what_is_not(root, path):
    with pytest.raises(PathOutsideRoots) as caught:
        resolve_inside(path, [root])
    assert caught.value.path == path
    assert str(root) in str(caught.value)


def test_a_link_is_where_it_leads(root):
    (root / "out").symlink_to(root.parent / "secret")
    (root / "up").symlink_to("..")
    (root / "in").symlink_to("deep")
    for path in ("out", "up/secret", str(root / "up" / "secret")):
        with pytest.raises(PathOutsideRoots):
            resolve_inside(path, [root])
    assert resolve_inside("in/file", [root]) == (root / "deep" / "file").resolve()


def test_links_in_a_circle(root):
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(PathOutsideRoots):
        resolve_inside("a/x", [root])


def test_a_root_that_is_a_link_itself(root, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(root)
    assert resolve_inside(str(root / "deep"), [link]) == (root / "deep").resolve()
    assert resolve_inside("deep", [link]) == (root / "deep").resolve()


def test_any_of_several_roots(root, tmp_path):
    other = tmp_path / "imports-too"
    assert resolve_inside(str(other / "x"), [root, other]) == other.resolve() / "x"


def test_without_roots_nothing_is_inside():
    with pytest.raises(PathOutsideRoots, match="none is configured"):
        resolve_inside(os.devnull, [])


def test_a_name_longer_than_any_file_has(root):
    try:
        found = resolve_inside("x" * 5000, [root])
    except PathOutsideRoots:
        return
    assert found.is_relative_to(root.resolve())
