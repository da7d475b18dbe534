"""What is wrong with the files of a set."""

from collections import Counter
from typing import Final

from dbopsd.migrate.versions.model.migration import MigrationProblem

_MOST_PROBLEMS: Final = 1_000
_MOST_OF_A_FILE: Final = 20
_MOST_CHARS: Final = 500


class Problems:
    """Collects the problems of a set, up to a number that an answer can hold."""

    def __init__(self, set_: str) -> None:
        self._set = set_
        self._found: list[MigrationProblem] = []
        self._of_files: Counter[str] = Counter()
        self._left_out = False

    @property
    def found(self) -> tuple[MigrationProblem, ...]:
        """All of them, in the order in which they were added."""
        if not self._left_out:
            return tuple(self._found)
        message = "there are more problems: mend these first"
        more = MigrationProblem("MORE_PROBLEMS", message, set=self._set, blocking=True)
        return (*self._found, more)

    def is_full(self, path: str) -> bool:
        """Whether no more problems of a file are taken, so that nobody need look for them."""
        full = self._of_files[path] >= _MOST_OF_A_FILE or len(self._found) >= _MOST_PROBLEMS
        self._left_out = self._left_out or full
        return full

    def add(
        self,
        reason: str,
        message: str,
        path: str = "",
        *,
        place: tuple[int, int] = (0, 0),
        version: str = "",
        blocking: bool = True,
    ) -> None:
        """Add one. `place`: line and column in the file, from 1."""
        if self.is_full(path):
            return
        self._of_files[path] += 1
        self._found.append(
            MigrationProblem(
                reason,
                printable(message)[:_MOST_CHARS],
                set=self._set,
                version=version,
                path=printable(path),
                line=place[0],
                column=place[1],
                blocking=blocking,
            )
        )


def printable(text: str) -> str:
    """The text in one line, with what cannot be shown or encoded written as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )
