"""Every hostile file through the `dbops` command; a judge written apart from the importer decides.

Each is imported as the command does it by default, and, where that fails, once more with the bad
rows kept apart.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hostile import CASES
from tests.support.hostile.case import Case
from tests.support.import_daemon import QUARANTINE, ImportDaemon, import_daemon
from tests.support.servers import PostgresServer

# What no other test notices the loss of.
_ALWAYS = (
    *("checks_violated", "nocase_primary_key", "references_deferred", "references_itself"),
    *("sequence_ahead", "long_names_collide", "application_collations", "jsonb_declared"),
)


@pytest.fixture(scope="module")
def importer(server: PostgresServer) -> Iterator[ImportDaemon]:
    with import_daemon(server) as running:
        yield running


def _digests(directory: Path) -> dict[str, str]:
    found = directory.glob("*")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        names = list(CASES)
        if not (metafunc.config.option.every_case or metafunc.config.option.soak):
            # The rest says little more than tests of the stages do, at seconds each.
            names = [*_ALWAYS, *[name for name in names if name not in _ALWAYS][::28]]
        metafunc.parametrize("case", [CASES[name] for name in names], ids=names)


def test_everything_arrives_or_is_told_of(importer: ImportDaemon, case: Case) -> None:
    directory = importer.files / case.name
    directory.mkdir()
    source = case.make(directory)
    was = _digests(directory)
    for schema, options in ((case.name, ()), (f"{case.name}_q", QUARANTINE)):
        done = importer.run(source, schema, *options, impossible=case.impossible)
        done.check()
        assert done.code == (0 if done.published else 1), done.errors
        assert _digests(directory) == was, "the source was changed"
        if done.published:
            return
    assert case.impossible, f"it fails with its bad rows kept apart: {done.report['problem']}"
