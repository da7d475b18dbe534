"""What is decided before anything is sent."""

import json

import pytest
from dbops_client import AsyncDbopsClient, ConfigurationError, DbopsClient
from dbops_client._channel import endpoint, service_config
from dbops_client._metadata import with_extra

BEARER = (("authorization", "Bearer t0ken"),)


@pytest.fixture(params=[DbopsClient, AsyncDbopsClient])
def client_class(request):
    return request.param


@pytest.mark.parametrize("target", ["10.0.0.7", "http://db.example", "dns:///db.example:7000"])
def test_a_token_never_crosses_a_network_in_plaintext(client_class, target):
    with pytest.raises(ConfigurationError, match="without TLS") as caught:
        client_class(target, token="t0ken")
    assert "t0ken" not in str(caught.value)


def reached(target, *, token=None, tls=None, ca=None, certificate=None, key=None):
    """How a client reaches `target`."""
    return endpoint(target, token=token, tls=tls, ca=ca, certificate=certificate, key=key)


@pytest.mark.parametrize(
    ("target", "address", "is_tls"),
    [
        ("localhost", "localhost:50051", False),
        ("[::1]:1", "[::1]:1", False),
        ("unix:/run/d.sock", "unix:/run/d.sock", False),
        ("https://x.example", "x.example:443", True),
    ],
)
def test_a_token_goes_to_this_machine_in_plaintext_and_elsewhere_over_tls(target, address, is_tls):
    to = reached(target, token="t0ken")
    assert (to.target, to.credentials is not None) == (address, is_tls)


@pytest.mark.parametrize(
    ("target", "proxied"), [("localhost", False), ("unix:/run/d.sock", False), ("10.0.0.7", True)]
)
def test_what_stays_on_this_machine_knows_no_proxy(target, proxied):
    assert (("grpc.enable_http_proxy", 0) in reached(target).options) is not proxied


def test_a_channel_finds_a_peer_that_is_gone_and_comes_back_to_it_soon():
    options = dict(reached("10.0.0.7").options)
    assert options["grpc.keepalive_time_ms"] + options["grpc.keepalive_timeout_ms"] <= 60_000
    assert options["grpc.max_reconnect_backoff_ms"] <= 5_000
    assert options["grpc.max_receive_message_length"] == 64 * 2**20
    assert options["grpc.service_config"] == service_config()


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_repeated(client_class, token):
    with pytest.raises(ConfigurationError) as caught:
        client_class(token=token)
    assert not token or token not in str(caught.value)


def test_certificate_and_key_belong_together(client_class, tmp_path):
    pem = tmp_path / "a.pem"
    pem.write_bytes(b"")
    for half in ({"certificate": pem}, {"key": pem}):
        with pytest.raises(ConfigurationError, match="needs its private key"):
            client_class(**half)


def test_a_plaintext_url_with_a_ca_is_a_contradiction(client_class, tmp_path):
    with pytest.raises(ConfigurationError, match="plaintext"):
        client_class("http://localhost", ca=tmp_path / "ca.pem")


def test_a_file_that_cannot_be_read_is_named(client_class, tmp_path):
    with pytest.raises(ConfigurationError, match=r"CA file '.*none\.pem'.*No such file"):
        client_class(ca=tmp_path / "none.pem")


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_a_timeout_is_a_time(client_class, timeout_s):
    with pytest.raises(ConfigurationError, match="timeout_s"):
        client_class(timeout_s=timeout_s)


def test_only_what_may_be_done_twice_is_retried_and_only_on_unavailable():
    (method_config,) = json.loads(service_config())["methodConfig"]
    assert method_config["name"] == [
        {"service": "dbops.v1.BackupService", "method": "CreateBackup"},
        {"service": "dbops.v1.BackupService", "method": "GetBackup"},
        {"service": "dbops.v1.BackupService", "method": "ListBackups"},
        {"service": "dbops.v1.BackupService", "method": "UpdateBackup"},
        {"service": "dbops.v1.BackupService", "method": "VerifyBackups"},
        {"service": "dbops.v1.BackupService", "method": "DeleteBackup"},
        {"service": "dbops.v1.BackupService", "method": "RestoreBackup"},
        {"service": "dbops.v1.BackupService", "method": "DrillBackup"},
        {"service": "dbops.v1.BackupService", "method": "ListRecoveryWindows"},
        {"service": "dbops.v1.BackupService", "method": "ApplyRetention"},
        {"service": "dbops.v1.BackupService", "method": "RotateKeys"},
        {"service": "dbops.v1.BackupService", "method": "GetWalStatus"},
        {"service": "dbops.v1.HealthService", "method": "ListDatabases"},
        {"service": "dbops.v1.HealthService", "method": "GetHealth"},
        {"service": "dbops.v1.MetricsService", "method": "ListMetricDescriptors"},
        {"service": "dbops.v1.MetricsService", "method": "GetSnapshot"},
        {"service": "dbops.v1.MetricsService", "method": "QueryHistory"},
        {"service": "dbops.v1.MetricsService", "method": "ListStatements"},
        {"service": "dbops.v1.MetricsService", "method": "ExplainStatement"},
        {"service": "dbops.v1.MetricsService", "method": "ListAlerts"},
        {"service": "dbops.v1.MetricsService", "method": "CreateSilence"},
        {"service": "dbops.v1.MetricsService", "method": "DeleteSilence"},
        {"service": "dbops.v1.MetricsService", "method": "ListSilences"},
        {"service": "dbops.v1.MetricsService", "method": "ListAdvice"},
        {"service": "dbops.v1.MetricsService", "method": "GetAdvice"},
        {"service": "dbops.v1.MetricsService", "method": "ListTrends"},
        {"service": "dbops.v1.MetricsService", "method": "ListSessions"},
        {"service": "dbops.v1.MetricsService", "method": "ListSettings"},
        {"service": "dbops.v1.MigrateService", "method": "ListMigrations"},
        {"service": "dbops.v1.MigrateService", "method": "CheckMigrations"},
        {"service": "dbops.v1.MigrateService", "method": "ApplyMigrations"},
        {"service": "dbops.v1.MigrateService", "method": "RollbackMigrations"},
        {"service": "dbops.v1.MigrateService", "method": "BaselineMigrations"},
        {"service": "dbops.v1.MigrateService", "method": "AdoptMigrations"},
        {"service": "dbops.v1.MigrateService", "method": "ResolveMigration"},
        {"service": "dbops.v1.MigrateService", "method": "PlanImport"},
        {"service": "dbops.v1.MigrateService", "method": "RunImport"},
        {"service": "dbops.v1.MigrateService", "method": "VerifyImport"},
        {"service": "dbops.v1.MigrateService", "method": "RevertImport"},
        {"service": "dbops.v1.OperationsService", "method": "ListSchedules"},
        {"service": "dbops.v1.OperationsService", "method": "RunSchedule"},
        {"service": "dbops.v1.OperationsService", "method": "PauseSchedule"},
        {"service": "dbops.v1.OperationsService", "method": "ResumeSchedule"},
        {"service": "dbops.v1.OperationsService", "method": "ListWorkers"},
        {"service": "dbops.v1.OperationsService", "method": "ListDuties"},
        {"service": "google.longrunning.Operations", "method": "ListOperations"},
        {"service": "google.longrunning.Operations", "method": "GetOperation"},
        {"service": "google.longrunning.Operations", "method": "CancelOperation"},
    ]
    assert method_config["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert method_config["retryPolicy"]["maxAttempts"] == 4


def test_the_callers_metadata_goes_along():
    extra = [("TraceParent", "00-1-2-01"), ("x-bin", b"\x00")]
    assert with_extra(BEARER, extra) == (*BEARER, ("traceparent", "00-1-2-01"), ("x-bin", b"\x00"))


@pytest.mark.parametrize(
    "pair",
    [
        ("authorization", "Basic eA=="),
        ("Authorization", "Basic eA=="),
        ("grpc-timeout", "1S"),
        ("two words", "x"),
        ("", "x"),
        ("x", b"bytes"),
        ("x-bin", "text"),
        ("x", "line\nbreak"),
    ],
)
def test_metadata_that_cannot_be_sent_is_refused_without_naming_the_token(pair):
    with pytest.raises(ConfigurationError) as caught:
        with_extra(BEARER, [pair])
    assert "t0ken" not in str(caught.value)
