"""Tables for people."""

from collections.abc import Iterable

from dbops.v1 import health_pb2, resources_pb2
from rich import box
from rich.console import (
    Console,
    ConsoleOptions,
    Group,
    JustifyMethod,
    RenderableType,
    RenderResult,
)
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dbops_client._names import database_id
from dbops_client.cli.terminal import plain
from dbops_client.cli.values import duration, formatter

_State = resources_pb2.Database.State
_Role = resources_pb2.Database.ServerRole

_STYLES = {
    _State.HEALTHY: "green",
    _State.DEGRADED: "yellow",
    _State.UNHEALTHY: "bold red",
    _State.UNKNOWN: "magenta",
}


def state_name(state: "_State.ValueType") -> str:
    """Return the name of a state, or the number of a state that this version does not know."""
    return _State.Name(state) if state in _State.values() else f"STATE_{state}"


def health_view(healths: Iterable[health_pb2.DatabaseHealth]) -> RenderableType:
    """Return each database with its checks, or a line if there are none."""
    views = [part for health in healths for part in (_headline(health), _checks(health))]
    return Group(*views) if views else _NONE


def database_table(databases: Iterable[resources_pb2.Database]) -> RenderableType:
    """Return a table of the databases, or a line if there are none."""
    table = new_table("DATABASE", "STATE", "ROLE", "VERSION", "POSTGRES", "HOSTS")
    for database in databases:
        embedded = " (embedded)" if database.embedded else ""
        table.add_row(
            cell(database_id(database.name)),
            _state(database.state),
            cell(_role(database.server_role)),
            cell(database.server_version or "-"),
            cell(database.postgres_database + embedded),
            cell(", ".join(database.hosts)),
        )
    return table if table.row_count else _NONE


# With this many columns there is room for thresholds and ages beside the messages.
_WIDE = 110
_NUMBERS = frozenset({"VALUE", "WARNING", "CRITICAL", "AGE"})
_NONE = Text("The daemon monitors no database.")


def _headline(health: health_pb2.DatabaseHealth) -> RenderableType:
    answered = f"answered {_age(health)} ago" if health.HasField("age") else "never answered"
    version = f"PostgreSQL {health.server_version}" if health.server_version else "version unknown"
    line = Text.assemble(
        (plain(database_id(health.name)), "bold"),
        "  ",
        _state(health.state),
        "  ",
        plain(f"{_role(health.server_role)}, {version}, {answered}"),
    )
    return Group(line, cell(health.explanation)) if health.explanation else line


def _checks(health: health_pb2.DatabaseHealth) -> RenderableType:
    return _Checks(health)


class _Checks:
    """The table of the checks, with those that are not HEALTHY first, as wide as there is room."""

    def __init__(self, health: health_pb2.DatabaseHealth) -> None:
        self._health = health

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render only the columns that leave room for the message."""
        yield _check_table(self._health, wide=options.max_width >= _WIDE)


def _check_table(health: health_pb2.DatabaseHealth, *, wide: bool) -> RenderableType:
    details = ("WARNING", "CRITICAL", "AGE") if wide else ()
    table = new_table("CHECK", "STATE", "VALUE", *details, "MESSAGE")
    for check in sorted(health.checks, key=lambda check: check.state == _State.HEALTHY):
        value = check.value if check.HasField("value") else None
        warning = check.warning_threshold if check.HasField("warning_threshold") else None
        critical = check.critical_threshold if check.HasField("critical_threshold") else None
        write = formatter(check.unit, (v for v in (value, warning, critical) if v is not None))
        numbers = (value, warning, critical) if wide else (value,)
        age = [cell(_age(check) if check.HasField("age") else "-")] if wide else []
        reason = f"{check.reason}: " if check.reason else ""
        table.add_row(
            cell(check.check),
            _state(check.state),
            *(cell("-" if v is None else write(v)) for v in numbers),
            *age,
            cell(f"{reason}{check.message}"),
        )
    return Padding(table, (0, 0, 1, 0)) if table.row_count else Text()


def new_table(*headers: str, numbers: frozenset[str] = _NUMBERS, fold: bool = False) -> Table:
    """Return a table without rows. Columns whose header is in `numbers` are right-aligned.

    If there is no room, the last column takes more lines; with `fold`, every column of texts does.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for header in headers:
        is_number = header in numbers
        justify: JustifyMethod = "right" if is_number else "left"
        # A column that may take more lines loses nothing; the others are cut off.
        folds = header == headers[-1] or (fold and not is_number)
        table.add_column(
            header, no_wrap=not folds, justify=justify, overflow="fold" if folds else "ellipsis"
        )
    return table


def cell(text: str) -> Text:
    """Return a text from the server for a cell."""
    # Never a str: rich would take a "[…]" in it as markup.
    return Text(plain(text))


def _state(state: "_State.ValueType") -> Text:
    return Text(state_name(state), style=_STYLES.get(state, ""))


def _role(role: "_Role.ValueType") -> str:
    known = role in (_Role.PRIMARY, _Role.STANDBY)
    return _Role.Name(role).lower() if known else "role unknown"


def _age(message: health_pb2.DatabaseHealth | health_pb2.HealthCheck) -> str:
    return duration(message.age.ToNanoseconds() / 1e9)


def facts(lines: dict[str, str | Text]) -> RenderableType:
    """Return a line for each fact that is known."""
    view = Table.grid(padding=(0, 2, 0, 0))
    view.add_column(no_wrap=True, style="bold")
    view.add_column(overflow="fold")
    for name, value in lines.items():
        if str(value) not in ("", "-"):
            view.add_row(name, value if isinstance(value, Text) else cell(value))
    return view
