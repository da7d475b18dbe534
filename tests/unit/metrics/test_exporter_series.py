"""The series of postgres_exporter, and those that its dashboards ask for, are declared here."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from dbopsd.metrics.collector import OLDEST_SERVER, for_version, load_collectors
from dbopsd.metrics.model import Metric
from dbopsd.metrics.reference.exporter_differences import (
    Difference,
    Differs,
    Exporter,
    load_differences,
)
from dbopsd.metrics.sources import load_sources

HERE = Path(__file__).parent
NEWEST_SERVER = 18
# Where a dashboard's series comes from, but for old names and vendors' queries.
KNOWN = ("exporter", "setting")
COLLECTORS = load_collectors()
ALL_DIFFERENCES = load_differences()
DIFFERENCES = ALL_DIFFERENCES.than(Exporter.UPSTREAM)


class Wanted(NamedTuple):
    name: str
    type: str
    labels: frozenset[str]
    by_default: bool


def lines(file: str) -> Iterator[list[str]]:
    for line in (HERE / file).read_text().splitlines():
        if not line.startswith("#"):
            yield line.split("\t")


WANTED = [
    Wanted(name, kind, frozenset(filter(None, labels.split(","))), by_default == "yes")
    for name, kind, labels, by_default in lines("exporter_series.tsv")
]


def declared(version: int) -> dict[str, Metric]:
    """What a server of this major version may have."""
    givers = [*for_version(COLLECTORS, version).values(), *load_sources()]
    return {metric.name: metric for each in givers for metric in each.metrics}


def differences(wanted: Wanted, found: Metric | None) -> set[Differs]:
    if found is None:
        return {Differs.MISSING}
    differing = set()
    if found.type.value != wanted.type:
        differing.add(Differs.TYPE)
    if set(found.labels) != wanted.labels:
        differing.add(Differs.LABELS)
    return differing


def allowed(name: str) -> set[Differs]:
    return {each.differs for each in DIFFERENCES if each.covers(name)}


@pytest.mark.parametrize("version", range(OLDEST_SERVER, NEWEST_SERVER + 1))
def test_every_series_is_declared_with_its_type_and_labels_or_the_reference_says_why_not(
    version: int,
) -> None:
    ours = declared(version)
    assert len(WANTED) > 140
    assert sum(each.by_default for each in WANTED) > 110
    wrong = {
        each.name: found - allowed(each.name)
        for each in WANTED
        if (found := differences(each, ours.get(each.name))) - allowed(each.name)
        # The restart points of standbys are counted from 17 on, as upstream has them.
        and not (version < 17 and each.name.startswith("pg_stat_checkpointer_restartpoints"))
    }
    assert wrong == {}


# Whether values and rows differ, a test beside Debian's exporter says.
DECLARED = [each for each in DIFFERENCES if each.differs not in (Differs.VALUE, Differs.ROWS)]


@pytest.mark.parametrize("difference", DECLARED, ids=lambda each: each.series[0])
def test_a_difference_that_is_none_is_not_listed(difference: Difference) -> None:
    ours = declared(NEWEST_SERVER)
    for pattern in difference.series:
        about = [
            each for each in WANTED if replace(difference, series=(pattern,)).covers(each.name)
        ]
        assert about, pattern
        for each in about:
            assert difference.differs in differences(each, ours.get(each.name)), each.name


def test_what_dashboards_ask_for_and_nobody_has_is_named_with_what_there_is() -> None:
    ours = declared(NEWEST_SERVER)
    asked = {name for name, origin in lines("dashboard_series.tsv") if origin not in KNOWN}
    gone = {"pg_settings_checkpoint_segments", "pg_settings_wal_compression"}
    assert asked | gone == ALL_DIFFERENCES.instead.keys()
    for instead in ALL_DIFFERENCES.instead.values():
        for name in re.findall(r"`(pg_\w+)`", instead):
            assert name in ours or name.startswith("pg_settings_"), name


@pytest.mark.parametrize("version", range(OLDEST_SERVER, NEWEST_SERVER + 1))
def test_every_series_that_dashboards_ask_the_exporter_for_is_declared(version: int) -> None:
    asked = [name for name, origin in lines("dashboard_series.tsv") if origin == "exporter"]
    assert len(asked) == 48
    assert [name for name in asked if name not in declared(version)] == []
