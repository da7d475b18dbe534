"""The report of an import, as `dbops import run --output json` prints it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PUBLISHED = ("SUCCEEDED", "SUCCEEDED_WITH_REJECTS")


@dataclass(frozen=True)
class SpanRecord:
    """What the report says of an object."""

    kind: str
    name: str
    table: str
    fate: str
    reason: str

    @property
    def excused(self) -> bool:
        """Whether it says that the object is not there as it was, and why."""
        return self.fate in ("CHANGED", "NOT_CARRIED") and bool(self.reason.strip())


class Report:
    """A report. protobuf's JSON leaves out what is empty, and writes int64 as text."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        self._message = message
        self.objects = [
            SpanRecord(
                each.get("kind", ""),
                each.get("name", ""),
                each.get("table", ""),
                each.get("fate", ""),
                each.get("reason", ""),
            )
            for each in message.get("objects", ())
        ]

    @property
    def outcome(self) -> str:
        return str(self._message.get("outcome", ""))

    @property
    def published(self) -> bool:
        return self.outcome in PUBLISHED

    @property
    def problem(self) -> str:
        return str(self._message.get("problem", ""))

    def number(self, name: str) -> int:
        """A number of the whole report."""
        return int(self._message.get(name, 0))

    def whole(self, name: str) -> str:
        """A text of the whole report."""
        return str(self._message.get(name, ""))

    @property
    def text(self) -> str:
        """Every name and reason in it, to look for a mention."""
        told = [f"{each.name} {each.reason}" for each in self.objects]
        return "\n".join([*told, *self._message.get("notes", ()), self.problem])

    @property
    def tables(self) -> dict[str, "TableTold"]:
        return {each["source"]: TableTold(each) for each in self._message.get("tables", ())}

    @property
    def reject_counts(self) -> dict[tuple[str, str, str], int]:
        return {
            (each["table"], each.get("column", ""), each["reason"]): int(each["count"])
            for each in self._message.get("rejectCounts", ())
        }

    @property
    def rejects(self) -> list[dict[str, str]]:
        """`table`, `column`, `key`, `reason`, `value`, each there."""
        fields = ("table", "column", "key", "reason", "value")
        return [
            {name: each.get(name, "") for name in fields}
            for each in self._message.get("rejects", ())
        ]

    @property
    def differences(self) -> list[Mapping[str, Any]]:
        return list(self._message.get("differences", ()))

    def about(
        self, *kinds: str, table: str | None = None, name: str | None = None
    ) -> list[SpanRecord]:
        """What is told of such objects, of that table, whose name begins so."""
        return [
            each
            for each in self.objects
            if each.kind in kinds
            and (table is None or each.table == table)
            and (name is None or each.name == name or each.name.startswith(f"{name} "))
        ]


class TableTold:
    """What the report says of a table's rows."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        self._message = message

    @property
    def target(self) -> str:
        return str(self._message.get("target", ""))

    def number(self, name: str) -> int:
        return int(self._message.get(name, 0))
