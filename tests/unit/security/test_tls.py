"""The certificate files: read whole, and read again when they change."""

import logging
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dbopsd.config import TlsConfig
from dbopsd.errors import ConfigurationError
from dbopsd.security.tls import Tls, read_material
from tests.support.certificates import Certificates


@pytest.fixture
def files(tmp_path) -> Certificates:
    return Certificates(tmp_path)


def problem(config: TlsConfig) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_material(config)
    return str(caught.value)


def test_what_is_read_is_what_the_files_say(files):
    material = read_material(files.config(client_ca=files.ca))
    assert material.chain == files.cert.read_bytes()
    assert material.key == files.key.read_bytes()
    assert material.client_ca == files.ca.read_bytes()
    assert material.expires_at > datetime.now(UTC).timestamp()
    assert material.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert "KEY" not in repr(material)


@pytest.mark.parametrize(
    ("required", "mode"), [(True, ssl.CERT_REQUIRED), (False, ssl.CERT_OPTIONAL)]
)
def test_a_client_certificate_is_demanded_or_asked_for(files, required, mode):
    config = files.config(client_ca=files.ca, require=required)
    assert read_material(config).context.verify_mode is mode
    assert Tls.load(config).demands_client_certificates is required
    assert not Tls.load(files.config()).demands_client_certificates


class TestProblems:
    def test_a_file_that_is_not_there(self, files):
        files.key.unlink()
        assert problem(files.config()) == (
            f"server.tls.key: '{files.key}' cannot be read: no such file or directory"
        )

    def test_a_directory(self, files):
        files.cert.unlink()
        files.cert.mkdir()
        assert problem(files.config()).startswith(f"server.tls.cert: '{files.cert}' cannot be read")

    def test_a_key_of_another_certificate(self, files):
        files.key.write_bytes(files.issue("localhost")[1])
        assert problem(files.config()) == (
            f"server.tls.key: '{files.key}' is not the key of the certificate '{files.cert}'"
        )

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\x00"])
    def test_no_certificate(self, files, content):
        files.cert.write_bytes(content)
        assert problem(files.config()).startswith("server.tls.cert: ")

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\x00"])
    def test_no_key(self, files, content):
        files.key.write_bytes(content)
        assert problem(files.config()).startswith("server.tls.key: ")

    @pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff\x00"])
    def test_no_authority(self, files, content):
        files.ca.write_bytes(content)
        assert problem(files.config(client_ca=files.ca)).startswith("server.tls.client_ca: ")

    def test_half_a_certificate(self, files):
        whole = files.cert.read_bytes()
        files.cert.write_bytes(whole[: len(whole) // 2])
        assert problem(files.config()).startswith("server.tls.cert: ")

    def test_a_locked_key_is_not_asked_for_on_the_terminal(self, files):
        key = load_pem_private_key(files.key.read_bytes(), None)
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        assert "locked with a passphrase" in problem(files.config())


class TestChanges:
    def test_nothing_is_read_again_that_has_not_changed(self, files):
        tls = Tls.load(files.config())
        before = tls.current
        tls.refresh()
        assert tls.current is before

    def test_a_new_pair_is_taken(self, files):
        tls = Tls.load(files.config())
        files.renew()
        tls.refresh()
        assert tls.current.chain == files.cert.read_bytes()

    def test_a_pair_that_does_not_fit_yet_waits_for_its_other_half(self, files, caplog):
        tls = Tls.load(files.config())
        before = tls.current
        chain, key = files.issue("localhost")
        files.key.write_bytes(key)
        tls.refresh()
        tls.refresh()
        assert tls.current is before
        (said,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert "is not taken, the one before it stays" in said.getMessage()
        assert "is not the key of the certificate" in said.getMessage()
        files.cert.write_bytes(chain)
        tls.refresh()
        assert tls.current.chain == chain

    def test_a_half_written_file_is_not_taken(self, files):
        tls = Tls.load(files.config())
        before = tls.current
        whole, key = files.issue("localhost")
        for content in (b"", whole[:100], whole[:-40]):
            files.cert.write_bytes(content)
            tls.refresh()
            assert tls.current is before
        files.cert.unlink()
        tls.refresh()
        assert tls.current is before
        files.key.write_bytes(key)
        files.cert.write_bytes(whole)
        tls.refresh()
        assert tls.current.chain == whole

    def test_a_link_that_points_elsewhere_is_a_change(self, files, tmp_path):
        old, new = tmp_path / "old", tmp_path / "new"
        for directory in (old, new):
            directory.mkdir()
            Certificates(directory)
        link = tmp_path / "current"
        link.symlink_to(old)
        tls = Tls.load(TlsConfig(cert=link / "server.pem", key=link / "server.key"))
        link.unlink()
        link.symlink_to(new)
        tls.refresh()
        assert tls.current.chain == (new / "server.pem").read_bytes()

    def test_another_authority_is_taken(self, files):
        tls = Tls.load(files.config(client_ca=files.ca))
        files.ca.write_bytes(Certificates(files.directory).ca_pem)
        files.renew()
        tls.refresh()
        assert tls.current.client_ca == files.ca.read_bytes()


class TestExpiry:
    def said(self, caplog):
        return [
            (record.levelname, record.getMessage())
            for record in caplog.records
            if "expire" in record.getMessage()
        ]

    def test_it_is_said_two_weeks_before_once_a_day(self, files, caplog):
        end = datetime.now(UTC) + timedelta(days=30)
        files.renew(expires=end)
        now = [end.timestamp() - 20 * 86_400]
        tls = Tls.load(files.config(), clock=lambda: now[0])
        tls.refresh()
        assert self.said(caplog) == []
        now[0] += 8 * 86_400
        tls.refresh()
        tls.refresh()
        now[0] += 3600
        tls.refresh()
        ((level, text),) = self.said(caplog)
        assert level == "WARNING"
        assert "expires in 12.0 days" in text
        now[0] += 86_400
        tls.refresh()
        assert len(self.said(caplog)) == 2

    def test_one_that_has_expired_is_an_error(self, files, caplog):
        files.renew(expires=datetime.now(UTC) - timedelta(days=1))
        Tls.load(files.config())
        ((level, text),) = self.said(caplog)
        assert level == "ERROR"
        assert "has expired" in text
