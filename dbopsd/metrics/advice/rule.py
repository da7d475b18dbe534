"""What a rule of advice is: a `.sql` file whose first comment declares what it judges.

The comment is TOML. A file `NAME.since_17.sql` takes the place of `NAME.sql` from PostgreSQL 17 on.
A row is a finding: `object`, `title`, `evidence` (a JSON array of name, value and source), `gain`
and `sql`; also `kind`, `severity`, `confidence`, `risk` and `not_known`, where they are not the
same for all. A row with a `gap` says what could not be judged.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dbopsd.db.session import Table
from dbopsd.db.statement import Statement
from dbopsd.metrics.advice.errors import RuleInvalid
from dbopsd.metrics.advice.finding import Confidence, Evidence, Finding, Gap, Severity
from dbopsd.metrics.collector import OLDEST_SERVER
from dbopsd.metrics.server_facts import ServerFacts

_FILE: Final = re.compile(r"(?P<name>[a-z][a-z0-9_]{0,62})(?:\.since_(?P<since>[0-9]{2}))?\.sql")
_HEADER: Final = re.compile(r"\s*/\*(?P<toml>.*?)\*/(?P<sql>.*)", re.DOTALL)


class RuleHeader(BaseModel):
    """The comment at the head of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: Annotated[str, Field(min_length=1, max_length=500)]
    kinds: Annotated[tuple[str, ...], Field(min_length=1)]
    """What its findings are. A row says which, if there are several."""

    severity: Literal["info", "warning", "critical"] = "info"
    risk: str = ""
    timeout_s: Annotated[float, Field(ge=0.05, le=30)] = 5.0
    role: Literal["any", "primary"] = "primary"
    """Whether a standby knows enough: writes and vacuums are counted on the primary."""

    privilege: str = ""
    """What a role needs that would see nothing else, such as `pg_read_all_stats`."""

    needs: tuple[str, ...] = ()
    """What it is given as parameters, such as `use`."""


@dataclass(frozen=True)
class Rule:
    """One query, and what its rows mean."""

    name: str
    header: RuleHeader
    since: int
    statement: Statement

    @classmethod
    def parse(cls, file_name: str, text: str) -> Self:
        """Read a rule. Raises `RuleInvalid`."""
        named = _FILE.fullmatch(file_name)
        parts = _HEADER.fullmatch(text)
        if named is None or parts is None:
            raise RuleInvalid(file_name, "is not NAME.sql that begins with a /* comment */")
        try:
            header = RuleHeader.model_validate(tomllib.loads(parts["toml"]))
        except tomllib.TOMLDecodeError as error:
            raise RuleInvalid(file_name, f"has a comment that is no TOML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise RuleInvalid(file_name, f"{where}: {first['msg']}") from error
        statement = Statement(parts["sql"].strip().rstrip(";"), f"SELECT advice {named['name']}")
        return cls(named["name"], header, int(named["since"] or OLDEST_SERVER), statement)

    def lacking(self, facts: ServerFacts) -> tuple[str, str] | None:
        """Why it cannot be judged on a server: a reason and a message; None: it can."""
        if self.header.role == "primary" and facts.standby:
            return (
                "OTHER_ROLE",
                "this is a standby: what it is judged by is counted on the primary; ask there",
            )
        privilege = self.header.privilege
        if privilege and privilege not in facts.privileges:
            return (
                "PERMISSION_MISSING",
                f"the role of the DSN does not see what it needs: GRANT {privilege} to it",
            )
        return None

    def read(self, table: Table) -> tuple[list[Finding], list[Gap]]:
        """The findings and the gaps in the rows of its query."""
        findings, gaps = [], []
        for row in table.rows:
            values = dict(zip(table.columns, row, strict=True))
            if values.get("gap"):
                reason = values.get("gap_reason") or "NOT_ALL_JUDGED"
                gaps += [Gap(kind, reason, values["gap"]) for kind in self._kinds(values)]
            else:
                findings.append(self._finding(values))
        return findings, gaps

    def _kinds(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        return (row["kind"],) if row.get("kind") else self.header.kinds

    def _finding(self, row: Mapping[str, Any]) -> Finding:
        (kind,) = self._kinds(row)
        severity = row.get("severity") or self.header.severity
        return Finding(
            kind,
            row["object"],
            row["title"],
            Severity[severity.upper()],
            Confidence[(row.get("confidence") or "high").upper()],
            tuple(Evidence(*each) for each in row["evidence"] if each[1] is not None),
            row["gain"],
            row.get("risk") or self.header.risk,
            tuple(each for each in row["sql"] or () if each),
            tuple(each for each in row.get("not_known") or () if each),
        )


def load_rules(package: str = __package__) -> tuple[Rule, ...]:
    """Every rule of a package, by name and version. Raises `RuleInvalid`."""
    files = [each for each in resources.files(package).iterdir() if each.name.endswith(".sql")]
    return tuple(
        Rule.parse(each.name, each.read_text(encoding="utf-8"))
        for each in sorted(files, key=lambda each: each.name)
    )


def for_version(rules: Iterable[Rule], version: int) -> list[Rule]:
    """The variant of each rule that is for a server of this major version."""
    chosen: dict[str, Rule] = {}
    for rule in rules:
        before = chosen.get(rule.name)
        if rule.since <= version and (before is None or rule.since > before.since):
            chosen[rule.name] = rule
    return list(chosen.values())
