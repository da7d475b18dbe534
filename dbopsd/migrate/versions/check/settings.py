"""The settings that a statement changes: by SET, by `set_config()`, or of a role or a database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dbopsd.migrate.versions.check.expressions import CALLING, calls, constant_text
from dbopsd.migrate.versions.sql.syntax_tree import Node, Statement, nodes

SETTING: Final = CALLING | {"VariableSetStmt"}
"""The kinds of statement that change a setting of their session."""
_DEFAULTS: Final = ("VAR_SET_DEFAULT", "VAR_RESET")


@dataclass(frozen=True)
class ChangedSetting:
    """A setting that a statement changes. `location`: in bytes of the statement, if it is known."""

    name: str
    """In small letters."""
    value: str | None
    """None: the value that it has without the change, or one that is not a constant."""
    location: int | None = None
    to_default: bool = False


def changed_settings(statement: Statement) -> Iterator[ChangedSetting]:
    """The settings of its session that a statement of one of the kinds `SETTING` changes."""
    if statement.kind == "VariableSetStmt":
        yield _of_set(statement.node)
        return
    for name, arguments, location in calls({statement.kind: statement.node}):
        if name == "set_config" and len(arguments) > 1:
            setting, value = map(constant_text, arguments[:2])
            if setting is not None:
                yield ChangedSetting(setting.lower(), value, location)


def changed_default(statement: Statement) -> ChangedSetting | None:
    """The setting that an ALTER ROLE or ALTER DATABASE gives to sessions that begin later."""
    node = statement.node.get("setstmt")
    return _of_set(node) if node else None


def _of_set(node: Node) -> ChangedSetting:
    values = [constant_text({"A_Const": each}) for each in nodes(node.get("args"), "A_Const")]
    return ChangedSetting(
        node.get("name", "").lower(),
        values[0] if values else None,
        to_default=node.get("kind") in _DEFAULTS,
    )
