"""The origin of each key: the file, or a variable of the environment."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dbopsd.config.root import ENV_PREFIX

CONFIG_FILE_VARIABLE = "DBOPSD_CONFIG"
"""Read by the command line, not a key of the file."""

# More of them say no more than "the environment".
_NAMED = 3


def variables() -> dict[str, tuple[str, ...]]:
    """The variables of the environment that are keys, each with its key's path."""
    return {
        variable: tuple(variable.removeprefix(ENV_PREFIX).lower().split("__"))
        for variable in sorted(os.environ)
        if variable.startswith(ENV_PREFIX) and variable != CONFIG_FILE_VARIABLE
    }


@dataclass(frozen=True, slots=True)
class Origins:
    """What was read from where. `file` is its name, empty where there is none."""

    file: str
    in_file: Mapping[str, object]
    in_environment: Mapping[str, object]

    def of_value(self, location: Sequence[str]) -> str:
        """Where the value at `location` stands; of a table, all that its keys come from."""
        paths = variables()
        if _holds(self.in_environment, location):
            # The longest wins where one gives a table and another a key of it.
            setting = [each for each, path in paths.items() if _is_at(location, path)]
            if setting:
                return max(setting, key=len)
        return self._of_keys_below(location, in_file=_holds(self.in_file, location))

    def of_missing(self, location: Sequence[str]) -> str:
        """Where the table stands in which `location` is missing."""
        table = location[:-1]
        if _holds(self.in_file, table):
            return self.file or "environment"
        return self.of_value(table)

    def _of_keys_below(self, location: Sequence[str], *, in_file: bool) -> str:
        below = [each for each, path in variables().items() if _is_at(path, location)]
        if not below:
            return self.file or "environment"
        if len(below) > _NAMED:
            below = ["environment"] if not self.file else ["the environment"]
        if self.file and in_file:
            below.insert(0, self.file)
        return " and ".join(filter(None, (", ".join(below[:-1]), below[-1])))


def _is_at(path: Sequence[str], table: Sequence[str]) -> bool:
    return tuple(path[: len(table)]) == tuple(table)


def _holds(values: object, location: Sequence[str]) -> bool:
    """Whether there is a value at `location`, or one above it that is no table."""
    for part in location:
        if not isinstance(values, Mapping):
            return True
        if part not in values:
            return False
        values = values[part]
    return True
