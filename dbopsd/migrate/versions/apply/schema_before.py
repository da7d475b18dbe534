"""The schema that an operation finds, and whether it is the one that the last run left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dbopsd.db.errors import LockTimeout, QueryCanceled
from dbopsd.db.session import Session
from dbopsd.migrate.versions.fingerprint.drift import find_drift
from dbopsd.migrate.versions.fingerprint.fingerprint import take_fingerprint
from dbopsd.migrate.versions.ledger.ledger import Ledger
from dbopsd.migrate.versions.model.schema_object import Fingerprint

_MOST_NAMED: Final = 3


@dataclass(frozen=True)
class SchemaBefore:
    """The digest (empty: somebody's locks keep it from being taken), and what to say of drift."""

    digest: str = ""
    notes: tuple[str, ...] = ()


async def schema_before(session: Session, ledger: Ledger, ignore: Sequence[str]) -> SchemaBefore:
    """What there is before anything runs. `ignore`: patterns of what is no drift.

    Afterwards nobody can tell: drift is measured from the schema after the last run.
    """
    try:
        taken = await take_fingerprint(session, ledger_schema=ledger.schema)
    except (LockTimeout, QueryCanceled):
        return SchemaBefore()
    if await ledger.last_digest(session) in ("", taken.digest):
        return SchemaBefore(taken.digest)
    expected = await ledger.last_fingerprint(session)
    notes = _drift(expected, taken, ignore) if expected is not None else ()
    return SchemaBefore(taken.digest, notes)


def _drift(expected: Fingerprint, actual: Fingerprint, ignore: Sequence[str]) -> tuple[str, ...]:
    drift = find_drift(expected, actual, ignore)
    found = [f"{each.kind} {each.identity}" for each in drift.objects]
    if not found:
        return ()
    named = ", ".join(found[:_MOST_NAMED]) + (", …" if len(found) > _MOST_NAMED else "")
    return (f"the schema had drifted since the last run, by {_count(found)}: {named}",)


def _count(found: list[str]) -> str:
    return "1 object" if len(found) == 1 else f"{len(found)} objects"
