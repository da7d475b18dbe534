"""How a schema has drifted, without what applications make by themselves."""

from collections.abc import Sequence
from dataclasses import dataclass

from dbopsd.migrate.versions.fingerprint.differences import differences
from dbopsd.migrate.versions.fingerprint.ignored_objects import IgnoredObjects
from dbopsd.migrate.versions.model.reports import Aspect, Difference
from dbopsd.migrate.versions.model.schema_object import Fingerprint


@dataclass(frozen=True)
class Drift:
    """What differs, but for what is ignored."""

    differences: tuple[Difference, ...] = ()
    objects: tuple[Difference, ...] = ()
    """Those that count: not the order of columns, owners and privileges."""
    left_out: int = 0
    """How many more would count."""


def find_drift(expected: Fingerprint, actual: Fingerprint, ignore: Sequence[str]) -> Drift:
    """How `actual` differs from `expected`. `ignore`: the patterns of `IgnoredObjects`."""
    found = differences(expected, actual)
    ignored = IgnoredObjects(ignore if found else (), (expected, actual))
    kept = tuple(each for each in found if not ignored.has(each.kind, each.identity))
    objects = _definitions(kept)
    return Drift(kept, objects, len(_definitions(found)) - len(objects))


def _definitions(found: Sequence[Difference]) -> tuple[Difference, ...]:
    return tuple(each for each in found if each.aspect is Aspect.DEFINITION)
