"""What the pages show: TOML is a configuration that dbopsd takes, and a command is one."""

import importlib
import pkgutil
import re
import shlex
from pathlib import Path
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner
from dbops.v1 import backup_pb2, health_pb2, metrics_pb2, migrate_pb2
from dbops.v1 import operations_pb2 as own_operations_pb2
from dbops_client.cli.root import cli
from dbops_client.cli.session import Session
from google.longrunning import operations_pb2

from dbopsd.config import load_config
from dbopsd.migrate.versions.check import rules
from dbopsd.migrate.versions.model.migration import State
from dbopsd.rpc.methods import describe
from dbopsd.security.caller import Role
from dbopsd.telemetry.setup import start_telemetry

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = {
    f"{page.name}:{number}": text
    for page in sorted(DOCS.glob("*.md"))
    # Mappings of imports are files of their own, and so are rules of alerts.
    if page.name != "import.md"
    for number, text in enumerate(_BLOCK.findall(page.read_text()), 1)
    if not text.startswith("[rules.")
}
MIGRATIONS = (DOCS / "migrations.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", MIGRATIONS, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
] + re.findall(r"`(dbops [^`]+ main\b[^`]*)`", MIGRATIONS)
PUSHES = {name: text for name, text in BLOCKS.items() if "otlp_endpoint" in text}


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS.keys())
def test_a_block_is_a_configuration(text: str, tmp_path: Path) -> None:
    file = tmp_path / "dbopsd.toml"
    # A page may show what belongs into the table of a database.
    file.write_text(text if "[databases." in text else f"{text}\n[databases.main]\n")
    load_config(file)


@pytest.mark.parametrize("text", PUSHES.values(), ids=PUSHES.keys())
async def test_a_push_that_is_described_can_be_set_up(text: str, tmp_path: Path) -> None:
    file = tmp_path / "dbopsd.toml"
    file.write_text(text)
    config = load_config(file).telemetry
    telemetry = start_telemetry(config, version="1")
    assert telemetry.new_metrics_sender is not None
    telemetry.new_metrics_sender().close()
    await telemetry.shutdown(0.1)
    vendor = any(each in text for each in ("datadog", "nr-data", "127.0.0.1:4317"))
    assert (config.otlp_temporality == "delta") == vendor


def test_the_pushes_are_there() -> None:
    assert len([name for name in PUSHES if name.startswith("metrics.md")]) == 4


def test_headers_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBOPSD_TELEMETRY__OTLP_HEADERS", '{"dd-api-key": "secret"}')
    headers = load_config().telemetry.otlp_headers
    assert headers["dd-api-key"].get_secret_value() == "secret"


class _CalledServer(Exception):
    """The command line was right."""


def _refuse_connection(_settings: Any) -> NoReturn:
    raise _CalledServer


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_on_migrations_is_one(line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)
    assert name == "dbops"
    session = Session(connect=_refuse_connection)
    ended = CliRunner().invoke(cli, arguments, obj=session, prog_name="dbops")
    assert isinstance(ended.exception, _CalledServer), ended.output


def test_a_resolution_that_is_advised_has_a_reason() -> None:
    sources = [*DOCS.glob("*.md"), *(DOCS.parent / "dbopsd").rglob("*.py")]
    # Also where a string goes on in the next line.
    advised = re.compile(r"dbops\s+migrate\s+resolve\s[^`]*--(?:not-)?applied[^`]*`")
    found = [each for path in sources for each in advised.findall(path.read_text())]
    assert len(found) > 5
    assert not [each for each in found if "--reason" not in each]


def test_the_page_on_migrations_names_every_rule_and_state() -> None:
    found = {
        importlib.import_module(f"{rules.__name__}.{module.name}").RULE.name
        for module in pkgutil.iter_modules(rules.__path__)
    }
    assert len(found) > 30
    assert [name for name in sorted(found) if f"`{name}`" not in MIGRATIONS] == []
    assert [state.name for state in State if state.name not in MIGRATIONS] == []


def test_the_page_on_security_names_the_methods_of_the_roles_that_change_something() -> None:
    protos = (backup_pb2, health_pb2, metrics_pb2, migrate_pb2, own_operations_pb2, operations_pb2)
    services = [each for proto in protos for each in proto.DESCRIPTOR.services_by_name.values()]
    page = (DOCS / "security.md").read_text()
    for role in (Role.OPERATOR, Role.ADMIN):
        (row,) = re.findall(rf"^\| `{role.name}` \|.*\| (.*) \|$", page, re.MULTILINE)
        methods = {
            path.rpartition("/")[2]
            for path, method in describe(services).items()
            if method.role is role
        }
        assert set(re.findall(r"`(\w+)`", row)) == methods
