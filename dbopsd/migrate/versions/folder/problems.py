"""What is wrong with the files of a set."""

from collections import Counter
from typing import Final

from dbopsd.migrate.versions.model.migration import MigrationProblem

_MOST: Final = {True: 1_000, False: 200}
"""How many problems that block are kept, and how many that do not."""
_MOST_OF_A_FILE: Final = 20
_MOST_CHARS: Final = 500


class Problems:
    """Collects the problems of a set, up to a number that an answer can hold."""

    def __init__(self, set_: str) -> None:
        self._set = set_
        self._found: list[MigrationProblem] = []
        self._kept: Counter[bool] = Counter()
        self._of_files: Counter[tuple[str, bool]] = Counter()
        self._left_out: set[bool] = set()

    @property
    def found(self) -> tuple[MigrationProblem, ...]:
        """All of them, in the order in which they were added."""
        if not self._left_out:
            return tuple(self._found)
        blocking = True in self._left_out
        message = "there are more problems" + (": mend these first" if blocking else "")
        more = MigrationProblem("MORE_PROBLEMS", message, set=self._set, blocking=blocking)
        return (*self._found, more)

    def is_full(self, path: str, *, blocking: bool = True) -> bool:
        """Whether no more problems of a file are taken, so that nobody need look for them."""
        of_file = self._of_files[path, blocking]
        full = of_file >= _MOST_OF_A_FILE or self._kept[blocking] >= _MOST[blocking]
        if full:
            self._left_out.add(blocking)
        return full

    def blocks(self, path: str) -> bool:
        """Whether there is a problem of a file for which nothing can be applied."""
        return self._of_files[path, True] > 0

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
        if self.is_full(path, blocking=blocking):
            return
        self._kept[blocking] += 1
        self._of_files[path, blocking] += 1
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
