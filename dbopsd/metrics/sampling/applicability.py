"""Whether a collector is for a server, and what of it a role may not see."""

from dbopsd.metrics.collector import Collector
from dbopsd.metrics.server_facts import ServerFacts


def lacking(collector: Collector | None, facts: ServerFacts) -> tuple[str, str] | None:
    """Why a server does not have a collector: a reason and a message; None: it has."""
    if collector is None:
        return "VERSION_UNSUPPORTED", f"it is not for PostgreSQL {facts.version}"
    header = collector.header
    if header.role != "any" and facts.standby is (header.role == "primary"):
        here = "standby" if facts.standby else "primary"
        return "OTHER_ROLE", f"it is for a {header.role}, and this is a {here}"
    if header.optional_privilege and header.optional_privilege not in facts.privileges:
        return "PERMISSION_MISSING", f"GRANT {header.optional_privilege} to the role of the DSN"
    if header.ledger and not facts.ledger_schema:
        return "LEDGER_MISSING", "there is no ledger of migrations that the role may read"
    return _lacking_extension(collector, facts)


def _lacking_extension(collector: Collector, facts: ServerFacts) -> tuple[str, str] | None:
    name, least = collector.header.extension, collector.header.extension_version
    if not name:
        return None
    found = facts.extensions.get(name)
    if found is None:
        return (
            "EXTENSION_MISSING",
            (
                f"the extension {name} is not installed in database "
                f"'{facts.postgres_database}': CREATE EXTENSION {name}"
            ),
        )
    if _version(found[0]) < _version(least):
        return (
            "EXTENSION_OLD",
            (
                f"the extension {name} is {found[0]}, and {least} is needed: "
                f"ALTER EXTENSION {name} UPDATE"
            ),
        )
    return None


def hidden(collector: Collector, facts: ServerFacts) -> str:
    """What the collector's rows leave out because the role may not see it, for people."""
    privilege = collector.header.full_privilege
    if not privilege or privilege in facts.privileges:
        return ""
    return (
        f"what belongs to other roles is hidden from it: GRANT {privilege} to the role of the DSN"
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
