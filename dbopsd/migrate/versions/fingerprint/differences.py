"""How two schemas differ, object by object."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from dbopsd.migrate.versions.model.reports import Aspect, Change, Difference
from dbopsd.migrate.versions.model.schema_object import Fingerprint, SchemaObject

_NAME: Final = re.compile(r'"(?:[^"]|"")*"|[^".]+')

_Objects = Mapping[tuple[str, str], SchemaObject]


def differences(expected: Fingerprint, actual: Fingerprint) -> tuple[Difference, ...]:
    """How `actual` differs from `expected`, in order of identities.

    An object whose definition and privileges both differ is there twice. The order of columns is
    compared among those that both have, and is said once a table.
    """
    before, after = _by_key(expected), _by_key(actual)
    found = [
        difference
        for key in before.keys() | after.keys()
        for difference in _of_object(before.get(key), after.get(key))
    ]
    found += _of_column_order(before, after)
    return tuple(sorted(found, key=lambda each: (each.identity, each.kind, each.aspect.value)))


def definition_differs(found: Iterable[Difference]) -> bool:
    """Whether the digests differ: the order of columns, owners and privileges do not count."""
    return any(each.aspect is Aspect.DEFINITION for each in found)


def _by_key(fingerprint: Fingerprint) -> _Objects:
    return {(each.kind, each.identity): each for each in fingerprint.objects}


def _of_object(before: SchemaObject | None, after: SchemaObject | None) -> Iterator[Difference]:
    some = before or after
    if some is None:
        return
    if before is None or after is None:
        change = Change.ADDED if before is None else Change.REMOVED
        # What has no definition is nothing but privileges.
        aspect = Aspect.DEFINITION if some.definition else Aspect.OWNER_OR_GRANTS
        text = some.definition or some.owner_and_grants
        expected, actual = ("", text) if before is None else (text, "")
        yield Difference(some.kind, some.identity, change, aspect, expected, actual)
        return
    for aspect, expected, actual in (
        (Aspect.DEFINITION, before.definition, after.definition),
        (Aspect.OWNER_OR_GRANTS, before.owner_and_grants, after.owner_and_grants),
    ):
        if expected != actual:
            yield Difference(some.kind, some.identity, Change.CHANGED, aspect, expected, actual)


def _of_column_order(before: _Objects, after: _Objects) -> Iterator[Difference]:
    expected_orders, actual_orders = _column_orders(before, after), _column_orders(after, before)
    for table, expected in expected_orders.items():
        actual = actual_orders[table]
        if expected != actual:
            yield Difference(
                "table",
                table,
                Change.CHANGED,
                Aspect.COLUMN_ORDER,
                ", ".join(expected),
                ", ".join(actual),
            )


def _column_orders(objects: _Objects, others: _Objects) -> dict[str, list[str]]:
    """The columns of each table in their order, of those that `others` have too."""
    placed: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for key, each in objects.items():
        if each.position and key in others:
            column = _NAME.findall(each.identity)[-1]
            placed[each.identity[: -len(column) - 1]].append((each.position, column))
    return {table: [column for _, column in sorted(columns)] for table, columns in placed.items()}
