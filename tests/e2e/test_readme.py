"""Every command, transcript, file and program in the READMEs is run, and does what they say.

A block or a command that these tests do not know makes them fail: teach them, so that nothing in a
README goes untested.
"""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dbops.v1 import resources_pb2
from dbops_client import DbopsClient

from tests.e2e.conftest import run, wait_until_ready
from tests.support.certificates import Certificates
from tests.support.daemon import ROOT, Daemon, clean_environment, end_servers
from tests.support.demo.daemon import demo_daemon
from tests.support.patience import eventually_blocking
from tests.support.scratch import new_directory
from tests.support.servers import PostgresServer

READMES = (ROOT / "README.md", ROOT / "clients" / "python" / "README.md")
# Whose words a transcript may begin with.
SHELL_COMMANDS = {"export", "python", "grpcurl", "dbops", "dbopsd", "curl", "echo"}

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r'"age_s": [\d.]+'), '"age_s": AGE'),
    (re.compile(r"127\.0\.0\.1:\d{4,5}"), "127.0.0.1:PORT"),
    (re.compile(r'"localhost:\d{4,5}"'), '"localhost:PORT"'),
    (re.compile(r"\b18\.\d+\b"), "18.MINOR"),
    (re.compile(r"\bdbops_[\w-]{43}\b"), "TOKEN"),
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:HASH"),
    (re.compile(r"in [\d.]+ \w+ \([\d.,]+( \w)? rows/s\)"), "in SECONDS (ROWS/s)"),
    # As wide as what is in the table.
    (re.compile("─+"), "─"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


@dataclass(frozen=True)
class Block:
    readme: str
    language: str
    text: str


BLOCKS = [
    Block(str(path.relative_to(ROOT)), *found.groups())
    for path in READMES
    for found in _BLOCK.finditer(path.read_text())
]


def blocks(*languages: str) -> "pytest.MarkDecorator":
    chosen = [block for block in BLOCKS if block.language in languages]
    assert chosen
    names = [f"{block.readme}:{block.text.splitlines()[0][:40]}" for block in chosen]
    return pytest.mark.parametrize("block", chosen, ids=names)


@pytest.fixture(scope="module")
def plain_daemon() -> Iterator[Daemon]:
    """`dbopsd serve` without a file, as `make run` starts it, but on free ports."""
    listen = {
        "DBOPSD_SERVER__GRPC_LISTEN": "127.0.0.1:0",
        "DBOPSD_SERVER__HTTP_LISTEN": "127.0.0.1:0",
    }
    with Daemon(config=None, environment=listen) as daemon:
        wait_until_ready(daemon.wait_until_serving())
        yield daemon
        assert daemon.terminate() == 0


def at(daemon: Daemon, text: str) -> str:
    """What a README says of the default ports, said of the daemon's."""
    return text.replace(":50051", f":{daemon.grpc_port}").replace(":8080", f":{daemon.http_port}")


def server_of(daemon: Daemon) -> dict[str, str]:
    """The environment in which `dbops` without --server finds the daemon."""
    return {"DBOPS_SERVER": daemon.grpc_address}


def environment_of(setting: str, placeholder: str, here: str) -> dict[str, str]:
    """The variable that a command of the README starts dbopsd with."""
    (line,) = (line for line in shell_lines() if setting in line)
    name, _, value = shlex.split(line)[0].partition("=")
    return {name: value.replace(placeholder, here)}


@pytest.fixture(scope="module")
def backed_up() -> Iterator[tuple[Daemon, Path]]:
    """A daemon as the README starts it with backups and migrations, and a directory.

    It is in place of /var and /srv.

    The account of the restored server has to reach it.
    """
    directory = new_directory("dbopsd-readme-")
    directory.chmod(0o755)
    environment = {
        **environment_of("__STORE=", "/var/", f"{directory}/"),
        **environment_of("__MIGRATIONS_DIR=", "$PWD", str(ROOT)),
        "DBOPSD_SERVER__GRPC_LISTEN": "127.0.0.1:0",
        "DBOPSD_SERVER__HTTP_LISTEN": "127.0.0.1:0",
    }
    try:
        with Daemon(config=None, environment=environment) as daemon:
            wait_until_ready(daemon.wait_until_serving(120))
            yield daemon, directory
    finally:
        end_servers(directory / "restored")
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `app.db`, the example's database, and `plan.toml`, its mapping."""
    directory = tmp_path_factory.mktemp("application")
    example = ROOT / "examples" / "learning_assistant"
    generate = [sys.executable, str(example / "generate.py"), str(directory / "app.db")]
    subprocess.run([*generate, "--users", "20"], check=True)
    shutil.copy(example / "mapping.toml", directory / "plan.toml")
    return directory


def normal(text: str) -> str:
    for pattern, same in _VARYING:
        text = pattern.sub(same, text)
    return text.strip("\n")


class Shell:
    """One bash for all commands of a README, so that what one exports the next one has."""

    _MARK = "-- end of output --"

    def __init__(self, **environment: str) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=ROOT,
            env=clean_environment(**environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> str:
        """What the command writes; `$?` is its own for the next one."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        after = f"kept=$?; printf '\\n%s\\n' '{self._MARK}'; (exit $kept)"
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\n{after}\n")
        self._bash.stdin.flush()
        output = []
        for line in self._bash.stdout:
            if line.rstrip("\n") == self._MARK:
                return "".join(output)
            output.append(line)
        raise AssertionError(f"the shell ended at {command!r}: {''.join(output)}")

    def close(self) -> None:
        self._bash.communicate(timeout=10)


@pytest.fixture(scope="module")
def shell(plain_daemon: Daemon) -> Iterator[Shell]:
    opened = Shell(**server_of(plain_daemon))
    yield opened
    opened.close()


def test_every_block_has_a_test() -> None:
    languages = {block.language for block in BLOCKS}
    assert languages == {"sh", "console", "toml", "sql", "python"}


@blocks("console")
def test_a_transcript(
    plain_daemon: Daemon, shell: Shell, block: Block, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scratch = tmp_path_factory.getbasetemp()
    commands = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert commands[0] == "", "a transcript begins with a command"
    for entry in commands[1:]:
        command, _, expected = entry.partition("\n")
        assert command.split()[0] in SHELL_COMMANDS, f"no test for {command!r} of {block.readme}"
        made = shell.run(at(plain_daemon, command).replace("/tmp/", f"{scratch}/"))
        assert normal(made) == normal(expected), command


@blocks("toml")
def test_a_configuration(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "dbopsd.toml"
    # What it names in /etc/dbopsd is there.
    Certificates(tmp_path)
    token = run("dbopsd", "token", "new", "--name", "ci", "--role", "ADMIN")
    (tmp_path / "tokens.toml").write_text(token.err)
    file.write_text(block.text.replace("/etc/dbopsd", str(tmp_path)))
    state_dir = str(tmp_path / "state")
    answer = run(
        "dbopsd", "check-config", "--config", str(file), DBOPSD_SERVER__STATE_DIR=state_dir
    )
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("the configuration is right")


def test_the_role_and_the_command_for_ones_own_database(
    server: PostgresServer, start_daemon: Callable[..., Daemon]
) -> None:
    (sql,) = (block.text for block in BLOCKS if block.language == "sql")
    (line,) = (line for line in shell_lines() if "__DSN=" in line)
    assignment, *command = shlex.split(line)
    name, _, dsn = assignment.partition("=")
    assert command == ["dbopsd", "serve"]
    assert dsn.startswith("host=db.example dbname=app ")
    here = f"host=127.0.0.1 port={server.port} dbname=app "
    server.execute("CREATE DATABASE app")
    for statement in filter(str.strip, sql.split(";")):
        server.execute(statement)
    assert server.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'dbopsd'") == [(False,)]
    running = start_daemon(environment={name: dsn.replace("host=db.example dbname=app ", here)})
    state = resources_pb2.Database.State
    with DbopsClient(running.grpc_address) as client:

        def measured() -> bool:
            checks = client.health.get("main").checks
            return len(checks) > 10 and not any(
                check.reason == "NOT_PROBED_YET" for check in checks
            )

        eventually_blocking(measured, 15, "every check is made")
        health = client.health.get("main")
        (listed,) = client.databases.list()
    unwell = [check for check in health.checks if check.state != state.HEALTHY]
    # How full the disk is that the tests run on is not the README's to say.
    full = ["storage"] if {check.reason for check in unwell} == {"STORAGE_FULL"} else []
    assert [check.check for check in unwell] == full, unwell
    assert (listed.postgres_database, listed.embedded) == ("app", False)
    assert running.terminate() == 0
    server.execute("DROP DATABASE app WITH (FORCE)")
    server.execute("DROP ROLE dbopsd")


def shell_lines() -> list[str]:
    return [
        line
        for block in BLOCKS
        if block.language == "sh"
        for line in block.text.splitlines()
        if line.strip()
    ]


@pytest.mark.parametrize("line", shell_lines())
def test_a_command(line: str, request: pytest.FixtureRequest) -> None:
    command = shlex.split(line, comments=True)
    if command[:2] == ["dbops", "backup"]:
        check_backup_command(command, *request.getfixturevalue("backed_up"))
        return
    if command[:2] == ["dbops", "migrate"]:
        check_migrate_command(command, request.getfixturevalue("backed_up")[0])
        return
    application: Path = request.getfixturevalue("application")
    plain_daemon: Daemon = request.getfixturevalue("plain_daemon")
    server = server_of(plain_daemon)
    match command:
        case ["make", target]:
            test_a_target(target)
        case ["pip", "install", directory]:
            done = subprocess.run(
                ["uv", "pip", "install", "--dry-run", "--offline", "--no-deps", directory],
                cwd=ROOT,
                env=clean_environment(VIRTUAL_ENV=str(ROOT / ".venv")),
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
        case ["dbops", *_, "--watch"]:
            assert "HEALTHY" in first_line(command, **server)
        case ["dbops", "operations", _, "run-import-7f3a"]:
            answer = run(*command, **server)
            assert answer.code == 3
            assert "operation 'run-import-7f3a' does not exist" in answer.err
        case ["dbops", "operations" | "schedules" | "workers", "list", *_]:
            answer = run(*command, **server)
            assert (answer.code, answer.err) == (0, "")
            assert answer.out
        case ["dbops", "import", "describe" | "verify" | "revert", "run-import-7f3a", *_]:
            answer = run(*command, **server)
            assert answer.code == 3
            assert "operation 'run-import-7f3a' does not exist" in answer.err
        case ["dbops", "import", _, "app.db", *_]:
            (application / "saved.toml").unlink(missing_ok=True)
            names = {"app.db": "app.db", "plan.toml": "plan.toml"}
            if "--save" in command:
                names["plan.toml"] = "saved.toml"
            words = (str(application / names[w]) if w in names else w for w in command)
            answer = run(*words, **server)
            assert answer.code == 0, answer.err
            assert "users" in answer.out
        case ["dbops", *arguments]:
            answer = run("dbops", *arguments, **server)
            assert (answer.code, answer.err) == (0, "")
            assert "main" in answer.out
        case [assignment, "dbopsd", "serve"] if assignment.startswith("DBOPSD_DATABASES__MAIN__"):
            pass  # test_the_role_and_the_command_for_ones_own_database and `backed_up` run it
        case _:
            pytest.fail(f"no test for {line!r}")


def check_backup_command(command: list[str], daemon: Daemon, directory: Path) -> None:
    """In the order of the README: there is a backup after the first."""
    words = [word.replace("/srv/", f"{directory}/") for word in command]
    answer = run(*words, timeout=120, **server_of(daemon))
    assert answer.code == 0, answer.out + answer.err
    says = {
        "create": "COMPLETE",
        "list": "full-",
        "windows": "can be restored",
        "restore": "RESTORED",
        "drill": "PASSED",
        "verify": "OK",
    }
    assert says[command[2]] in answer.out


def check_migrate_command(command: list[str], daemon: Daemon) -> None:
    """In the order of the README."""
    answer = run(*command, timeout=120, **server_of(daemon))
    assert answer.code == 0, answer.out + answer.err
    says = {
        "list": " PENDING",
        "check --roundtrip": "RESTORED",
        "apply --validate-only": "VALIDATED  7 migrations",
        "apply": "SUCCEEDED  7 migrations",
        "check --drift": "OK",
        "rollback --to 004": "SUCCEEDED  3 migrations",
    }
    _, _, verb, _, *options = command
    assert says[" ".join([verb, *options])] in answer.out


@pytest.mark.parametrize(
    "target",
    sorted({found for path in READMES for found in re.findall(r"`make (\w+)", path.read_text())}),
)
def test_a_target(target: str) -> None:
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, env=clean_environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    does = {"run": "dbopsd serve", "test": "-m pytest", "check": "scripts/check", "soak": "--soak"}
    assert does.get(target, "") in done.stdout


def test_completion() -> None:
    text = READMES[1].read_text()
    (command,) = re.findall(r'`(eval "\$\(_DBOPS_COMPLETE=bash_source dbops\)")`', text)
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{command} && complete -p dbops"],
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "dbops" in done.stdout


@pytest.fixture(scope="module")
def nightly_daemon(server: PostgresServer) -> Iterator[Daemon]:
    """One with a schedule, and a feature whose operation it starts."""
    schedule = """
[databases.main.schedules.nightly]
kind = "demo"
cron = "30 2 * * *"
request = { steps = 2 }
"""
    with demo_daemon(server.dsn(), more=schedule) as daemon:
        daemon.wait_until_serving()
        with DbopsClient(daemon.grpc_address) as client:
            eventually_blocking(
                lambda: list(client.schedules.list()), 60, "the worker has set the schedule"
            )
        yield daemon


def test_a_program_that_starts_an_operation(nightly_daemon: Daemon) -> None:
    (program,) = (block.text for block in BLOCKS if "schedules.run" in block.text)
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", at(nightly_daemon, program)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert re.fullmatch(r"operations/\S+ demo stepped", answer.stdout.splitlines()[-1])


@blocks("python")
def test_a_program(
    block: Block, application: Path, plain_daemon: Daemon, request: pytest.FixtureRequest
) -> None:
    if "schedules.run" in block.text:
        return  # test_a_program_that_starts_an_operation runs it
    if "client.migrations" in block.text:
        plain_daemon, _ = request.getfixturevalue("backed_up")
    address = plain_daemon.grpc_address
    program = at(plain_daemon, block.text).replace("https://dbops.example.com", address)
    program = program.replace('token="…"', 'token="t0ken"')
    program = program.replace("/srv/app.db", str(application / "app.db"))
    # The transcripts have left tables of other names in `app`.
    program = program.replace('schema="app"', 'schema="program"')
    if "health.watch" in block.text:
        # It goes on for ever; each message that it prints is a line of its own.
        assert first_line([sys.executable, "-u", "-c", program])
        return
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    if "imports.run" in block.text:
        assert "outcome: SUCCEEDED_WITH_REJECTS" in answer.stdout
        return
    if "client.migrations" in block.text:
        assert re.match(r"[0-9]* [0-9]+\n", answer.stdout)
        return
    shown, reason = answer.stdout.splitlines()
    assert re.fullmatch(r"databases/main connections: \[0\.\d+\]", shown)
    assert reason == "DATABASE_NOT_FOUND"


def first_line(command: list[str], **environment: str) -> str:
    """The first line that an endless command writes; it is interrupted then."""
    with subprocess.Popen(
        command,
        env=clean_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)
    return line
