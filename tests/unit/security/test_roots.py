"""Paths of requests are opened beneath the configured directories, whatever is done to them."""

import errno
import os
import socket
from pathlib import Path, PurePath

import pytest

from dbopsd.security import roots as module
from dbopsd.security.errors import NotARegularFile, PathOutsideRoots
from dbopsd.security.roots import Open, locate, open_beneath, open_folder, open_parent, walk
from tests.support.patience import eventually_blocking
from tests.support.swapping import swapping

WAYS = pytest.mark.parametrize("opened", [open_beneath, walk], ids=["openat2", "walk"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "imports"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "file").write_text("inside")
    (root / "deep" / "er" / "file").write_text("inside")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("SECRET")
    (tmp_path / "imports-too").mkdir()
    return root


def read(path: str, *roots: Path, opened: Open | None = None) -> str:
    folder, name = open_parent(path, roots, opened=opened)
    with folder, os.fdopen(folder.open_file(name)) as file:
        return file.read()


class TestLocate:
    @pytest.mark.parametrize("path", ["deep/file", "deep/../deep/./file", "deep/new", "."])
    def test_what_is_inside(self, root, path):
        for each in (path, str(root / path)):
            found, way = locate(each, [root])
            assert found / way == (root / path).resolve()

    @pytest.mark.parametrize(
        "path",
        [
            *("..", "../secret/file", "deep/../../secret/file", "/etc/passwd", "", " ", "a\0b"),
            *("../imports-too/x", "/proc/self/root/etc/passwd", "/proc/self/cwd"),
        ],
    )
    def test_what_is_not(self, root, path):
        for use in (locate, open_folder, open_parent):
            with pytest.raises(PathOutsideRoots) as caught:
                use(path, [root])
            assert caught.value.path == path
            assert str(root) in str(caught.value)

    def test_links_in_a_circle(self, root):
        (root / "a").symlink_to("b")
        (root / "b").symlink_to("a")
        with pytest.raises(PathOutsideRoots):
            locate("a/x", [root])

    def test_without_roots_nothing_is_inside(self):
        with pytest.raises(PathOutsideRoots, match="none is configured"):
            locate(os.devnull, [])

    def test_any_of_several_roots(self, root, tmp_path):
        other = tmp_path / "imports-too"
        assert locate(str(other / "x"), [root, other]) == (other.resolve(), PurePath("x"))

    def test_a_root_itself_is_no_file(self, root):
        with pytest.raises(PathOutsideRoots):
            open_parent(".", [root])


@WAYS
class TestOpen:
    def test_files_and_folders(self, root, opened):
        assert read("deep/er/file", root, opened=opened) == "inside"
        assert read(str(root / "deep" / "file"), root, opened=opened) == "inside"
        for path in (".", "deep", "deep/er"):
            with open_folder(path, [root], opened=opened) as folder:
                assert folder.path == (root / path).resolve()

    def test_a_root_that_is_a_link_itself(self, root, tmp_path, opened):
        (tmp_path / "link").symlink_to(root)
        assert read("deep/file", tmp_path / "link", opened=opened) == "inside"
        assert read(str(root / "deep/file"), tmp_path / "link", opened=opened) == "inside"

    def test_a_link_is_followed_while_it_stays_beneath(self, root, opened):
        (root / "in").symlink_to("deep")
        (root / "absolute").symlink_to(root / "deep" / "er")
        (root / "deep" / "up").symlink_to("../deep/er")
        (root / "name").symlink_to("deep/file")
        (root / "out").symlink_to(root.parent / "secret")
        (root / "up").symlink_to("..")
        (root / "outside").symlink_to("../secret/file")
        for path in ("in/file", "absolute/file", "deep/up/file", "name"):
            assert read(path, root, opened=opened) == "inside"
        for path in ("out/file", "up/secret/file", str(root / "up" / "secret" / "file"), "outside"):
            with pytest.raises(PathOutsideRoots):
                read(path, root, opened=opened)

    def test_a_link_put_there_after_the_path_was_resolved(self, root, opened):
        descriptor = os.open(root, os.O_PATH)
        (root / "out").symlink_to("../secret")
        (root / "in").symlink_to("deep")
        (root / "deep" / "out").symlink_to("../../secret")
        for way in ("out", "in", "deep/out", "out/x", "deep/out/x"):
            with pytest.raises(OSError) as caught:
                opened(descriptor, PurePath(way))
            assert caught.value.errno in (errno.ELOOP, errno.EXDEV)
        os.close(descriptor)

    def test_what_is_not_there_or_no_directory(self, root, opened):
        with pytest.raises(FileNotFoundError):
            open_folder("new/x", [root], opened=opened)
        with pytest.raises(NotADirectoryError):
            open_folder("deep/file", [root], opened=opened)
        with pytest.raises(NotADirectoryError):
            open_folder("deep/file/x", [root], opened=opened)
        folder, name = open_parent("deep/new", [root], opened=opened)
        with folder:
            assert folder.stat(name) is None
            with pytest.raises(FileNotFoundError):
                folder.open_file(name)

    def test_a_name_longer_than_any_file_has(self, root, opened):
        with pytest.raises((OSError, PathOutsideRoots)):
            read("x" * 5000, root, opened=opened)

    def test_a_directory_that_is_swapped_for_a_link_leads_nowhere(self, root, opened):
        """In a tight loop, as somebody does who may write beneath the root."""
        with swapping(root / "deep", root.parent / "secret"):
            seen: set[str] = set()
            for _ in range(1000):
                seen.add(attempt(root, opened))
            # Both sides of the race, however busy the machine is.
            eventually_blocking(lambda: seen.add(attempt(root, opened)) or len(seen) > 1, 30)
        assert seen == {"inside", "refused"}

    def test_no_descriptor_is_left_open(self, root, opened):
        (root / "out").symlink_to("../secret")
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        self.test_files_and_folders(root, opened)
        self.test_what_is_not_there_or_no_directory(root, opened)
        with pytest.raises(PathOutsideRoots):
            read("out/file", root, opened=opened)
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def attempt(root: Path, opened: Open) -> str:
    try:
        return read("deep/file", root, opened=opened)
    except (OSError, PathOutsideRoots):
        return "refused"


class TestFolder:
    def test_what_the_path_becomes_later_has_no_effect(self, root):
        with open_folder("deep", [root]) as folder:
            (root / "deep").rename(root / "moved")
            (root / "deep").symlink_to("../secret")
            with os.fdopen(folder.open_file("file")) as file:
                assert file.read() == "inside"
            found = folder.stat("file")
            assert found is not None
            assert found.st_size == len("inside")

    @pytest.mark.parametrize("kind", ["directory", "symbolic link", "pipe", "socket", "device"])
    def test_only_regular_files_are_opened(self, root, tmp_path, kind):
        place = root / "deep" / "odd"
        match kind:
            case "directory":
                place.mkdir()
            case "symbolic link":
                place.symlink_to("file")
            case "pipe":
                os.mkfifo(place)
            case "socket":
                with socket.socket(socket.AF_UNIX) as listener:
                    listener.bind(str(place))
            case "device":
                place = Path(os.devnull)
        # Opening a pipe to read it would wait for who writes.
        refused = pytest.raises(NotARegularFile, match=f"is a {kind}")
        with open_folder(str(place.parent), [place.parent]) as folder, refused:
            folder.open_file(place.name)

    @pytest.mark.parametrize("name", ["", ".", "..", "../secret", "er/file", "a\0b"])
    def test_a_name_is_no_path(self, root, name):
        with open_folder("deep", [root]) as folder:
            with pytest.raises(ValueError, match="not a file's name"):
                folder.open_file(name)
            with pytest.raises(ValueError, match="not a file's name"):
                folder.stat(name)

    def test_descriptors_are_not_inherited(self, root):
        with open_folder("deep", [root]) as folder:
            file = folder.open_file("file")
            assert not os.get_inheritable(file)
            os.close(file)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_a_kernel_without_openat2(root, monkeypatch, number):
    def missing(*_: object) -> int:
        module.ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(module, "_syscall", missing)
    assert read("deep/er/file", root) == "inside"
    (root / "out").symlink_to("../secret")
    with pytest.raises(PathOutsideRoots):
        read("out/file", root)
