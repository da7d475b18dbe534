"""The server's own log against the spans: did every statement leave one?"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.support.servers import PostgresServer

# Of psycopg, of PostgreSQL, and of format(), whose per cent signs psycopg may have doubled.
_PLACEHOLDER = re.compile(r"%+(?:\(\w+\))?[A-Za-z]?|\$\d+")
# Part of connecting, where a role or a database has other styles of dates than the driver reads.
_OF_CONNECTING = "SELECT pg_catalog.set_config(?, ?, false)"


def missing_spans(
    server: PostgresServer, spans: Iterable[Any], *, database_prefix: str = ""
) -> Counter[tuple[str, str]]:
    """What `server` logged for dbopsd more often than there are spans of it: (database, text).

    Only databases whose name starts with `database_prefix` are looked at. Not told apart by port,
    because a connection may have gone through a proxy.
    """
    logged = Counter(
        (statement.database, _normal(statement.text))
        for statement in server.statements_logged()
        if statement.application.startswith("dbopsd")
        and statement.database.startswith(database_prefix)
        and _normal(statement.text) != _OF_CONNECTING
    )
    traced: Counter[tuple[str, str]] = Counter()
    for span in spans:
        attributes = span.attributes or {}
        if "db.query.text" in attributes:
            database = str(attributes["db.namespace"]).partition("|")[0]
            times = int(attributes.get("db.operation.batch.size", 1))
            traced[database, _normal(str(attributes["db.query.text"]))] += times
    return logged - traced


def _normal(text: str) -> str:
    """`text` as it is alike in the log and in a span: placeholders and white space folded."""
    return " ".join(_PLACEHOLDER.sub("?", text).split())
