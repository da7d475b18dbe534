"""SQL as it is handed to a session: text with a low-cardinality summary for its span."""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from psycopg import sql

_HEADER_LINE = re.compile(r"--\s*(?P<key>[a-z_]+):\s*(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement.

    `summary` names the span (`db.query.summary`): operation and target, such as
    `SELECT pg_stat_activity`, never a value. `text` is parameterised (`%s`, `%(name)s`), so it
    may stand in a span as it is; where a secret cannot be a parameter (`ALTER ROLE … PASSWORD`),
    `sensitive` keeps the text out.
    """

    text: str | sql.Composed
    summary: str
    sensitive: bool = False

    def with_identifiers(self, **identifiers: str | tuple[str, ...]) -> "Statement":
        """The statement with each `{name}` in its text replaced by a quoted identifier.

        A tuple is a qualified name: `("public", "users")` becomes `"public"."users"`.
        """
        quoted = {
            name: sql.Identifier(*((parts,) if isinstance(parts, str) else parts))
            for name, parts in identifiers.items()
        }
        text = self.text if isinstance(self.text, str) else self.text.as_string()
        return Statement(sql.SQL(text).format(**quoted), self.summary, self.sensitive)

    @property
    def query_text(self) -> str:
        """The text as it goes into `db.query.text`."""
        return self.text if isinstance(self.text, str) else self.text.as_string()


@dataclass(frozen=True, slots=True)
class SqlFile:
    """A `.sql` file: the `-- key: value` lines at its head, and the statement below them."""

    header: dict[str, str]
    statement: Statement


@cache
def load_sql(package: str, name: str) -> SqlFile:
    """Read `name` from `package`. The header's `summary` is required: it names the span."""
    lines = resources.files(package).joinpath(name).read_text(encoding="utf-8").splitlines()
    header: dict[str, str] = {}
    while lines and (match := _HEADER_LINE.fullmatch(lines[0].strip())):
        header[match["key"]] = match["value"].strip()
        lines.pop(0)
    return SqlFile(header, Statement("\n".join(lines).strip(), header["summary"]))
