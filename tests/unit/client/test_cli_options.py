"""The global options, usage errors, and what the command says when a call fails."""

from pathlib import Path

import grpc
import pytest
from dbops_client._metadata import token_of
from dbops_client.cli.session import ExitCode, Settings

from tests.unit.client.messages import database_not_found, status_details


@pytest.mark.parametrize(
    "args",
    [
        ["--server", "a.example", "databases", "list"],
        ["databases", "--server", "a.example", "list"],
        ["databases", "list", "--server", "a.example"],
        ["--server", "b.example", "databases", "list", "--server", "a.example"],
    ],
)
@pytest.mark.parametrize("env", [{}, {"DBOPS_SERVER": "c.example"}])
def test_options_stand_before_or_after_the_command_and_go_above_the_environment(dbops, args, env):
    dbops(*args, env=env)
    assert dbops.settings.server == "a.example"


def test_the_environment_goes_above_the_defaults(dbops):
    dbops("health", env={"DBOPS_SERVER": "c.example", "DBOPS_TOKEN": "t0ken"})
    assert dbops.settings == Settings(server="c.example", token="t0ken")


def test_every_option_reaches_the_client(dbops):
    files = ["--ca", "ca.pem", "--cert", "cert.pem", "--key", "key.pem"]
    dbops("health", "--token", "t0ken", *files, "--timeout", "2.5", "--output", "json")
    assert dbops.settings == Settings(
        token="t0ken",
        ca=Path("ca.pem"),
        certificate=Path("cert.pem"),
        key=Path("key.pem"),
        timeout_s=2.5,
        output="json",
    )


@pytest.mark.parametrize(
    ("args", "env", "token", "token_file"),
    [
        (["health"], {"DBOPS_TOKEN_FILE": "e"}, None, "e"),
        (["health"], {"DBOPS_TOKEN": "t", "DBOPS_TOKEN_FILE": "e"}, "t", None),
        (["health", "--token-file", "f"], {"DBOPS_TOKEN": "t"}, None, "f"),
        (["--token-file", "f", "health"], {"DBOPS_TOKEN": "t"}, None, "f"),
        (["--token", "o", "health"], {"DBOPS_TOKEN_FILE": "e"}, "o", None),
        (["--token", "o", "health", "--token-file", "f"], {}, None, "f"),
        (["health", "--token-file", "f", "--token", "o"], {}, "o", None),
    ],
)
def test_one_token_counts_and_an_option_goes_above_the_environment(
    dbops, args, env, token, token_file
):
    dbops(*args, env=env)
    expected = Settings(token=token, token_file=None if token_file is None else Path(token_file))
    assert dbops.settings == expected


def test_a_token_file_is_read_before_each_call(tmp_path):
    file = tmp_path / "token"
    read = token_of(file)
    for token in ("one", "two"):
        file.write_text(f"{token}\n")
        assert read() == token


def test_a_token_file_that_cannot_be_read_is_2_and_its_content_is_not_shown(
    dbops_on_real_channels, tmp_path
):
    missing = str(tmp_path / "none")
    result = dbops_on_real_channels("health", "--token-file", missing)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == (
        f"dbops: the token file {missing!r} cannot be read: No such file or directory\n"
    )
    for content in (b"t0ken\xff", b"t0ken and more", b""):
        (tmp_path / "token").write_bytes(content)
        result = dbops_on_real_channels("health", "--token-file", str(tmp_path / "token"))
        assert result.exit_code == ExitCode.USAGE
        assert "t0ken" not in result.output


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (
            ["--server", "https://localhost", "--plaintext"],
            "plaintext is requested, but the address",
        ),
        (
            ["--server", "http://localhost", "--tls"],
            "plaintext (http:// or grpc://), but TLS is requested",
        ),
        (["--ca", "ca.pem", "--plaintext"], "plaintext is requested, but the certificate files"),
        (["--server", "a.example", "--token", "t", "--plaintext"], "without TLS"),
    ],
)
def test_tls_that_contradicts_itself_is_2(dbops_on_real_channels, args, expected):
    result = dbops_on_real_channels("health", *args)
    assert result.exit_code == ExitCode.USAGE
    assert expected in result.stderr


def test_the_token_is_not_part_of_the_settings_text():
    assert "t0ken" not in repr(Settings(token="t0ken"))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["health", "--nope"], "No such option"),
        (["nope"], "No such command"),
        (["--output", "xml", "health"], "'xml' is not one of"),
        (["health", "--timeout", "0"], "--timeout"),
        (["health", "a", "b"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_2_and_one_line(dbops, args, expected):
    result = dbops(*args)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("dbops: ")
    assert expected in line
    assert line.endswith("--help'")


def test_no_command_is_2_and_the_help(dbops):
    result = dbops()
    assert result.exit_code == ExitCode.USAGE
    assert "Exit codes" in result.stderr


def test_a_token_in_plaintext_to_elsewhere_is_2_and_is_not_shown(dbops_on_real_channels):
    result = dbops_on_real_channels("--server", "a.example", "--token", "t0ken", "health")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.startswith("dbops: without TLS")
    assert "t0ken" not in result.output


@pytest.mark.parametrize("command", [[], ["health"], ["databases"], ["databases", "list"]])
def test_help_warns_of_the_process_list(dbops, command):
    result = dbops(*command, "--help", env={"DBOPS_TOKEN": "t0ken"})
    assert result.exit_code == ExitCode.DONE
    assert "process list" in " ".join(result.stdout.split())
    assert "t0ken" not in result.output


def test_help_tells_the_exit_codes_and_the_version_is_the_distributions(dbops):
    assert "3    the server refused the call or cannot be reached" in dbops("--help").stdout
    assert dbops("--version").stdout == "dbops, version 0.1.0\n"


def failure(code, message, reason=""):
    return code, message, status_details(code, message, reason) if reason else ()


@pytest.mark.parametrize(
    ("failed", "line"),
    [
        (
            failure(grpc.StatusCode.UNAVAILABLE, "Connection refused"),
            (
                "cannot reach dbopsd at a.example: Connection refused. Is it running? "
                "Set the address with --server or DBOPS_SERVER, and TLS with --ca or an "
                "https:// address"
            ),
        ),
        (
            failure(grpc.StatusCode.UNAVAILABLE, "the daemon is stopping", "SHUTTING_DOWN"),
            (
                "dbopsd at a.example cannot answer now: the daemon is stopping "
                "(UNAVAILABLE, SHUTTING_DOWN). Try again later"
            ),
        ),
        (
            failure(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"),
            (
                "dbopsd at a.example did not answer within 3 s. Check the daemon, "
                "or wait longer with --timeout"
            ),
        ),
        (
            failure(grpc.StatusCode.UNAUTHENTICATED, "no token", "TOKEN_MISSING"),
            (
                "dbopsd at a.example does not know you: no token (UNAUTHENTICATED, TOKEN_MISSING). "
                "Set a token with DBOPS_TOKEN or --token-file, or a client certificate with "
                "--cert and --key"
            ),
        ),
        (
            failure(grpc.StatusCode.PERMISSION_DENIED, "VIEWER is needed"),
            (
                "dbopsd at a.example refused: VIEWER is needed (PERMISSION_DENIED). Use a token "
                "(DBOPS_TOKEN) or certificate whose role allows it"
            ),
        ),
        (
            (
                grpc.StatusCode.ABORTED,
                "it is being restored",
                status_details(
                    grpc.StatusCode.ABORTED,
                    "it is being restored",
                    "OPERATION_IN_THE_WAY",
                    {"operation": "operations/7f3a"},
                ),
            ),
            (
                "dbopsd at a.example refused: it is being restored (ABORTED, OPERATION_IN_THE_WAY)."
                " To watch that operation run 'dbops operations watch operations/7f3a'"
            ),
        ),
        (
            database_not_found("shop"),
            "no database 'shop' is configured",
        ),
        (
            failure(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"),
            (
                "the server at a.example does not know this call: Method not found! "
                "(UNIMPLEMENTED). It is older than this command, or not dbopsd"
            ),
        ),
        (
            failure(grpc.StatusCode.INTERNAL, "two\nlines\x1b[2J"),
            "dbopsd at a.example refused: two lines [2J (INTERNAL)",
        ),
    ],
    ids=lambda value: value[0].name if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("watch", [[], ["--watch"]])
def test_a_failed_call_is_3_and_one_line(played, dbops, failed, line, watch):
    played.failure = failed
    result = dbops("--server", "a.example", "--timeout", "3", "health", "shop", *watch)
    assert result.exit_code == ExitCode.REFUSED
    assert result.stdout == ""
    assert result.stderr == f"dbops: {line}\n"
