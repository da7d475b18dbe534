"""Certificates in files, as a daemon is configured with them."""

import socket
import ssl
from datetime import datetime
from pathlib import Path

import grpc
import trustme

from dbopsd.config import TlsConfig
from dbopsd.security.certificates import names_of


class Certificates:
    """An authority, and in `directory` the files of a server on loopback."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.directory = directory
        self.cert = directory / "server.pem"
        self.key = directory / "server.key"
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(self.ca_pem)
        self.renew()

    @property
    def ca_pem(self) -> bytes:
        return self.authority.cert_pem.bytes()

    def renew(self, *, expires: datetime | None = None, common_name: str = "server") -> None:
        """Write another certificate and its key over those that are there."""
        chain, key = self.issue("localhost", "127.0.0.1", common_name=common_name, expires=expires)
        self.key.write_bytes(key)
        self.cert.write_bytes(chain)

    def issue(
        self, *names: str, common_name: str | None = None, expires: datetime | None = None
    ) -> tuple[bytes, bytes]:
        """The chain and key of a new certificate, in PEM."""
        issued = self.authority.issue_cert(*names, common_name=common_name, not_after=expires)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        return chain, issued.private_key_pem.bytes()

    def config(self, *, client_ca: Path | None = None, require: bool = True) -> TlsConfig:
        return TlsConfig(
            cert=self.cert, key=self.key, client_ca=client_ca, require_client_cert=require
        )

    def channel_credentials(
        self, client: tuple[bytes, bytes] | None = None
    ) -> grpc.ChannelCredentials:
        """Those of a gRPC client that trusts the authority, and shows `client` if given."""
        chain, key = client or (None, None)
        return grpc.ssl_channel_credentials(self.ca_pem, key, chain)

    def client_context(self, client: tuple[bytes, bytes] | None = None) -> ssl.SSLContext:
        """That of an HTTP client that trusts the authority, and shows `client` if given."""
        context = ssl.create_default_context(cadata=self.ca_pem.decode())
        if client is not None:
            path = self.directory / "client.pem"
            path.write_bytes(b"".join(reversed(client)))
            context.load_cert_chain(path)
        return context


def served_name(port: int, context: ssl.SSLContext, host: str = "127.0.0.1") -> str:
    """The common name in the certificate that a server shows; blocks."""
    with (
        socket.create_connection((host, port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        certificate = wrapped.getpeercert()
    assert certificate is not None
    return names_of(certificate)[-1]
